"""Pieces of the density that are cut off from each other by a gap."""

import numpy as np
from scipy.cluster.hierarchy import cophenet, linkage
from scipy.sparse.csgraph import minimum_spanning_tree
from scipy.spatial.distance import pdist
from sklearn.neighbors import NearestNeighbors

from .graph import sparse_graph

_CORE_NEIGHBOR = 4


def reachability_cut(edges, n_clusters, weight, fraction):
    """Cut the single linkage tree at the highest level that has enough clusters of sufficient size.

    Above the cut these stay apart, and small clusters go on joining others. What they become counts as another cluster
    once it is as large as the smallest of the K.

    Parameters
    ----------
    edges : list of N - 1 pairs of int
        The rows' `spanning_tree`.
    n_clusters : int
        Number K of clusters wanted.
    weight : ndarray of shape (N,)
    fraction : float
        A large cluster has at least this share of the mean weight of a cluster, ``weight.sum() / K``.

    Returns
    -------
    int ndarray of shape (N,), or None
        Labels from 0 to K - 1. None where no level has exactly K large clusters, or where small ones become another
        one above it, which is a sign that there are more than K.
    """
    smallest = fraction * weight.sum() / n_clusters
    forest = _Forest(weight, smallest)
    n_large = [forest.join(a, b) for a, b in edges]
    levels = np.flatnonzero(np.array(n_large) == n_clusters)
    if not len(levels):
        return None
    forest = _Forest(weight, smallest)
    below, above = edges[: levels[-1] + 1], edges[levels[-1] + 1 :]
    for a, b in below:
        forest.join(a, b)
    forest.smallest = forest.least_large()
    for a, b in above:
        forest.join(a, b, keep_apart=True)
    clusters, labels = np.unique([forest.root(i) for i in range(len(weight))], return_inverse=True)
    return labels if len(clusters) == n_clusters else None


def spanning_tree(X):
    """Edges of the minimum spanning tree of mutual reachability, the shortest first, as pairs of indices.

    Mutual reachability is the distance of two rows, or either row's distance to its fourth neighbour if that is
    larger (Campello, Moulavi and Sander, 2013: HDBSCAN).
    """
    reach = _mutual_reachability(X)
    # An edge of the tree joins rows that no path of shorter edges joins. There are few of those: scipy's tree of all
    # edges takes ten times as long.
    shortest = np.flatnonzero(reach == cophenet(linkage(reach, "single")))
    first_pair = np.cumsum([0, *range(len(X) - 1, 0, -1)])
    first = np.searchsorted(first_pair, shortest, side="right") - 1
    second = shortest - first_pair[first] + first + 1
    tree = minimum_spanning_tree(sparse_graph(first, second, reach[shortest], len(X))).tocoo()
    order = np.argsort(tree.data, kind="stable")
    return list(zip(tree.row[order].tolist(), tree.col[order].tolist(), strict=True))


def _mutual_reachability(X):
    """Positive, of all pairs in the order of `pdist`, ndarray of shape (N (N - 1) / 2,)."""
    n_neighbors = min(_CORE_NEIGHBOR, len(X) - 1)
    core = NearestNeighbors(n_neighbors=n_neighbors).fit(X).kneighbors()[0][:, -1].clip(np.finfo(float).tiny)
    reach, start = pdist(X), 0
    for i in range(len(X) - 1):
        pairs = reach[start : start + len(X) - 1 - i]
        np.maximum(pairs, np.maximum(core[i + 1 :], core[i]), out=pairs)
        start += len(pairs)
    return reach


class _Forest:
    """Disjoint sets of rows that know how many of them are large."""

    def __init__(self, weight, smallest):
        self.parent, self.weight = list(range(len(weight))), weight.tolist()
        self.smallest = float(smallest) * (1 - 1e-9)
        self.n_large = sum(w >= self.smallest for w in self.weight)

    def root(self, i):
        while self.parent[i] != i:
            self.parent[i] = self.parent[self.parent[i]]
            i = self.parent[i]
        return i

    def least_large(self):
        """Weight of the smallest large set."""
        roots = {self.root(i) for i in range(len(self.parent))}
        return min(self.weight[i] for i in roots if self.weight[i] >= self.smallest)

    def join(self, a, b, *, keep_apart=False):
        """Unite two rows' sets, unless both are large and to be kept apart; the number of large sets."""
        a, b = sorted((self.root(a), self.root(b)), key=self.weight.__getitem__)
        n_joined = (self.weight[a] >= self.smallest) + (self.weight[b] >= self.smallest)
        if not (keep_apart and n_joined == 2):
            self.parent[a] = b
            self.weight[b] += self.weight[a]
            self.n_large += (self.weight[b] >= self.smallest) - n_joined
        return self.n_large
