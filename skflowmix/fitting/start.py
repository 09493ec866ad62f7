"""First responsibilities: which component each row starts in, and what labels say about it.

An initialiser is a function ``(X, n_components, weight, random_state) -> resp`` of distinct, standardised rows
and their positive weights, with ``resp`` of shape (N, K). It decides which clusters are found: training bends
components, but seldom moves them to other rows.
"""

import numpy as np
from scipy.optimize import linear_sum_assignment
from sklearn.utils import check_array

from ..partitions.automatic import automatic
from ..partitions.gaussian import gmm
from ..partitions.seeds import kmeans, kmeans_plus_plus, random, random_from_data
from ..partitions.spectral import spectral
from .numbers import as_floats
from .spreading import spread_labels

INITIALIZERS = {
    "auto": automatic,
    "gmm": gmm,
    "k-means++": kmeans_plus_plus,
    "kmeans": kmeans,
    "random": random,
    "random_from_data": random_from_data,
    "spectral": spectral,
}


def check_start(settings):
    """Raise a ValueError where `init_params` requires something of another parameter."""
    if settings.n_components == "auto" and settings.gives_responsibilities:
        raise ValueError("init_params as an array requires n_components as a number, not 'auto'.")


def given_responsibilities(init_params, n_samples, n_components):
    """`init_params` as responsibilities that sum to one, ndarray of shape (N, K)."""
    resp = check_array(as_floats(init_params, "init_params"), input_name="init_params")
    expected = n_samples, n_components
    if resp.shape != expected or (resp < 0).any() or not (resp.sum(1) > 0).all():
        raise ValueError(
            "init_params as an array must hold non-negative responsibilities, rows not all zero, of shape "
            f"(n_samples, n_components) = {expected}; got shape {resp.shape}."
        )
    return resp / resp.sum(1, keepdims=True)


def first_responsibilities(initializer, X, data, component_class, random_state):
    """Responsibilities that agree with the labels.

    Parameters
    ----------
    initializer : callable
        As those in `INITIALIZERS`; not called where `data` has responsibilities.
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
    classes = spread_labels(X, data.codes, data.clusters)
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
    resp = as_floats(initializer(X, n_components, weight, random_state), "What init_params as a callable returns")
    expected = len(X), n_components
    total = resp.sum(1) if resp.shape == expected else np.zeros(1)
    if (resp < 0).any() or not (np.isfinite(total) & (total > 0)).all():
        raise ValueError(
            "init_params as a callable must return finite, non-negative responsibilities, rows not all zero, of shape "
            f"(n_rows, n_components) = {expected}; got shape {resp.shape}."
        )
    return resp / total[:, None]


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
