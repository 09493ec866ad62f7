"""Whether Markov chains agree, and how much they are worth.

Vehtari, Gelman, Simpson, Carpenter and Bürkner, 2021, Rank-normalization, folding, and localization,
arXiv:1903.08008.
"""

import numpy as np
from scipy.special import ndtri
from scipy.stats import rankdata


def split_r_hat(chains):
    """The greater of the rank-normalised R-hats of halves of chains, as they are and folded about the median.

    Parameters
    ----------
    chains : ndarray of shape (M, T, D)

    Returns
    -------
    ndarray of shape (D,)
        1 where chains agree; NaN where nothing varies.
    """
    halves = _halves(chains)
    folded = np.abs(halves - np.median(halves, axis=(0, 1)))
    return np.maximum(_r_hat(_normal_ranks(halves)), _r_hat(_normal_ranks(folded)))


def effective_sizes(chains):
    """Number of independent draws that all states are worth, for the bulk of each feature.

    Parameters
    ----------
    chains : ndarray of shape (M, T, D)

    Returns
    -------
    ndarray of shape (D,)
    """
    x = _normal_ranks(_halves(chains))
    n_chains, length, n_features = x.shape
    within, total = _variances(x)
    return np.array([n_chains * length / _correlation_time(x[..., d], within[d], total[d]) for d in range(n_features)])


def _halves(chains):
    half = chains.shape[1] // 2
    return np.concatenate([chains[:, :half], chains[:, -half:]])


def _normal_ranks(x):
    ranks = rankdata(x.reshape(-1, x.shape[-1]), axis=0)
    return ndtri((ranks - 0.375) / (len(ranks) + 0.25)).reshape(x.shape)


def _variances(x):
    """Variance within chains, and of everything, each of shape (D,)."""
    length = x.shape[1]
    within = x.var(1, ddof=1).mean(0)
    return within, (length - 1) / length * within + x.mean(1).var(0, ddof=1)


def _r_hat(x):
    within, total = _variances(x)
    return np.sqrt(np.divide(total, within, out=np.full(within.shape, np.nan), where=within > 0))


def _correlation_time(x, within, total):
    """Twice the sum of autocorrelations, Geyer's initial monotone sequence, of chains (M, T)."""
    length = x.shape[1]
    if not total > 0:
        return 1.0
    centred = x - x.mean(1, keepdims=True)
    spectrum = np.abs(np.fft.rfft(centred, 2 * length, axis=1)) ** 2
    covariance = np.fft.irfft(spectrum, axis=1)[:, :length].mean(0) / length
    correlation = 1 - (within - covariance * length / (length - 1)) / total
    correlation[0] = 1.0
    pairs = correlation[: length // 2 * 2].reshape(-1, 2).sum(1)
    n_positive = int(np.argmax(pairs < 0)) if (pairs < 0).any() else len(pairs)
    time = -1 + 2 * np.minimum.accumulate(pairs[:n_positive]).sum()
    return max(time, 1 / np.log10(x.size))
