r"""How many clusters there are: as many as valleys and narrows of the density set apart.

Likelihood does not say it: two clusters described by four Gaussians each are as likely as one described by eight.
A cluster is here a hill of the density (Hartigan, 1975, Clustering Algorithms; Hennig, 2010, Methods for merging
Gaussian mixture components, Advances in Data Analysis and Classification 4). Two things are asked of a border between
clusters that touch: whether the density is lower there than within them (`valleys`), and whether it is a narrow place
(`narrows`). Both are one half where a partition cuts through a plain, and close to one where there is a gap. The
*depth* of a border is their mean, that of a cluster the depth of its shallowest border. Of all partitions, the one with
the highest

.. math:: \sum_k (\text{depth}_k - .55)

says how many clusters there are; it is one where none has more than .2. The views look for borders among sparse rows,
and find some in a plain: these two numbers are such that nearly nine of ten simulated hills and plains stay whole
(docs/notes/number-of-clusters.md).

The density is the mean of several Gaussian mixtures, each of another draw of the rows (Breiman, 1996, Bagging
predictors, Machine Learning 24): a single one has valleys wherever two of its parts meet.
"""

import numpy as np
from scipy.special import logsumexp

from ..notes import note
from .automatic import candidates, reduce_features
from .evidence import describe
from .narrows import narrows, neighbor_graph
from .reachability import spanning_tree
from .sampling import carry, followers, sample_rows
from .seeds import one_hot
from .valleys import N_NEIGHBORS, border_depths, neighbor_edges, valleys

_MAX_ROWS = 3000
_MAX_VIEWED = 1000
_N_DENSITIES, _DRAWN, _MAX_PARTS = 8, 0.632, 60
_SHALLOW = 0.55
_ONE_CLUSTER = 0.2


def choose_n_components(X, weight, random_state, *, min_tried=20):
    """The number of clusters, and the partition that shows it.

    Parameters
    ----------
    X : ndarray of shape (N, D)
        Distinct, standardised rows.
    weight : ndarray of shape (N,)
    random_state : RandomState
    min_tried : int, default=20
        Numbers up to this one are tried, and on up to twice the best one so far.

    Returns
    -------
    resp : ndarray of shape (N, K)
    n_components : int
        K.
    scores : dict of int to float
        For each number of clusters that was tried the score of its best partition; .2 for one cluster.
    """
    rows, weight = sample_rows(weight, _MAX_ROWS, random_state)
    best, scores = _search(X[rows], weight, random_state, min_tried)
    n_components = int(best.max()) + 1
    return one_hot(carry(best, followers(X, rows)), n_components), n_components, scores


def _search(X, weight, random_state, min_tried):
    """The labels with the highest score, and the scores."""
    best, scores = np.zeros(len(X), dtype=int), {1: _ONE_CLUSTER}
    largest = min(len(X), _MAX_VIEWED) // N_NEIGHBORS
    if largest < 2:
        return best, scores
    views = _Views(reduce_features(X, random_state), weight, random_state)
    for n_clusters in range(2, largest + 1):
        if n_clusters > max(min_tried, 2 * (best.max() + 1)):
            break
        note(f"{n_clusters} clusters: how well borders set them apart")
        score, labels = views.best(n_clusters)
        if score > max(scores.values()):
            best = labels
        scores[n_clusters] = score
    return best, scores


class _Views:
    """Partitions of some rows, and how well valleys and narrows set their clusters apart."""

    def __init__(self, recorded, weight, random_state):
        viewed, self.viewed_weight = sample_rows(weight, _MAX_VIEWED, random_state)
        self.viewed, self.following = recorded.rows(viewed), followers(recorded.spread, viewed)
        self.tree = spanning_tree(self.viewed.spread)
        self.weight, self.random_state, self.scores = weight, random_state, {}
        self.edges, _ = neighbor_edges(recorded.spread)
        self.graph = neighbor_graph(self.edges, len(weight))
        self.sparsity = _sparsity(recorded, weight, self.edges, random_state)

    def best(self, n_clusters):
        """The highest score among partitions into so many clusters, and the labels that have it.

        Cuts that the graph does not determine are among them, since a valley shows whether they are right.
        """
        views = candidates(self.viewed, n_clusters, self.viewed_weight, self.tree, self.random_state, least_gap=0)
        partitions = [carry(labels, self.following) for labels in views]
        scores = [self.score(labels) for labels in partitions]
        return max(scores), partitions[int(np.argmax(scores))]

    def score(self, labels):
        """How far the shallowest borders of the clusters are above what a plain has, summed up."""
        partition = labels.tobytes()
        if partition not in self.scores:
            depths, shares = valleys(labels, self.edges, self.sparsity), narrows(labels, self.graph, self.weight)
            depths = {pair: (depth + shares[pair]) / 2 for pair, depth in depths.items()}
            self.scores[partition] = float((border_depths(depths, labels.max() + 1) - _SHALLOW).sum())
        return self.scores[partition]


def _sparsity(recorded, weight, edges, random_state):
    """How low the density is along each edge, at its ends or its middle, whichever is lower: ndarray of shape (E,)."""
    between, size = recorded.spread[edges].mean(1), max(int(_DRAWN * len(weight)), 2)
    at_rows, at_edges = [], []
    for number in range(_N_DENSITIES):
        note(f"density {number + 1} of {_N_DENSITIES}, for the valleys between clusters")
        drawn = random_state.choice(len(weight), size, replace=False)
        own, seed = weight[drawn] / weight[drawn].mean(), random_state.randint(np.iinfo(np.int32).max)
        density, _ = describe(recorded.values[drawn], own, recorded.variance, seed, max_parts=_MAX_PARTS)
        at_rows.append(density.log_prob(recorded.spread))
        at_edges.append(density.log_prob(between))
    return -np.minimum(logsumexp(at_rows, axis=0)[edges].min(1), logsumexp(at_edges, axis=0))
