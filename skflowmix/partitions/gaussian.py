"""Gaussian mixtures of weighted rows, for starts and for judging them.

scikit-learn's mixture takes no sample weights; and it lets each covariance stand alone, where here a few
pseudo-rows of the pooled covariance keep small clusters from collapsing (a conjugate prior, as in Fraley and
Raftery, 2007, Journal of Classification 24).
"""

from dataclasses import dataclass, replace

import numpy as np
import torch
from scipy.special import softmax

from .seeds import kmeans

REG_COVAR = 1e-5
_LEAST_PROPORTION = 1e-12


@dataclass(frozen=True)
class GaussianFit:
    """A fitted Gaussian mixture.

    Attributes
    ----------
    log_proportions : ndarray of shape (K,)
    means : ndarray of shape (K, D)
    choleskys : ndarray of shape (K, D, D)
        Lower factors of the covariances.
    log_background : float
        Log-density of a uniform component beside the Gaussians, its proportion included.
    mean_log_prob : float
        Weighted mean log-density of the rows that it was fitted to, with the uniform component.
    """

    log_proportions: np.ndarray
    means: np.ndarray
    choleskys: np.ndarray
    log_background: float = -np.inf
    mean_log_prob: float = -np.inf

    def log_joint(self, X):
        """``log w_k + log N(x; k)``: ndarray of shape (N, D) -> ndarray of shape (N, K)."""
        n_components, n_features = self.means.shape
        whiten = np.linalg.inv(self.choleskys)
        z = (X @ whiten.reshape(-1, n_features).T).reshape(len(X), n_components, n_features)
        z -= np.einsum("kij,kj->ki", whiten, self.means)
        log_det = np.log(self.choleskys.diagonal(axis1=1, axis2=2)).sum(1)
        constant = self.log_proportions - log_det - 0.5 * n_features * np.log(2 * np.pi)
        return constant - 0.5 * np.einsum("nkd,nkd->nk", z, z)

    def log_prob(self, X):
        """Log-density of the Gaussians: ndarray of shape (N, D) -> ndarray of shape (N,)."""
        return _log_sum_exp(self.log_joint(X))


def fit_gaussians(
    X,
    weight,
    resp,
    *,
    log_uniform=-np.inf,
    n_pseudo_rows=0.0,
    tied=False,
    diagonal=False,
    reg_covar=REG_COVAR,
    max_iter=60,
    tol=1e-3,
):
    """Expectation-maximisation from given responsibilities.

    Parameters
    ----------
    X : ndarray of shape (N, D)
    weight : ndarray of shape (N,)
    resp : ndarray of shape (N, K)
        What they leave of one belongs to the uniform component.
    log_uniform : float, default=-inf
        Log-density of a uniform component beside the Gaussians; without one by default.
    n_pseudo_rows : float, default=0.0
        Rows of the pooled covariance that each covariance takes in.
    tied, diagonal : bool, default=False
        Whether all covariances are the pooled one, and whether they are diagonal.
    reg_covar : float or ndarray of shape (D,), default=1e-5
        What each feature's variances have in addition.
    max_iter : int, default=60
    tol : float, default=1e-3
        Gain in mean log-density below which the iterations end.

    Returns
    -------
    GaussianFit
    """
    mean_log_prob = -np.inf
    for _ in range(max_iter):
        fit = _maximise(X, weight, resp, n_pseudo_rows, tied, diagonal, reg_covar)
        log_background = log_uniform + np.log(max(1 - np.exp(fit.log_proportions).sum(), _LEAST_PROPORTION))
        log_joint = fit.log_joint(X)
        log_prob = np.logaddexp(_log_sum_exp(log_joint), log_background)
        previous, mean_log_prob = mean_log_prob, float(np.average(log_prob, weights=weight))
        if mean_log_prob - previous < tol:
            break
        resp = np.exp(log_joint - log_prob[:, None])
    return replace(fit, log_background=log_background, mean_log_prob=mean_log_prob)


def _log_sum_exp(log_joint):
    """As `scipy.special.logsumexp` over the last axis, in a sixth of its time."""
    return torch.from_numpy(log_joint).logsumexp(-1).numpy()


def _maximise(X, weight, resp, n_pseudo_rows, tied, diagonal, reg_covar):
    mass = weight[:, None] * resp
    count = mass.sum(0) + 1e-9
    means = mass.T @ X / count[:, None]
    centred = X - means[:, None]
    scatter = (centred * mass.T[:, :, None]).swapaxes(1, 2) @ centred
    pooled = scatter.sum(0) / count.sum()
    if tied:
        covariances = np.repeat(pooled[None], len(count), axis=0)
    else:
        covariances = (scatter + n_pseudo_rows * pooled) / (count + n_pseudo_rows)[:, None, None]
    eye = np.eye(X.shape[1])
    covariances = (covariances * eye if diagonal else covariances) + reg_covar * eye
    return GaussianFit(np.log(count / weight.sum()), means, np.linalg.cholesky(covariances))


def gmm(X, n_components, weight, random_state):
    """A Gaussian mixture from the clusters of k-means, with D + 1 pseudo-rows of the pooled covariance."""
    start = kmeans(X, n_components, weight, random_state)
    fit = fit_gaussians(X, weight, start, n_pseudo_rows=X.shape[1] + 1)
    return softmax(fit.log_joint(X), axis=1)
