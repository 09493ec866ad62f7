"""Posteriors of log-densities whose integral is known: error of the evidence, bound, Pareto shape, seconds.

Run: python examples/benchmarks/inference.py [name ...] [--seeds 2]
"""

import argparse
import math
import time
import warnings
from functools import partial

import torch

from skflowmix import FlowMixturePosterior

LOG_2_PI = math.log(2 * math.pi)


def grid_evidence(log_density, width, n=2001):
    """Of a density in the plane, by a sum over a square of half a width."""
    axis = torch.linspace(-width, width, n, dtype=torch.float64)
    values = log_density(torch.cartesian_prod(axis, axis))
    return float(values.logsumexp(0)) + 2 * math.log(2 * width / (n - 1))


def in_the_plane(log_density, width):
    return log_density, 2, grid_evidence(log_density, width)


def gaussian(n_features):
    mixing = torch.randn(n_features, n_features, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    precision = mixing @ mixing.T / n_features + 0.1 * torch.eye(n_features, dtype=torch.float64)

    def log_density(theta):
        arm = theta - 3
        return -0.5 * ((arm @ precision.to(theta)) * arm).sum(1)

    return log_density, n_features, n_features / 2 * LOG_2_PI - 0.5 * float(torch.logdet(precision))


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


CORNERS = [[-15, -15], [15, -15], [-15, 15], [15, 15]]
GRID = [[x, y] for x in (-10, 0, 10) for y in (-10, 0, 10)]
TARGETS = {
    "gaussian 50": lambda: gaussian(50),
    "banana": lambda: in_the_plane(banana, 50),
    "ring": lambda: in_the_plane(ring, 8),
    "four modes": lambda: modes(CORNERS, [0.1, 0.2, 0.3, 0.4], [1] * 4),
    "funnel 10": funnel,
    "student 20": lambda: student(20, 5),
    **{f"energy U{n}": partial(lambda n: in_the_plane(partial(energy, number=n), 6), n) for n in range(1, 5)},
    "nine modes": lambda: modes(GRID, [1] * 9, [1] * 9),
    "five modes 20": random_modes,
    "thin ring": lambda: in_the_plane(partial(ring, radius=10, width=0.2), 13),
    "scales": scales,
    "cauchy 2": lambda: student(2, 1),
    "narrow and wide": lambda: modes([[0, 0], [6, 6]], [0.5, 0.5], [1, 0.05]),
}


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", default=list(TARGETS), metavar="name")
    parser.add_argument("--seeds", type=int, default=2)
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")
    print("| target | K | error of log Z | ELBO - log Z | Pareto k | seconds |\n|---|--:|--:|--:|--:|--:|")
    for name in arguments.names:
        log_density, n_features, truth = TARGETS[name]()
        for seed in range(arguments.seeds):
            start = time.perf_counter()
            posterior = FlowMixturePosterior(random_state=seed).fit(log_density, n_features)
            seconds = time.perf_counter() - start
            print(
                f"| {name} | {posterior.n_components_} | {posterior.log_evidence_ - truth:+.3f} "
                f"| {posterior.elbo_ - truth:+.4f} | {posterior.pareto_k_:.2f} | {seconds:.0f} |",
                flush=True,
            )


if __name__ == "__main__":
    main()
