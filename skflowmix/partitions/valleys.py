"""Whether two neighbouring clusters are two, or one that was cut."""

import numpy as np
from sklearn.neighbors import NearestNeighbors

N_NEIGHBORS = 7


def neighbor_edges(X, n_neighbors=N_NEIGHBORS):
    """The graph of nearest neighbours, and how sparsely it runs.

    Parameters
    ----------
    X : ndarray of shape (N, D)
    n_neighbors : int, default=7

    Returns
    -------
    edges : int ndarray of shape (E, 2)
        Each row with each of its nearest rows; none for a single row.
    sparsity : ndarray of shape (E,)
        The greater of the two rows' distances to their last neighbour.
    """
    if len(X) < 2:
        return np.empty((0, 2), dtype=int), np.empty(0)
    search = NearestNeighbors(n_neighbors=min(n_neighbors, len(X) - 1)).fit(X)
    distances, neighbors = search.kneighbors()
    edges = np.column_stack([np.repeat(np.arange(len(X)), neighbors.shape[1]), neighbors.ravel()])
    return edges, distances[:, -1][edges].max(1)


def valleys(labels, edges, sparsity):
    """How much of a valley of the density there is between the clusters that touch.

    Edges from one cluster to another are compared with edges within each of them: the chance that the crossing one is
    the sparser is one half where a cut goes through a plain, less through a hill, and comes close to one where
    there is a gap. A row of the background is near some cluster, but the edge that takes it there is sparse.

    Parameters
    ----------
    labels : int ndarray of shape (N,)
    edges : int ndarray of shape (E, 2)
        Rows that are neighbours.
    sparsity : ndarray of shape (E,)
        Any decreasing function of the density along each edge.

    Returns
    -------
    dict of (int, int) to float
        That chance, the *depth*, for each pair of clusters that an edge joins; the lower one of the two clusters'
        chances, 0 where one has no edges within.
    """
    n_labels = int(labels.max()) + 1
    low, high = np.sort(labels[edges], axis=1).T
    inner = {k: np.sort(sparsity[(low == k) & (high == k)]) for k in range(n_labels)}
    pairs = np.where(low < high, low * n_labels + high, -1)
    depths = {}
    for code in np.unique(pairs[pairs >= 0]):
        crossing, pair = sparsity[pairs == code], divmod(int(code), n_labels)
        depths[pair] = min(_chance_above(crossing, inner[k]) for k in pair)
    return depths


def border_depths(depths, n_clusters):
    """Depth of each cluster's shallowest border.

    Parameters
    ----------
    depths : dict of (int, int) to float
        Of pairs of clusters that touch.
    n_clusters : int

    Returns
    -------
    ndarray of shape (n_clusters,)
        1 for a cluster that touches none.
    """
    shallowest = np.ones(n_clusters)
    for pair, depth in depths.items():
        shallowest[list(pair)] = np.minimum(shallowest[list(pair)], depth)
    return shallowest


def _chance_above(values, ordered):
    """The chance that one of the values is above one of the others, ties counting half; 0 without others."""
    if not len(ordered):
        return 0.0
    ranks = np.searchsorted(ordered, values, "left") + np.searchsorted(ordered, values, "right")
    return float(ranks.mean() / (2 * len(ordered)))
