"""Unnormalised log-densities whose integrals are known: functions of a Tensor (N, D) that return a Tensor (N,)."""

import math

import numpy as np
import torch
from sklearn.datasets import load_breast_cancer
from sklearn.preprocessing import StandardScaler
from torch.nn.functional import softplus

LOG_2_PI = math.log(2 * math.pi)


def square_grid(half_width, n):
    """Points of a square about zero, Tensor of shape (n * n, 2), and the logarithm of each one's area."""
    axis = torch.linspace(-half_width, half_width, n, dtype=torch.float64)
    return torch.cartesian_prod(axis, axis), 2 * math.log(2 * half_width / (n - 1))


def in_the_plane(log_density, half_width):
    """A log-density, its two features, and the logarithm of its integral, by a sum over a square."""
    points, log_area = square_grid(half_width, 2001)
    return log_density, 2, float(log_density(points).logsumexp(0)) + log_area


def gaussian(n_features):
    """Features correlated, deviations from .6 to 3, mean 3 throughout."""
    precision = gaussian_precision(n_features)

    def log_density(theta):
        arm = theta - 3
        return -0.5 * ((arm @ precision.to(theta)) * arm).sum(1)

    return log_density, n_features, n_features / 2 * LOG_2_PI - 0.5 * float(torch.logdet(precision))


def gaussian_precision(n_features):
    mixing = torch.randn(n_features, n_features, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    return mixing @ mixing.T / n_features + 0.1 * torch.eye(n_features, dtype=torch.float64)


def banana(theta):
    x, y = theta.unbind(1)
    return -0.5 * (x / 2).square() - 2 * (y - 0.5 * x.square()).square()


def ring(theta, radius=4.0, width=0.3):
    return -0.5 * ((theta.norm(dim=1) - radius) / width).square()


def modes(centers, weights, scales):
    """Round Gaussians whose integrals are their weights, but for a factor that is common to all."""
    centers, weights, scales = (torch.as_tensor(part, dtype=torch.float64) for part in (centers, weights, scales))
    n_features = centers.shape[1]

    def log_density(theta):
        arm = (theta[:, None] - centers.to(theta)) / scales.to(theta)[:, None]
        return ((weights.log() - n_features * scales.log()).to(theta) - 0.5 * arm.square().sum(2)).logsumexp(1)

    return log_density, n_features, n_features / 2 * LOG_2_PI + float(weights.sum().log())


def random_modes(n_features=20, n_modes=5):
    generator = torch.Generator().manual_seed(3)
    centers = 10 * torch.randn(n_modes, n_features, generator=generator)
    return modes(
        centers, torch.rand(n_modes, generator=generator) + 0.2, torch.rand(n_modes, generator=generator) + 0.3
    )


def funnel(n_features=10):
    """Neal's: the logarithm of a variance has a deviation of 3."""

    def log_density(theta):
        v, x = theta[:, :1], theta[:, 1:]
        return -v[:, 0].square() / 18 - 0.5 * (x.square() * (-v).exp() + v).sum(1)

    return log_density, n_features, n_features / 2 * LOG_2_PI + math.log(3)


def student(n_features, df):
    def log_density(theta):
        return -(df + n_features) / 2 * torch.log1p(theta.square().sum(1) / df)

    constant = math.lgamma((df + n_features) / 2) - math.lgamma(df / 2) - n_features / 2 * math.log(df * math.pi)
    return log_density, n_features, -constant


def energy(theta, number):
    """Those of Rezende and Mohamed, 2015, arXiv:1505.05770, table 1, in a box with soft walls."""
    x, y = theta.unbind(1)
    wave, walls = (math.pi * x / 2).sin(), (theta.abs() - 4).relu().div(0.1).square().sum(1) / 2
    dip, step = 3 * (-0.5 * ((x - 1) / 0.6).square()).exp(), 3 * ((x - 1) / 0.3).sigmoid()

    def valley(offset, width):
        return -0.5 * ((y - wave + offset) / width).square()

    if number == 1:
        sides = torch.logaddexp(-0.5 * ((x - 2) / 0.6).square(), -0.5 * ((x + 2) / 0.6).square())
        return sides - 0.5 * ((theta.norm(dim=1) - 2) / 0.4).square() - walls
    if number == 2:
        return valley(0, 0.4) - walls
    offset, width = (dip, 0.35) if number == 3 else (step, 0.4)
    return torch.logaddexp(valley(0, width), valley(offset, 0.35)) - walls


def scales():
    """Features twelve orders of magnitude apart in variance, and far from zero."""
    center, scale = torch.tensor([0.0, 0, 1e3, 50, -5]), torch.tensor([1e-3, 1e3, 1, 10, 0.1])

    def log_density(theta):
        return -0.5 * ((theta - center.to(theta)) / scale.to(theta)).square().sum(1)

    return log_density, 5, 2.5 * LOG_2_PI + float(scale.log().sum())


def logistic_regression():
    """Scikit-learn's breast cancer, standardised, with an intercept; each parameter is N(0, 1) before the data.

    Its integral is not known.
    """
    sides = torch.as_tensor(breast_cancer_sides())

    def log_density(theta):
        return -softplus(-theta @ sides.to(theta).T).sum(1) - 0.5 * (theta.square() + LOG_2_PI).sum(1)

    return log_density, sides.shape[1], None


def breast_cancer_sides():
    """Features and one, by the sign of the class: ndarray of shape (569, 31)."""
    X, y = load_breast_cancer(return_X_y=True)
    return np.column_stack([StandardScaler().fit_transform(X), np.ones(len(X))]) * (2 * y - 1)[:, None]
