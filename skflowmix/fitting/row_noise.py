r"""How rows are blurred in training: along the ways to their neighbours, and a part of it each feature by itself.

Rows moved along the ways to their neighbours are a smoothed bootstrap whose kernel adapts to the density and follows
the shape of the data (Silverman and Young, 1987, Biometrika 74; Chawla et al., 2002, SMOTE, arXiv:1106.1813). Of few
rows of many features a handful of ways spans little of the space, and across them a flow would learn rows by heart:
isolated ones, outliers say, above all. So the kernel's covariance :math:`C` is shrunk towards its diagonal, as a
covariance of few rows should be (Schäfer and Strimmer, 2005, doi:10.2202/1544-6115.1175),
:math:`(1 - s) C + s \operatorname{diag} C`: an isolated row is blurred as widely as it is isolated in each feature.
Where features depend on each other sharply, and rows enough tell how, s has to be zero. The kernel density estimate of
some rows that describes others best tells which s that is.
"""

import numpy as np
from scipy.special import logsumexp
from scipy.stats import norm
from sklearn.neighbors import NearestNeighbors

_SHARES = np.array([0, 0.01, 0.03, 0.1, 0.3, 1])
_MOST = 0.1  # More serves kernels, but not flows, which learn from all rows what one kernel cannot tell.
_WIDTHS = np.array([0.35, 0.5, 0.7, 1, 1.4, 2])
_SIZES = 5, 20  # of neighbourhoods: as of the noise, and such as tell a covariance
_MOST_ROWS, _MOST_SCORED, _N_NEAREST = 10_000, 250, 30
_LEAST_SHARE = 1e-4  # of a kernel's variance, in place of none where it spans less than the space
_LEAST_VARIANCE = 1e-5  # Where all neighbours have the same value, it is a rounded one.
_BACKGROUND, _BACKGROUND_SCALE = 0.05, 2.0  # No row that is far from all others decides.


def independent_share(X, random_state):
    """The share s of the noise that each feature has by itself.

    Parameters
    ----------
    X : ndarray of shape (N, D)
        Distinct rows, standardised.
    random_state : RandomState
        Says which rows are scored by kernels of the others.

    Returns
    -------
    float
        One of few numbers between 0 and a tenth; 0 for one feature, or less than four rows.
    """
    order = random_state.permutation(len(X))[:_MOST_ROWS]
    n_scored = min(len(order) // 2, _MOST_SCORED)
    if X.shape[1] == 1 or n_scored < 2:
        return 0.0
    scores = np.zeros((len(_SIZES), len(_SHARES), len(_WIDTHS)))
    for _ in range(2):
        scored, rest = X[order[:n_scored]], X[order[n_scored:]]
        scores += [_held_out_scores(rest, scored, size) for size in _SIZES]
        order = np.roll(order, -n_scored)
    return min(float(_SHARES[scores.max((0, 2)).argmax()]), _MOST)


def own_noise(X, neighbors):
    """Root mean square of each feature's difference between a row and its neighbours, ndarray of shape (N, D)."""
    total = sum(np.square(X[column] - X) for column in neighbors.T)
    return np.sqrt(total / neighbors.shape[1])


def _held_out_scores(X, scored, size):
    """Sum of the log-densities of rows that are not among X, for each share and width, ndarray of shape (S, W).

    In units of the kernels' diagonal, covariances of all shares have the same eigenvectors.
    """
    size, n_features = min(size, len(X) - 1), X.shape[1]
    search = NearestNeighbors(n_neighbors=size + 1).fit(X)
    near = search.kneighbors(scored, min(_N_NEAREST, len(X)), return_distance=False)
    kernels, near = np.unique(near, return_inverse=True)
    near = near.reshape(len(scored), -1)
    ways = X[search.kneighbors(X[kernels], return_distance=False)[:, 1:]] - X[kernels, None]
    unit = np.sqrt(np.maximum(np.square(ways).mean(1), _LEAST_VARIANCE))
    _, singular, axes = np.linalg.svd(ways / (unit[:, None] * np.sqrt(size)), full_matrices=False)
    off = (scored[:, None] - X[kernels][near]) / unit[near]
    along = np.square(np.einsum("nkd,nkmd->nkm", off, axes[near]))
    across = np.maximum(np.square(off).sum(-1) - along.sum(-1), 0)
    constant = np.log(unit[near]).sum(-1) + n_features / 2 * np.log(2 * np.pi) + np.log(len(X))
    background = norm.logpdf(scored, scale=_BACKGROUND_SCALE).sum(1) + np.log(_BACKGROUND)
    scores = np.empty((len(_SHARES), len(_WIDTHS)))
    for row, share in zip(scores, np.maximum(_SHARES, _LEAST_SHARE), strict=True):
        variance = (1 - share) * np.square(singular[near]) + share
        log_det = np.log(variance).sum(-1) + (n_features - variance.shape[-1]) * np.log(share)
        distance = (along / variance).sum(-1) + across / share
        for column, width in enumerate(_WIDTHS):
            log_kernel = -(distance / width**2 + log_det) / 2 - n_features * np.log(width) - constant
            log_prob = logsumexp(log_kernel, axis=1) + np.log1p(-_BACKGROUND)
            row[column] = np.logaddexp(log_prob, background).sum()
    return scores
