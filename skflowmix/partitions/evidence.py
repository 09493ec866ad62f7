r"""How well a partition explains the rows, whatever made it.

Each cluster is described by its own small Gaussian mixture, as large as its own Bayesian information criterion
allows. A partition into clusters :math:`c` then has a density :math:`p(x) = \sum_c p(x, c)`. Four things speak
for it: that this density explains the rows with few parameters, that by this density rows belong to the cluster
they were given beyond doubt, that mutual neighbours are in the same cluster, and that a cluster is of one piece,

.. math:: -2 \overline{\log p(x)} / D + P \log n / (n D) + \overline{\log p(x) - \log p(x, c(x))}
          + \arcsin \sqrt m + \arcsin \sqrt q.

The second mean is what the integrated completed likelihood (Biernacki, Celeux and Govaert, 2000) adds to BIC: a
partition that cuts through a cluster pays by doubt for every row along the cut. The mixing m says the same without a
model: how many neighbours are in two clusters, as a share of what chance would give (one less the assortativity of
Newman, 2003, Mixing patterns in networks, Physical Review E 67, 026126). Neighbours are those in coordinates in which
the average cluster is round, so that units and slants of the features say nothing. Where a few Gaussians describe a
cluster badly, two halves of it with twice as many can seem better; neighbours know that they are not. The share counts
as an angle, the scale on which shares are equally uncertain everywhere (Bartlett, 1947, The use of transformations,
Biometrics 3): between no borders and few there is more than between many and some more. The graph of all mutual
neighbours falls into pieces (`pieces`), and q is the share of rows outside the piece that holds most of their cluster:
likelihood, doubt and mixing do not care whether a cluster is two islands. Clusters that cross lie in one piece of this
graph, which is that of the given coordinates, without background. Other weights of these prices were tried
(docs/notes/partitions-evidence.md). A density needs no borders, and pays for none.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy.sparse.csgraph import connected_components
from scipy.special import logsumexp
from sklearn.neighbors import NearestNeighbors

from .gaussian import fit_gaussians
from .graph import sparse_graph
from .seeds import kmeans

REG_COVAR = 1e-3
_MAX_PARTS = 8
_N_NEIGHBORS = 10
_NEIGHBORS_OF_PIECES = (10, 15, 22, 33, 50)
_FIRST_UNIFORM = 0.05


@dataclass(frozen=True)
class Description:
    """A partition as a density: each cluster a Gaussian mixture.

    Attributes
    ----------
    log_joint : ndarray of shape (N, K)
        Log-density of each row and each cluster, shares included.
    n_parts, n_parameters : int
        Of all mixtures.
    """

    log_joint: np.ndarray
    n_parts: int
    n_parameters: int

    @cached_property
    def log_prob(self):
        """Log-density, ndarray of shape (N,)."""
        return logsumexp(self.log_joint, axis=1)


def describe_clusters(X, labels, weight, rounding, random_state, *, known=None):
    """The description of a partition.

    Parameters
    ----------
    X : ndarray of shape (N, D)
    labels : int ndarray of shape (N,)
        Every cluster from 0 on has a row.
    weight : ndarray of shape (N,)
        With mean one.
    rounding : ndarray of shape (D,)
        Variance of the rounding of each feature.
    random_state : int
        Seed of the starts of each cluster's mixture.
    known : dict, default=None
        Keeps what was found for each cluster of these rows, for other partitions that have the same cluster.

    Returns
    -------
    Description
    """
    known = {} if known is None else known
    n_clusters = labels.max() + 1
    log_joint, n_parts, n_parameters = np.empty((len(X), n_clusters)), 0, n_clusters - 1
    for k in range(n_clusters):
        own = labels == k
        cluster = own.tobytes()
        if cluster not in known:
            fit, n_own = describe(X[own], weight[own], rounding, random_state)
            known[cluster] = fit.log_prob(X), len(fit.means), n_own
        log_prob, n_own_parts, n_own = known[cluster]
        log_joint[:, k] = log_prob + np.log(weight[own].sum() / len(X))
        n_parts, n_parameters = n_parts + n_own_parts, n_parameters + n_own
    return Description(log_joint, n_parts, n_parameters)


def row_costs(described, labels, weight, n_features, edges, *, piece=None):
    """What each row adds to the Bayesian information criterion, per feature, and to the prices of borders and pieces.

    Parameters
    ----------
    described : Description
        Of the partition.
    labels : int ndarray of shape (N,)
    weight : ndarray of shape (N,)
        With mean one.
    n_features : int
    edges : int ndarray of shape (E, 2), or None
        Neighbours, as from `mutual_neighbors`; with None neither doubt nor mixing has a price.
    piece : int ndarray of shape (N,), default=None
        To which piece of the graph each row belongs, as from `pieces`; with None pieces have no price.

    Returns
    -------
    ndarray of shape (N,)
        Their weighted mean is the cost of the partition; lower is better.
    """
    n, log_prob = len(labels), described.log_prob
    bic = (-2 * log_prob + described.n_parameters * np.log(n) / n) / n_features
    if edges is None:
        return bic
    doubt = log_prob - described.log_joint[np.arange(n), labels]
    prices = bic + doubt + _as_angle(row_mixing(labels, weight, edges), weight)
    return prices if piece is None else prices + _as_angle(row_apart(labels, weight, piece), weight)


def _as_angle(parts, weight):
    """Parts of a share, (N,), as parts of its angle."""
    share = np.average(parts, weights=weight)
    return parts * (np.arcsin(np.sqrt(min(share, 1.0))) / share) if share > 0 else np.zeros(len(parts))


def mutual_neighbors(X):
    """Pairs of rows that are both among the other's ten nearest: int ndarray of shape (E, 2), each pair twice.

    The nearest rows of a wide cluster can be those of a dense one within it, above all where there are many features;
    those of the dense one are its own.
    """
    return np.column_stack(_mutual(nearest_rows(X, _N_NEIGHBORS)).nonzero())


def nearest_rows(X, n_neighbors):
    """Each row's nearest other rows, the nearest first, int ndarray of shape (N, n_neighbors); of few rows all."""
    search = NearestNeighbors(n_neighbors=min(n_neighbors, len(X) - 1)).fit(X)
    return search.kneighbors(return_distance=False)


