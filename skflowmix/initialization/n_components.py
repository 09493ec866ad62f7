r"""How many clusters there are: as many as valleys of the density set apart.

Likelihood does not say it: two clusters described by four Gaussians each are as likely as one described by eight.
A cluster is here a hill of the density (Hartigan, 1975, Clustering Algorithms; Hennig, 2010, Methods for merging
Gaussian mixture components, Advances in Data Analysis and Classification 4). Between neighbouring rows of two
hills the density, that of a Gaussian mixture with as many parts as the rows allow, is lower than between those of
one; where a partition cuts through a hill it is as high as any. So a border between two clusters is judged by its
*depth* (`valleys`), and a cluster by its shallowest border. Of all partitions, the one with the highest

.. math:: \sum_k (\text{depth}_k - .7)

says how many clusters there are; it is one where none is positive. A plain has depth one half, but the views look
for borders among sparse rows: at .65 several simulated plains were split, at .7 one of 54 hills and plains
(docs/benchmarks.md).
"""

import warnings

import numpy as np

from ..threads import one_thread
from .automatic import candidates, carry, followers, reduce_features, sample_rows
from .evidence import describe
from .reachability import spanning_tree
from .seeds import one_hot
from .valleys import N_NEIGHBORS, SHALLOW, border_depths, neighbor_edges

_MAX_ROWS = 3000
_MAX_VIEWED = 1000
_MAX_PARTS = 60


@one_thread()
def choose_n_components(X, weight, random_state, *, max_components=20):
    """The number of clusters, and the partition that shows it.

    Parameters
    ----------
    X : ndarray of shape (N, D)
        Distinct, standardised rows.
    weight : ndarray of shape (N,)
    random_state : RandomState
    max_components : int, default=20

    Returns
    -------
    resp : ndarray of shape (N, K)
    n_components : int
        K.
    scores : dict of int to float
        For each number of clusters that was tried the score of its best partition; 0 for one cluster.
    """
    rows, weight = sample_rows(weight, _MAX_ROWS, random_state)
    best, scores = np.zeros(len(rows), dtype=int), {1: 0.0}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # starts that do not converge, or overflow, are judged like the others
        for score, labels in _scored_partitions(X[rows], weight, max_components, random_state):
            n_clusters = int(labels.max()) + 1
            if score > max(scores.values()):
                best = labels
            scores[n_clusters] = max(score, scores.get(n_clusters, -np.inf))
    n_components = int(best.max()) + 1
    return one_hot(carry(best, followers(X, rows)), n_components), n_components, scores


def _scored_partitions(X, weight, max_components, random_state):
    """Pairs of a score and a partition, all views of all numbers of clusters from two.

    Cuts that the graph does not determine are among them, since a valley shows whether they are right.
    """
    viewed, viewed_weight = sample_rows(weight, _MAX_VIEWED, random_state)
    largest = min(max_components, len(viewed) // N_NEIGHBORS)
    if largest < 2:
        return
    recorded = reduce_features(X, random_state)
    seed, X = random_state.randint(np.iinfo(np.int32).max), recorded.spread
    density, _ = describe(recorded.values, weight, recorded.variance, seed, max_parts=_MAX_PARTS)
    edges, _ = neighbor_edges(X)
    sparsity = np.maximum(-density.log_prob(X)[edges].min(1), -density.log_prob(X[edges].mean(1)))
    seen, tree, following = recorded.rows(viewed), spanning_tree(X[viewed]), followers(X, viewed)
    for n_clusters in range(2, largest + 1):
        for labels in candidates(seen, n_clusters, viewed_weight, tree, random_state, least_gap=0):
            labels = carry(labels, following)
            yield float((border_depths(labels, edges, sparsity) - SHALLOW).sum()), labels
