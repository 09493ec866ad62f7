"""Unnormalised log-densities whose integrals are known: functions of a Tensor (N, D) that return a Tensor (N,)."""

import math
from functools import partial

import numpy as np
import torch
from scipy.special import betaln, gammaln, ndtr
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


def tilted_modes(n_features=5, weights=(0.05, 0.1, 0.15, 0.2, 0.2, 0.3)):
    """Gaussians some thirty deviations apart, each with correlations of its own."""
    draw = partial(torch.randn, dtype=torch.float64)
    n_modes = len(weights)
    centers = 12 * draw(n_modes, n_features, generator=torch.Generator().manual_seed(7))
    roots = draw(n_modes, n_features, n_features, generator=torch.Generator().manual_seed(8))
    roots = torch.eye(n_features) + 0.3 * roots
    inverses, log_weight = torch.linalg.inv(roots), torch.tensor(weights, dtype=torch.float64).log()
    log_factor = log_weight - torch.linalg.slogdet(roots)[1]

    def log_density(theta):
        z = torch.einsum("kij,nkj->nki", inverses.to(theta), theta[:, None] - centers.to(theta))
        return (log_factor.to(theta) - 0.5 * z.square().sum(2)).logsumexp(1)

    return log_density, n_features, n_features / 2 * LOG_2_PI + float(log_weight.logsumexp(0))


def turned_funnel(n_features=6, deviation=2.0):
    """Neal's along no axis, with a smaller deviation."""
    generator = torch.Generator().manual_seed(11)
    axes = torch.linalg.qr(torch.randn(n_features, n_features, generator=generator, dtype=torch.float64))[0]

    def log_density(theta):
        v, x = (theta @ axes.to(theta)).split([1, n_features - 1], 1)
        return -0.5 * (v[:, 0] / deviation).square() - 0.5 * (x.square() * (-v).exp() + v).sum(1)

    return log_density, n_features, n_features / 2 * LOG_2_PI + math.log(deviation)


def correlated_student(n_features=10, df=4):
    generator = torch.Generator().manual_seed(5)
    root = torch.randn(n_features, n_features, generator=generator, dtype=torch.float64) / n_features**0.5
    inverse = torch.linalg.inv(root + 0.3 * torch.eye(n_features))
    round_one, _, log_evidence = student(n_features, df)

    def log_density(theta):
        return round_one((theta - 2) @ inverse.T.to(theta))

    return log_density, n_features, log_evidence - float(torch.linalg.slogdet(inverse)[1])


def two_rings(theta):
    """One of them twice as dense as the other, and wider."""
    left, right = ((theta - torch.tensor(center).to(theta)).norm(dim=1) for center in ([-5.0, 0.0], [6.0, 2.0]))
    return torch.logaddexp(-0.5 * ((left - 3) / 0.25).square(), math.log(2) - 0.5 * ((right - 2) / 0.4).square())


BOUNDS_OF_CUT_NORMAL = [(0.5, math.inf), (-1, 1), (-math.inf, 0), (2, 3)]


def cut_normal(correlation=0.8, n=4001):
    """A correlated pair and two independent features between bounds; the integral of the pair is a sum over a grid."""

    def pair(x, y):
        return -0.5 * (x.square() - 2 * correlation * x * y + y.square()) / (1 - correlation**2)

    def log_density(theta):
        return pair(theta[:, 0], theta[:, 1]) - 0.5 * theta[:, 2:].square().sum(1)

    x, y = (torch.linspace(*sides, n, dtype=torch.float64) for sides in ((0.5, 8), (-1, 1)))
    edge = torch.ones(n, dtype=torch.float64)
    edge[[0, -1]] = 0.5
    log_area = math.log(7.5 * 2 / (n - 1) ** 2)
    of_pair = float((pair(x[:, None], y) + edge.log() + edge.log()[:, None]).logsumexp((0, 1))) + log_area
    return log_density, 4, of_pair + LOG_2_PI + math.log(0.5) + math.log(ndtr(3) - ndtr(2))


BOUNDS_OF_BETA_AND_GAMMA = [(0, 1)] * 3 + [(0, math.inf)] * 3


def beta_and_gamma(beta=((2, 5), (0.7, 0.9), (8, 3)), gamma=((0.8, 1), (3, 0.5), (20, 4))):
    """Independent features, one beta and one gamma density being infinite at bounds."""
    (a, b), (shape, rate) = torch.tensor(beta).T, torch.tensor(gamma).T

    def log_density(theta):
        share, size = theta[:, :3], theta[:, 3:]
        of_share = (a - 1).to(theta) * share.log() + (b - 1).to(theta) * (-share).log1p()
        return (of_share + (shape - 1).to(theta) * size.log() - rate.to(theta) * size).sum(1)

    log_evidence = sum(betaln(*pair) for pair in beta) + sum(gammaln(k) - k * math.log(r) for k, r in gamma)
    return log_density, 6, float(log_evidence)


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
