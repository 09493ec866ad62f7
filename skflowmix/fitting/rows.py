"""The rows that a fit learns from: distinct, weighted, standardised, and split for validation."""

from dataclasses import dataclass, field, replace
from typing import NamedTuple

import numpy as np
from sklearn.neighbors import NearestNeighbors

from .labels import UNLABELLED
from .start import given_responsibilities

_N_NEIGHBORS = 5
_NEIGHBORHOOD = 10_000


class Table(NamedTuple):
    """Rows as a user gives them, each column valid by itself.

    Attributes
    ----------
    X : ndarray of shape (n_samples, D)
    y : ndarray of shape (n_samples,), or None
    weight : ndarray of shape (n_samples,)
        Non-negative, some positive.
    """

    X: np.ndarray
    y: np.ndarray | None
    weight: np.ndarray


@dataclass(frozen=True)
class TrainingSet:
    """Distinct rows in a canonical order.

    Attributes
    ----------
    X : ndarray of shape (N, D)
    classes : ndarray of shape (n_classes,)
        Sorted labels; empty where no row has one.
    codes : int ndarray of shape (N,)
        Each row's class, -1 for unlabelled; classes have the order in which the rows first have them.
    weight : ndarray of shape (N,)
        Total sample weight of the rows that were merged, all positive; as from `effective_weights`.
    resp : ndarray of shape (N, K) or None
        First responsibilities, where the caller gave them.
    order : int ndarray of shape (n_classes,)
        Which of the sorted classes each code stands for.
    clusters : int ndarray of shape (N,) or None
        The class of each row by the clusters that the labels name, as from `class_clusters.with_clusters`.
    """

    X: np.ndarray
    codes: np.ndarray
    weight: np.ndarray
    resp: np.ndarray | None = None
    classes: np.ndarray = field(default_factory=lambda: np.array([], dtype=int))
    order: np.ndarray = field(default_factory=lambda: np.array([], dtype=int))
    clusters: np.ndarray | None = None

    def of_components(self, components):
        """The same, with the first responsibilities of components in that order."""
        return self if self.resp is None else replace(self, resp=self.resp[:, components])


def training_set(table, settings, recipe):
    """The rows that count, with codes for their labels.

    Parameters
    ----------
    table : Table
    settings : Settings
    recipe : Recipe

    Returns
    -------
    TrainingSet

    Raises
    ------
    ValueError
        If labels are no labels, or fewer than two distinct rows count.
    """
    X, y, weight = table
    used = weight > 0
    classes, codes = recipe.encode(None if y is None else y[used], used.sum())
    resp = None
    if settings.gives_responsibilities:
        n_components = len(recipe.component_classes(settings.n_components, len(classes)))
        resp = given_responsibilities(settings.init_params, len(X), n_components)[used]
    data = merge_repeated_rows(X[used], codes, weight[used], resp)
    if len(data.X) < 2:
        raise ValueError(f"Found {len(data.X)} distinct row(s) of positive weight; at least 2 are required.")
    return replace(data, classes=classes, weight=effective_weights(data.weight))


def effective_weights(weight):
    """Weights in units in which their sum is how many rows of equal weight tell as much.

    That number is Kish's (1965, Survey sampling); so units of weights change nothing, and where a number of rows is
    needed it is the sum of the weights.
    """
    weight = weight / weight.max()
    return weight * (weight.sum() / (weight @ weight))


def merge_repeated_rows(X, codes, weight, resp=None):
    """Merge equal rows of equal label into one that has their total weight.

    The result depends neither on the order of the rows, nor on the names of the classes, nor on whether a repetition is
    written as a weight, and no copy of a training row can stand among the validation rows.

    Returns
    -------
    TrainingSet
    """
    _, place = np.unique(X, axis=0, return_inverse=True)
    place = place.ravel()  # a column in NumPy 2.0
    order = _order_of_classes(place, codes, weight)
    codes = np.append(np.argsort(order), UNLABELLED)[codes]
    _, first, merged = np.unique(place * (len(order) + 1) + codes + 1, return_index=True, return_inverse=True)
    total = np.bincount(merged, weight)
    if resp is not None:
        resp = np.stack([np.bincount(merged, weight * column) for column in resp.T], axis=1) / total[:, None]
    return TrainingSet(X[first], codes[first], total, resp, order=order)


def _order_of_classes(place, codes, weight):
    """Codes of the classes by the places of their rows, and the weights there, which do not depend on their names."""

    def key(code):
        rows = codes == code
        places, at = np.unique(place[rows], return_inverse=True)
        return places.astype(">i8").tobytes(), np.bincount(at, weight[rows]).tobytes()

    return np.array(sorted(range(codes.max(initial=UNLABELLED) + 1), key=key), dtype=int)


def split_rows(data, settings, random_state):
    """For each member of an average, indices of the rows to learn from and of those to hold out."""
    if not settings.early_stopping:
        return [(np.arange(len(data.X)), np.array([], dtype=int))] * settings.n_estimators
    return validation_splits(data.codes, settings.validation_fraction, settings.n_estimators, random_state)


def validation_splits(codes, fraction, n_splits, random_state):
    """Split rows at random, the same share of every class and of the unlabelled rows, rounded down.

    Parameters
    ----------
    codes : int ndarray of shape (N,)
    fraction : float
    n_splits : int
        Each has other validation rows, until all rows have been some.
    random_state : RandomState

    Returns
    -------
    list of (int ndarray, int ndarray)
        Indices of the rows to learn from and of those to hold out, sorted, as many in each split. Few rows may leave
        the second one empty.
    """
    chosen: list[list] = [[] for _ in range(n_splits)]
    for code in range(UNLABELLED, codes.max(initial=UNLABELLED) + 1):
        order = random_state.permutation(np.flatnonzero(codes == code))
        size = int(fraction * len(order))
        for i, of_split in enumerate(chosen):
            of_split.append(order.take(np.arange(i * size, (i + 1) * size), mode="wrap"))
    validations = [np.sort(np.concatenate(of_split)) for of_split in chosen]
    return [(np.setdiff1d(np.arange(len(codes)), validation), validation) for validation in validations]


def nearest_neighbors(X, codes, random_state):
    """Neighbours of each row, for the noise of the training steps.

    Moving rows towards and away from their neighbours is a smoothed bootstrap whose kernel adapts to the density and
    follows the shape of the data (Silverman and Young, 1987, Biometrika 74; Chawla et al., 2002, SMOTE,
    arXiv:1106.1813).

    Parameters
    ----------
    X : ndarray of shape (N, D)
    codes : int ndarray of shape (N,)
        Neighbours have the same code.
    random_state : RandomState
        Divides many rows into neighbourhoods in which neighbours are sought, to keep the cost linear in N.

    Returns
    -------
    neighbors : int ndarray of shape (N, 5)
        Rows alone of their code are their own neighbours.
    scale : float
        Ratio, about, of the distance to a nearest neighbour to that of the nearest in the neighbourhood.
    """
    neighbors = np.repeat(np.arange(len(X))[:, None], _N_NEIGHBORS, axis=1)
    n_parts = -(-len(X) // _NEIGHBORHOOD)
    for code in np.unique(codes):
        for part in np.array_split(random_state.permutation(np.flatnonzero(codes == code)), n_parts):
            n_found = min(_N_NEIGHBORS, len(part) - 1)
            if n_found:
                found = NearestNeighbors(n_neighbors=n_found).fit(X[part]).kneighbors(return_distance=False)
                neighbors[part] = np.resize(part[found].T, (_N_NEIGHBORS, len(part))).T
    return neighbors, n_parts ** (-1 / X.shape[1])
