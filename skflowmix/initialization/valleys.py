"""Whether two neighbouring clusters are two, or one that was cut."""

import numpy as np
from sklearn.neighbors import NearestNeighbors

N_NEIGHBORS = 7
SHALLOW = 0.7  # the first multiple of .05 at which simulated hills and plains stay whole; docs/benchmarks.md


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
    search = NearestNeighbors(n_neighbors=min(N_NEIGHBORS, len(X) - 1)).fit(X)
    distances, neighbors = search.kneighbors()
    return neighbors, distances[:, -1]


def valleys(labels, neighbors, sparsity):
    """How much of a valley of the density there is between the clusters that touch.

    A row on the border of two clusters is compared with rows inside each of them: the chance that it is the one
    that lies more sparsely is about one half where a cut goes through a single cluster, or below that for one of
    the two, and comes close to one where there is a gap.

    Parameters
    ----------
    labels : int ndarray of shape (N,)
    neighbors : int ndarray of shape (N, M)
        Indices of each row's nearest rows.
    sparsity : ndarray of shape (N,)
        Any decreasing function of the density.

    Returns
    -------
    dict of (int, int) to float
        That chance, the *depth*, for each pair of clusters in which some row has a neighbour in the other; the lower
        one of the two clusters' chances, 0 where one is all border.
    """
    crossing = row, _ = np.nonzero(labels[neighbors] != labels[:, None])
    other = neighbors[crossing]
    within = np.ones(len(labels), dtype=bool)
    within[row] = within[other] = False
    inner = {k: np.sort(sparsity[within & (labels == k)]) for k in np.unique(labels)}
    n_labels = labels.max() + 1
    pairs = np.minimum(labels[row], labels[other]) * n_labels + np.maximum(labels[row], labels[other])
    depths = {}
    for code in np.unique(pairs):
        border = sparsity[np.union1d(row[pairs == code], other[pairs == code])]
        low, high = divmod(int(code), int(n_labels))
        depths[low, high] = min(_chance_above(border, inner[k]) for k in (low, high))
    return depths


def border_depths(labels, neighbors, sparsity):
    """Depth of each cluster's shallowest border.

    Parameters
    ----------
    labels : int ndarray of shape (N,)
        From 0 to K - 1.
    neighbors, sparsity : ndarrays
        As in `valleys`.

    Returns
    -------
    ndarray of shape (K,)
        1 for a cluster whose rows are no neighbours of others'.
    """
    shallowest = np.ones(labels.max() + 1)
    for pair, depth in valleys(labels, neighbors, sparsity).items():
        shallowest[list(pair)] = np.minimum(shallowest[list(pair)], depth)
    return shallowest


def _chance_above(values, ordered):
    """The chance that one of the values is above one of the others, ties counting half; 0 without others."""
    if not len(ordered):
        return 0.0
    ranks = np.searchsorted(ordered, values, "left") + np.searchsorted(ordered, values, "right")
    return float(ranks.mean() / (2 * len(ordered)))
