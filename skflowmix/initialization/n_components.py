r"""How many clusters there are: as many as valleys of the density set apart.

Likelihood does not say it: two clusters described by four Gaussians each are as likely as one described by eight.
A cluster is here a hill of the density (Hartigan, 1975, Clustering Algorithms; Hennig, 2010, Methods for merging
Gaussian mixture components, Advances in Data Analysis and Classification 4). A partition that follows the valleys
has sparse rows along its borders; one that cuts through a hill has rows there that are as dense as any. So a border
between two clusters is judged by its *depth*, the chance that one of its rows is sparser than a row from within
either cluster, and a cluster by its shallowest border. Of all partitions, the one with the highest

.. math:: \sum_k (\text{depth}_k - .7)

says how many clusters there are; it is one where none is positive. A plain has depth one half, but the views look
for borders among sparse rows: at .65 one of 24 simulated hills and plains was split, at .7 none (docs/benchmarks.md).
"""

import warnings

import numpy as np

from .automatic import automatic, candidates, reduce_features
from .evidence import describe
from .reachability import spanning_tree
from .valleys import N_NEIGHBORS, SHALLOW, border_depths, find_neighbors

_MAX_ROWS = 1000
_MAX_PARTS = 30


def choose_n_components(X, weight, random_state, *, max_components=20):
    """The number of clusters, and the `auto` start with so many.

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
    scores = score_n_components(X, weight, random_state, max_components=max_components)
    n_components = max(scores, key=scores.__getitem__)
    if n_components == 1:
        return np.ones((len(X), 1)), 1, scores
    return automatic(X, n_components, weight, random_state), n_components, scores


def _sample(X, weight, random_state):
    if len(X) <= _MAX_ROWS:
        return X, weight / weight.mean()
    rows = random_state.choice(len(X), _MAX_ROWS, replace=False, p=weight / weight.sum())
    return X[np.sort(rows)], np.ones(_MAX_ROWS)


def score_n_components(X, weight, random_state, *, max_components=20):
    """The scores that `choose_n_components` goes by, without the start."""
    X, weight = _sample(X, weight, random_state)
    scores = {1: 0.0}
    largest = min(max_components, len(X) // N_NEIGHBORS)
    if largest < 2:
        return scores
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # starts that do not converge, or overflow, are judged like the others
        X = reduce_features(X, random_state)
        density, _ = describe(X, weight, random_state.randint(np.iinfo(np.int32).max), max_parts=_MAX_PARTS)
        edges, sparsity = spanning_tree(X), -density.log_prob(X)
        neighbors, _ = find_neighbors(X)
        for n_clusters in range(2, largest + 1):
            scores[n_clusters] = max(
                (border_depths(labels, neighbors, sparsity) - SHALLOW).sum()
                for labels in candidates(X, n_clusters, weight, edges, random_state)
            )
    return scores
