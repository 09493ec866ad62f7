"""A start that needs no choice: a few cheap, different partitions, and the one with the best evidence.

They are different views of what a cluster is: a piece of the density cut off by a gap (`reachability`), a piece
of the graph of neighbours where the graph determines it (`spectral`, in the given coordinates and in those in which
the average cluster is round), an ellipsoid (`gaussian`, with tied covariances, with covariances drawn to their mean,
and free), a ball (k-means).
"""

from functools import partial

import numpy as np
from sklearn.decomposition import PCA
from sklearn.metrics import adjusted_rand_score

from ..notes import note
from .gaussian import REG_COVAR, fit_gaussians
from .judge import weigh
from .normals import as_normals
from .reachability import reachability_cut, spanning_tree
from .rounding import Rounded
from .sampling import carry, followers, sample_rows
from .seeds import fit_kmeans, one_hot
from .spectral import cut
from .whitening import whitening

MAX_ROWS = 10_000
_N_DRAWS, _DRAWN_ROWS = 3, 5000
_MAX_FEATURES = 64
_SIZE_FRACTIONS = (0.5, 0.25, 0.1)
_CLEAR_GAP = 2.0


def automatic(X, n_components, weight, random_state):
    """The partition with the best evidence among a few.

    Of more than 10,000 rows there are three draws of 5,000, and the partition is taken that is most like those of the
    other two: what one draw finds by chance the others do not repeat. Rows that are left out follow their neighbours.
    """
    n_draws, max_rows = (1, MAX_ROWS) if len(X) <= MAX_ROWS else (_N_DRAWS, _DRAWN_ROWS)
    draws = [partition_of_some(X, n_components, weight, random_state, max_rows=max_rows)[:2] for _ in range(n_draws)]
    labels, rows = most_typical(X, draws)
    return one_hot(carry(labels, followers(X, rows)), n_components)


def most_typical(X, draws):
    """The labels, and the rows that have them, whose partition of all drawn rows agrees best with the others'."""
    drawn = np.unique(np.concatenate([rows for _, rows in draws]))
    X = X[drawn]
    partitions = [carry(labels, followers(X, np.searchsorted(drawn, rows))) for labels, rows in draws]
    agreement = [sum(adjusted_rand_score(other, own) for other in partitions) for own in partitions]
    return draws[int(np.argmax(agreement))]


def partition_of_some(X, n_components, weight, random_state, *, max_rows, borders=True):
    """The partition with the best evidence, of at most `max_rows` rows or ten a component.

    Returns
    -------
    labels : int ndarray of shape (n,)
    rows : int ndarray of shape (n,)
        Indices of the rows that have them.
    weight : ndarray of shape (n,)
    """
    rows, weight = sample_rows(weight, max(max_rows, 10 * n_components), random_state)
    recorded = reduce_features(X[rows], random_state)
    return _best_partition(recorded, n_components, weight, random_state, borders), rows, weight


def reduce_features(X, random_state):
    """Rows with what is known of their rounding; of wide data the leading principal components."""
    n_components, recorded = min(_MAX_FEATURES, len(X)), Rounded.of(X, random_state)
    if X.shape[1] <= n_components:
        return recorded
    pca = PCA(n_components, svd_solver="randomized", random_state=random_state).fit(X)
    return recorded.projected(pca.components_.T)


def _best_partition(recorded, n_clusters, weight, random_state, borders):
    if len(recorded) <= n_clusters + 1:
        return np.minimum(np.arange(len(recorded)), n_clusters - 1)
    note("gaps between the rows")
    found = candidates(recorded, n_clusters, weight, spanning_tree(recorded.spread), random_state)
    evidence = weigh(recorded, found, weight, random_state, borders=borders)
    note("normal clusters")
    normal = as_normals(recorded, found, evidence, random_state) if borders else None
    return found[evidence.best] if normal is None else normal


def candidates(recorded, n_clusters, weight, edges, random_state, *, least_gap=_CLEAR_GAP):
    """Partitions into exactly so many clusters.

    Ellipsoids with tied covariances, or with those drawn to their mean, start from the cuts of the graph as well, with
    a gap or without. Their likelihood is bounded, as that of free covariances is not (Day, 1969, Biometrika 56), so
    that more starts do not find more spurious maxima of it.

    Parameters
    ----------
    recorded : Rounded
    n_clusters : int
    weight : ndarray of shape (N,)
    edges : list of (int, int)
        Edges of the spanning tree of the rows' spread, from the shortest.
    random_state : RandomState
    least_gap : float, default=2.0
        With what gap (`spectral.cut`) a cut of the graph is a partition of its own; 2 is a gap as wide as what is
        below it.

    Returns
    -------
    list of int ndarray of shape (N,)
    """
    X = recorded.values
    note(f"partitions into {n_clusters}: k-means")
    models = [fit_kmeans(X, n_clusters, weight, random_state, n_init=1) for _ in range(3)]
    balls = [model.labels_ for model in sorted(models, key=lambda model: model.inertia_)]
    ellipsoids = partial(_ellipsoids, recorded, weight)
    note(f"partitions into {n_clusters}: ellipsoids of one shape")
    tied = ellipsoids(balls, tied=True)
    average_round = whitening(recorded, weight, [_most_likely(X, tied) if tied else balls[0]])
    graphs = recorded.spread, recorded.spread @ average_round
    note(f"partitions into {n_clusters}: cuts of the graph of neighbours")
    cuts = [_attempt(cut, coordinates, n_clusters, random_state) for coordinates in graphs]
    cuts = [found for found in cuts if found is not None and len(np.unique(found[0])) == n_clusters]
    pieces = [labels for labels, _ in cuts]
    note(f"partitions into {n_clusters}: ellipsoids")
    tied += ellipsoids(pieces, tied=True)
    shrunk = ellipsoids([*balls, *pieces], n_pseudo_rows=X.shape[1] + 1)
    views = [
        balls[0],
        *(_most_likely(X, fits) for fits in (tied, shrunk, ellipsoids(balls)) if fits),
        *(labels for labels, gap in cuts if gap > least_gap),
        *(_attempt(reachability_cut, edges, n_clusters, weight, fraction) for fraction in _SIZE_FRACTIONS),
    ]
    return [labels for labels in views if labels is not None and labels.max() + 1 == n_clusters] or balls[:1]


def _attempt(view, *args, **kwargs):
    """What a view finds; None where there is nothing or the arithmetic fails."""
    try:
        return view(*args, **kwargs)
    except (np.linalg.LinAlgError, RuntimeError, ValueError):
        return None


def _ellipsoids(recorded, weight, starts, **covariances):
    """A Gaussian mixture from each start that leads to one."""
    how = {"reg_covar": REG_COVAR + recorded.variance, **covariances}
    fits = [
        _attempt(fit_gaussians, recorded.values, weight, one_hot(start, start.max() + 1), **how) for start in starts
    ]
    return [fit for fit in fits if fit is not None]


def _most_likely(X, fits):
    """Labels by the Gaussian mixture with the highest likelihood."""
    labels = max(fits, key=lambda fit: fit.mean_log_prob).log_joint(X).argmax(1)
    return np.unique(labels, return_inverse=True)[1]
