r"""What weights :math:`\tilde p / q` of draws of q say: the evidence, and how far q can be trusted.

The largest weights are replaced by the order statistics of the generalised Pareto density that fits them (Vehtari,
Simpson, Gelman, Yao and Gabry, 2024, Pareto smoothed importance sampling, arXiv:1507.02646). Its shape k says whether
the weights have a variance (k < .5) and whether estimates by them can be relied on at all (k < .7).
"""

import math

import numpy as np
from scipy.special import logsumexp

_FEWEST_OF_TAIL = 5


def pareto_smoothed(log_weight):
    """Log-weights with a smooth tail, and the tail's shape.

    Parameters
    ----------
    log_weight : ndarray of shape (N,)
        In nats; -inf for weights of nil.

    Returns
    -------
    log_weight : ndarray of shape (N,)
    k : float
        Infinite where there are too few weights to tell, -inf where the largest are all equal.
    """
    log_weight = np.asarray(log_weight, dtype=np.float64)
    n_positive = int((log_weight > -np.inf).sum())
    n_tail = int(min(0.2 * n_positive, 3 * math.sqrt(n_positive)))
    if n_tail < _FEWEST_OF_TAIL:
        return log_weight, np.inf
    order = np.argsort(log_weight, kind="stable")
    tail, largest = order[-n_tail:], log_weight[order[-1]]
    weight = np.exp(log_weight - largest)
    threshold = weight[order[-n_tail - 1]]
    excess = weight[tail] - threshold
    if excess[-1] <= 1e-12:
        return log_weight, -np.inf
    k, scale = fit_generalized_pareto(excess)
    smooth = log_weight.copy()
    quantiles = _quantile((np.arange(n_tail) + 0.5) / n_tail, k, scale)
    smooth[tail] = np.log(np.minimum(threshold + quantiles, 1.0)) + largest
    return smooth, k


def fit_generalized_pareto(excess):
    """Shape and scale of the generalised Pareto density of sorted non-negative numbers.

    Zhang and Stephens, 2009, A new and efficient estimation method for the generalized Pareto distribution,
    Technometrics 51: the mean of theta = shape / scale under its profile likelihood, on a grid. The shape is drawn to
    .5 as by ten numbers more (arXiv:1507.02646, appendix C).

    Parameters
    ----------
    excess : ndarray of shape (N,)

    Returns
    -------
    k, scale : float
    """
    n = len(excess)
    excess = np.maximum(excess, np.finfo(np.float64).tiny)
    n_grid = 30 + int(math.sqrt(n))
    quartile = excess[int(n / 4 + 0.5) - 1]
    grid = 1 / excess[-1] + (1 - np.sqrt(n_grid / (np.arange(n_grid) + 0.5))) / (3 * quartile)
    shapes = np.log1p(-grid[:, None] * excess).mean(1)
    profile = n * (np.log(-grid / shapes) - shapes - 1)
    theta = np.exp(profile - logsumexp(profile)) @ grid
    k = float(np.log1p(-theta * excess).mean())
    return (n * k + 5) / (n + 10), -k / theta


def _quantile(share, k, scale):
    return -scale * np.log1p(-share) if abs(k) < 1e-12 else scale * np.expm1(-k * np.log1p(-share)) / k


def normalized(log_weight):
    """Weights that sum to one."""
    return np.exp(log_weight - logsumexp(log_weight))


def effective_size(log_weight):
    """Number of equal weights that would be worth as much, :math:`(\\sum w)^2 / \\sum w^2`."""
    return float(1 / np.square(normalized(log_weight)).sum())


def evidence(log_weight):
    """Logarithm of the mean weight and its standard error, by the delta method; both floats, in nats."""
    n = len(log_weight)
    log_mean = float(logsumexp(log_weight)) - math.log(n)
    ratio = np.exp(log_weight - log_mean)
    return log_mean, float(ratio.std() / math.sqrt(n))


def resampled(log_weight, n, random_state):
    """Indices of n rows by their weights: systematic, so that a row comes as often as it should but for one.

    Parameters
    ----------
    log_weight : ndarray of shape (N,)
    n : int
    random_state : RandomState

    Returns
    -------
    int ndarray of shape (n,), shuffled
    """
    places = (np.arange(n) + random_state.uniform()) / n
    index = np.searchsorted(np.cumsum(normalized(log_weight)), places).clip(max=len(log_weight) - 1)
    return random_state.permutation(index)
