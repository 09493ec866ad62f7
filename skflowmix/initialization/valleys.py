"""Whether two neighbouring clusters are two, or one that was cut."""

import numpy as np
from sklearn.neighbors import NearestNeighbors

_N_NEIGHBORS = 7


def find_neighbors(X):
    """Nearest neighbours of rows, and how sparse the rows lie.

    Parameters
    ----------
    X : ndarray of shape (N, D)

    Returns
    -------
    neighbors : int ndarray of shape (N, M)
    sparsity : ndarray of shape (N,)
        Distance to the farthest of them.
    """
    search = NearestNeighbors(n_neighbors=min(_N_NEIGHBORS, len(X) - 1)).fit(X)
    distances, neighbors = search.kneighbors()
    return neighbors, distances[:, -1]


def valleys(labels, neighbors, sparsity):
    """How much of a valley of the density there is between the clusters that touch.

    A row on the boundary of two clusters is compared with rows inside each of them: the chance that it is the one
    that lies more sparsely is about one half where a cut goes through a single cluster, or below that for one of
    the two, and comes close to one where there is a gap.

    Parameters
    ----------
    labels : int ndarray of shape (N,)
    neighbors : int ndarray of shape (N, M)
    sparsity : ndarray of shape (N,)
        As `find_neighbors` returns them.

    Returns
    -------
    dict of (int, int) to float
        That chance for each pair of clusters in which some row has a neighbour in the other; the lower one of the
        two clusters' chances.
    """
    row, column = np.nonzero(labels[neighbors] != labels[:, None])
    other = neighbors[row, column]
    pairs = np.sort(np.column_stack([labels[row], labels[other]]), axis=1)
    inside = np.ones(len(labels), dtype=bool)
    inside[row] = False
    depth = {}
    for pair in np.unique(pairs, axis=0):
        touching = (pairs == pair).all(1)
        boundary = sparsity[np.unique([row[touching], other[touching]])]
        chances = [_chance_above(boundary, sparsity[inside & (labels == k)]) for k in pair]
        depth[int(pair[0]), int(pair[1])] = min(chances)
    return depth


def _chance_above(values, references):
    """Chance that one of the values exceeds one of the references, ties counted half; 0 without references."""
    if not len(references):
        return 0.0
    references = np.sort(references)
    below = np.searchsorted(references, values) + np.searchsorted(references, values, side="right")
    return float(below.mean() / (2 * len(references)))
