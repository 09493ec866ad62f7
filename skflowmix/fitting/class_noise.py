r"""The noise under which Gaussians tell classes apart best.

Features that hardly vary are most of what covariances of few rows get wrong: divided by a tiny deviation, a column that
is next to constant counts as much as any. Noise of one size in all features mends that, if they have a unit in common:
that of X (pixels, counts), that of its recorded steps, or that of the deviations. Which of these, and how much noise,
cross-validation of :math:`\log p(c \mid x)` says, by regularised discriminant analysis (Friedman, 1989, Journal of the
American Statistical Association 84) on the labelled rows; none, where nothing is better by a standard error.
"""

from dataclasses import replace

import numpy as np
import torch
from scipy.linalg import cholesky, solve_triangular
from scipy.special import log_softmax
from sklearn.model_selection import StratifiedKFold

from ..modules.transforms import WhitenedAffine
from ..partitions.rounding import Rounded
from .spreading import with_guesses

_SHARES = 0.01, 0.03, 0.1, 0.3
_STEPS = 1.0, 4.0, 16.0, 64.0
_N_FOLDS = 3
_MAX_ROWS = 3000
_RIDGE = 1e-6


def units_of_classes(scaler, data, random_state):
    """Units in which no feature has more noise than it varies, and the noise.

    Parameters
    ----------
    scaler : FeatureScaler
    data : TrainingSet
    random_state : RandomState

    Returns
    -------
    scaler : FeatureScaler
        In whose units each feature and its noise have together a variance of one.
    noise : ndarray of shape (D,)
        Variance of the noise, in those units.
    """
    X = scaler.transform(data.X)
    variance = class_noise(X, scaler.limit * scaler.scale, with_guesses(data, X), random_state)
    return replace(scaler, scale=scaler.scale * np.sqrt(1 + variance)), variance / (1 + variance)


@torch.no_grad()
def blur(mixture, variance):
    """Add noise, of a variance (D,) of each feature, to the Gaussians that components have started at."""
    noise = torch.diag(torch.as_tensor(variance))
    for module in mixture.flow.modules():
        if isinstance(module, WhitenedAffine):
            whitening = module.whitening.double()
            root = torch.linalg.solve_triangular(whitening, torch.eye(len(noise)).double(), upper=False)
            module.set_gaussian(module.location.squeeze(1), root @ root.mT + noise)


def class_noise(X, units, data, random_state):
    """Variance of the noise of each feature, ndarray of shape (D,).

    Parameters
    ----------
    X : ndarray of shape (N, D)
        Standardised rows.
    units : ndarray of shape (D,)
        Deviation of each feature in the units of X.
    data : TrainingSet
        Its codes and weights.
    random_state : RandomState

    Returns
    -------
    ndarray of shape (D,)
    """
    none = np.zeros(X.shape[1])
    rows = np.flatnonzero(data.codes >= 0)
    if len(rows) > _MAX_ROWS:
        rows = np.sort(random_state.choice(rows, _MAX_ROWS, replace=False))
    codes, rounding = data.codes[rows], Rounded.of(X[rows], random_state).variance
    if len(np.unique(codes)) < 2 or np.bincount(codes)[np.unique(codes)].min() < _N_FOLDS:
        return none
    variances = [none, *_candidates(units, rounding)]
    folds = StratifiedKFold(_N_FOLDS, shuffle=True, random_state=random_state.randint(2**31 - 1))
    scores = np.zeros((len(variances), len(rows)))
    for learned, told in folds.split(X[rows], codes):
        moments = _moments(X[rows[learned]], codes[learned])
        for score, variance in zip(scores, variances, strict=True):
            score[told] = _log_prob_of_class(X[rows[told]], codes[told], moments, variance)
    weight = data.weight[rows] / data.weight[rows].sum()
    best = int(np.argmax(scores @ weight))
    gain = scores[best] - scores[0]
    mean = weight @ gain
    return variances[best] if mean > np.sqrt(weight**2 @ (gain - mean) ** 2) else none


def _candidates(units, rounding):
    """Variances that are equal in deviations, in the units of X, or in its recorded steps."""
    with np.errstate(all="ignore"):
        common = np.square(units).mean() / np.square(units)
    shapes = [(np.ones_like(units), _SHARES), (common, _SHARES), (rounding, _STEPS)]
    found = [size * shape for shape, sizes in shapes for size in sizes]
    return [variance for variance in found if np.isfinite(variance).all() and variance.any()]


def _moments(X, codes):
    """Log-shares, means and covariances of the classes; these lean on the pooled one as those of components do."""
    classes, counts = np.unique(codes, return_counts=True)
    means = np.stack([X[codes == code].mean(0) for code in classes])
    scatters = np.stack([_scatter(X[codes == code] - mean) for code, mean in zip(classes, means, strict=True)])
    n_pseudo = X.shape[1] + 1
    pooled = n_pseudo * scatters.sum(0) / len(X)
    return np.log(counts / len(X)), means, (scatters + pooled) / (counts + n_pseudo)[:, None, None]


def _scatter(centred):
    return centred.T @ centred


def _log_prob_of_class(X, codes, moments, variance):
    """log p(c | x) of each row's class, (N,)."""
    noise = np.diag(variance + _RIDGE)
    log_joint = np.empty((len(X), len(moments[0])))
    for column, log_share, mean, covariance in zip(log_joint.T, *moments, strict=True):
        root = cholesky(covariance + noise, lower=True)
        z = solve_triangular(root, (X - mean).T, lower=True)
        column[:] = log_share - np.log(np.diag(root)).sum() - 0.5 * (z**2).sum(0)
    return log_softmax(log_joint, axis=1)[np.arange(len(X)), np.searchsorted(np.unique(codes), codes)]
