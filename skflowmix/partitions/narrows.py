"""Whether the border of two clusters is a narrow place, or cuts through one of them."""

import numpy as np
from scipy.sparse.csgraph import dijkstra

from .graph import sparse_graph
from .seeds import one_hot


def neighbor_graph(edges, n_rows):
    """Which rows are neighbours, in either direction: sparse array of shape (N, N), positive where they are."""
    first, second = np.concatenate([edges, edges[:, ::-1]]).T
    return sparse_graph(first, second, np.ones(len(first)), n_rows)


def narrows(labels, graph, weight):
    """How narrow the border between clusters that touch is, compared with the clusters behind it.

    A cluster's rows lie in layers behind a border, by how many steps from neighbour to neighbour they are away. Where a
    cut goes through a plain or a hill, the first layer is as large as those that follow; at the neck between two
    clusters, and in a valley between them, it is small. The depth of a valley needs an estimate of the density, which
    may have valleys of its own; layers are counts of rows.

    Parameters
    ----------
    labels : int ndarray of shape (N,)
    graph : sparse array of shape (N, N)
        As from `neighbor_graph`.
    weight : ndarray of shape (N,)

    Returns
    -------
    dict of (int, int) to float
        For each pair of clusters with neighbouring rows ``L / (L + B)``, with the mean size L of the layer that a row
        of the cluster is in and that of the first layer, B; the lower one of the two clusters'. Rows that no path leads
        to count as those of the largest layer. One half where layers are of one size.
    """
    n_labels = int(labels.max()) + 1
    shares: dict[tuple[int, int], float] = {}
    beside = graph @ one_hot(labels, n_labels) > 0
    for k in range(n_labels):
        rows = np.flatnonzero(labels == k)
        inside = graph[rows][:, rows]
        for other in np.flatnonzero(beside[rows].any(0)):
            if other != k:
                steps = dijkstra(inside, indices=np.flatnonzero(beside[rows, other]), unweighted=True, min_only=True)
                pair = (min(k, int(other)), max(k, int(other)))
                shares[pair] = min(shares.get(pair, 1.0), _share(steps, weight[rows]))
    return shares


def _share(steps, weight):
    reached = np.isfinite(steps)
    layers = np.bincount(steps[reached].astype(int), weight[reached])
    typical = (layers @ layers + weight[~reached].sum() * layers.max()) / weight.sum()
    return float(typical / (typical + layers[0]))
