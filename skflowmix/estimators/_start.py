"""First responsibilities where some rows have labels."""

import warnings

import numpy as np
from scipy.optimize import linear_sum_assignment
from sklearn.exceptions import ConvergenceWarning
from sklearn.semi_supervised import LabelSpreading

_N_NEIGHBORS = 10
_REACH = 0.99


def first_responsibilities(initializer, X, data, component_class, random_state):
    """Responsibilities that agree with the labels.

    Parameters
    ----------
    initializer : callable
        As in `initialization`; not called where `data` has responsibilities.
    X : ndarray of shape (N, D)
        Standardised rows.
    data : TrainingSet
    component_class : int ndarray of shape (K,)
        Class of each component, -1 for those that no label names.
    random_state : RandomState

    Returns
    -------
    ndarray of shape (N, K)
    """
    if data.resp is not None:
        return _obey_labels(data.resp, data.codes, component_class)

    def partition(rows, n_components):
        return _partition(initializer, X[rows], n_components, data.weight[rows], random_state)

    everything = np.arange(len(X))
    if not (component_class >= 0).any():
        return partition(everything, len(component_class))
    if (component_class < 0).any():
        resp = _match_classes(partition(everything, len(component_class)), data, component_class)
        return _obey_labels(resp, data.codes, component_class)
    classes = spread_labels(X, data.codes)
    resp = np.zeros((len(X), len(component_class)))
    for code in np.unique(component_class):
        rows, components = np.flatnonzero(classes == code), np.flatnonzero(component_class == code)
        n_used = min(len(components), len(rows))
        resp[np.ix_(rows, components[:n_used])] = partition(rows, n_used)
    return resp


def _partition(initializer, X, n_components, weight, random_state):
    if n_components == 1:
        return np.ones((len(X), 1))
    if n_components > len(X):
        raise ValueError(f"n_components={n_components} is more than the {len(X)} distinct rows of X.")
    resp = np.asarray(initializer(X, n_components, weight, random_state), dtype=float)
    if resp.shape != (len(X), n_components) or not np.isfinite(resp).all() or (resp < 0).any():
        raise ValueError(
            "init_params as a callable must return finite, non-negative responsibilities of shape "
            f"(n_rows, n_components) = {(len(X), n_components)}; got shape {resp.shape}."
        )
    return resp


def _obey_labels(resp, codes, component_class):
    """Take responsibility for a labelled row from components of other classes."""
    allowed = (codes[:, None] == component_class) | (codes[:, None] < 0)
    resp = (resp + np.finfo(float).tiny) * allowed
    return resp / resp.sum(1, keepdims=True)


def _match_classes(resp, data, component_class):
    """Reorder clusters so that each class gets the one that holds most of its labelled rows."""
    codes = component_class[component_class >= 0]
    held = np.array([(resp * data.weight[:, None])[data.codes == code].sum(0) for code in codes])
    _, clusters = linear_sum_assignment(held, maximize=True)
    rest = np.setdiff1d(np.arange(resp.shape[1]), clusters)
    order = np.empty(resp.shape[1], dtype=int)
    order[component_class >= 0], order[component_class < 0] = clusters, rest
    return resp[:, order]


def spread_labels(X, codes):
    """A class for every row: its own, or one that reaches it along a graph of nearest neighbours.

    Label spreading of Zhou et al. (2004), Learning with local and global consistency.
    """
    if (codes >= 0).all():
        return codes
    model = LabelSpreading(kernel="knn", n_neighbors=min(_N_NEIGHBORS, len(X) - 1), alpha=_REACH, max_iter=1000)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        classes = model.fit(X, codes).transduction_
    return np.where(codes >= 0, codes, classes)
