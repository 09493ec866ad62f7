"""Some of the log-densities of log_densities.py, of one row, for jax, which they import when they are called."""

import numpy as np
from log_densities import breast_cancer_sides, gaussian_precision

_CORNERS = np.array([[-15.0, -15], [15, -15], [-15, 15], [15, 15]])
_SIDES, _PRECISION = breast_cancer_sides(), gaussian_precision(50).numpy()


def banana(theta):
    x, y = theta
    return -0.5 * (x / 2) ** 2 - 2 * (y - 0.5 * x**2) ** 2


def ring(theta):
    from jax.numpy.linalg import norm

    return -0.5 * ((norm(theta) - 4) / 0.3) ** 2


def four_modes(theta):
    from jax.scipy.special import logsumexp

    return logsumexp(np.log([0.1, 0.2, 0.3, 0.4]) - 0.5 * ((theta - _CORNERS) ** 2).sum(1))


def funnel(theta):
    from jax.numpy import exp

    v, x = theta[0], theta[1:]
    return -(v**2) / 18 - 0.5 * (x**2 * exp(-v) + v).sum()


def student(theta):
    from jax.numpy import log1p

    return -12.5 * log1p((theta**2).sum() / 5)


def gaussian(theta):
    return -0.5 * (theta - 3) @ _PRECISION @ (theta - 3)


def logistic_regression(theta):
    from jax.nn import softplus

    return -softplus(-_SIDES @ theta).sum() - 0.5 * (theta**2 + np.log(2 * np.pi)).sum()


JAX_DENSITIES = {
    "gaussian 50": gaussian,
    "banana": banana,
    "ring": ring,
    "four modes": four_modes,
    "funnel 10": funnel,
    "student 20": student,
    "logistic": logistic_regression,
}