def _mutual(nearest):
    """The symmetric graph (N, N) of rows that name each other among those that are nearest, (N, k)."""
    n, k = nearest.shape
    graph = sparse_graph(np.repeat(np.arange(n), k), nearest.ravel(), np.ones(n * k), n)
    return graph.multiply(graph.T)


def pieces(X, of_clusters, n_clusters):
    """The connected pieces of the graph of mutual neighbours.

    With ten neighbours a long or sparse cluster may fall apart by chance; the more there are, the wider the gap between
    two pieces has to be. There are so many that the pieces are no more than the clusters.

    Parameters
    ----------
    X : ndarray of shape (N, D)
    of_clusters : bool ndarray of shape (N,)
        False for background, which is left out.
    n_clusters : int
        Pieces with no more rows than features are not counted.

    Returns
    -------
    int ndarray of shape (N,)
        -1 for background.
    """
    piece = np.full(len(X), -1)
    if of_clusters.sum() < 2:
        return piece
    nearest = nearest_rows(X[of_clusters], max(_NEIGHBORS_OF_PIECES))
    for n_neighbors in _NEIGHBORS_OF_PIECES:
        _, own = connected_components(_mutual(nearest[:, :n_neighbors]), directed=False)
        if (np.bincount(own) > X.shape[1]).sum() <= n_clusters:
            break
    piece[of_clusters] = own
    return piece


def row_apart(labels, weight, piece):
    """Which rows are outside the piece that holds most of their cluster: 0 or 1 each, ndarray of shape (N,)."""
    held = np.zeros((labels.max() + 1, max(piece.max(), 0) + 2))  # the last column is background's
    np.add.at(held, (labels, piece), weight)
    main = held[:, :-1].argmax(1)
    return ((piece != main[labels]) & (piece >= 0)).astype(float)


def row_mixing(labels, weight, edges):
    """How many neighbours of each row are in another cluster, scaled so that their weighted mean is the mixing.

    The mixing is the number of such neighbours as a share of what labels dealt out at random would give.

    Parameters
    ----------
    labels : int ndarray of shape (N,)
    weight : ndarray of shape (N,)
        An edge counts by its first row's.
    edges : int ndarray of shape (E, 2)

    Returns
    -------
    ndarray of shape (N,)
        0 where no neighbours are parted, as in a single cluster.
    """
    first, second = labels[edges].T
    count = weight[edges[:, 0]]
    parted = np.bincount(edges[:, 0], first != second, minlength=len(labels))
    if not parted.any():
        return parted
    by_chance = 1 - (np.bincount(first, count) ** 2).sum() / count.sum() ** 2
    return parted * weight.sum() / count.sum() / by_chance


def describe(
    X,
    weight,
    rounding,
    random_state,
    *,
    min_parts=1,
    max_parts=_MAX_PARTS,
    log_uniform=-np.inf,
    max_iter=30,
    tol=1e-2,
):
    """The Gaussian mixture of some rows with the lowest BIC, and its number of parameters.

    Covariances are diagonal or, of more than 2 D rows, free, whichever is better: of many features most may have
    nothing to do with each other. Every size up to eight is tried, and then each by a fifth larger: BIC of a ring with
    few parts is no guide to that with many. Beside the Gaussians there may be a component that stays uniform.

    Parameters
    ----------
    X : ndarray of shape (N, D)
    weight : ndarray of shape (N,)
    rounding : ndarray of shape (D,)
    random_state : int
    min_parts, max_parts : int, default=1, 8
        The smallest size is tried however few rows there are.
    log_uniform : float, default=-inf
        Log-density of the uniform component; none by default.
    max_iter, tol : default=30, 1e-2
        When expectation-maximisation ends, as of `fit_gaussians`.

    Returns
    -------
    fit : GaussianFit
    n_parameters : int
        Of the Gaussians.
    """
    n, d = X.shape
    diagonal_or_free = [True, False] if n > 2 * d > 2 else [True]
    first_share = 1.0 if log_uniform == -np.inf else 1 - _FIRST_UNIFORM
    how = {"log_uniform": log_uniform, "reg_covar": REG_COVAR + rounding, "max_iter": max_iter, "tol": tol}
    best, lowest, n_parts = None, np.inf, min_parts
    while n_parts == min_parts or (n_parts <= max_parts and n >= 2.5 * n_parts * (d + 1)):
        start = first_share * kmeans(X, n_parts, weight, random_state, n_init=1)
        for diagonal in diagonal_or_free:
            fit = fit_gaussians(X, weight, start, diagonal=diagonal, **how)
            n_parameters = n_parts * (1 + d + (d if diagonal else d * (d + 1) // 2)) - 1
            bic = -2 * fit.mean_log_prob * weight.sum() + n_parameters * np.log(n)
            if best is None or bic < lowest:
                best, lowest = (fit, n_parameters), bic
        n_parts = max(n_parts + 1, round(1.2 * n_parts))
    return best
