"""Amortised inference in place of a fit for each observation: two moons (Greenberg et al., 2019, arXiv:1905.07488).

The simulator throws x on a crescent that depends on theta, so that every x has a posterior of two crescents. One fit to
simulated pairs gives the posteriors of all x at once; here those of a few new x are held against the exact ones, which
a grid knows: KL(p || q) in nats, and the share of the upper crescent, theta_1 + theta_2 > 0, which is one half.

    python examples/amortised_inference.py [--n-pairs 10000]
"""

import argparse
import math
import time

import torch

from skflowmix.training import fit_conditional

N_OBSERVED = 4
RADIUS, WIDTH, OFFSET = 0.1, 0.01, 0.25
_NEGLIGIBLE = 20.0


def simulate(theta, generator):
    angle = math.pi * (torch.rand(len(theta), generator=generator) - 0.5)
    radius = RADIUS + WIDTH * torch.randn(len(theta), generator=generator)
    crescent = torch.stack([radius * angle.cos() + OFFSET, radius * angle.sin()], 1)
    return crescent + shift(theta)


def shift(theta):
    first, second = theta.unbind(1)
    return torch.stack([-(first + second).abs(), second - first], 1) / math.sqrt(2)


def log_likelihood(x, theta):
    """Unnormalised, of one x and rows of theta."""
    along, across = (x - shift(theta) - torch.tensor([OFFSET, 0.0])).unbind(1)
    radius = torch.hypot(along, across)
    value = -0.5 * ((radius - RADIUS) / WIDTH).square() - radius.log()
    return torch.where(along > 0, value, -torch.inf)


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--n-pairs", type=int, default=10_000)
    parser.add_argument("--max-iter", type=int, default=200)
    options = parser.parse_args(arguments)
    generator = torch.Generator().manual_seed(0)
    theta = 2 * torch.rand(options.n_pairs, 2, generator=generator) - 1
    start = time.perf_counter()
    model, history = fit_conditional(
        theta, simulate(theta, generator), n_components=2, max_iter=options.max_iter, generator=generator
    )
    print(f"{options.n_pairs} pairs, {history.n_iter} iterations, {time.perf_counter() - start:.0f} s")
    axis = torch.linspace(-1, 1, 801)
    grid = torch.cartesian_prod(axis, axis)
    observed = simulate(torch.rand(N_OBSERVED, 2, generator=generator) - 0.5, generator)
    draws = model.sample(2000, observed, generator=generator)
    print("x_1, x_2, KL(p || q), share of the upper crescent")
    for x, own in zip(observed, draws, strict=True):
        log_p = log_likelihood(x, grid).log_softmax(0)
        there = log_p > log_p.max() - _NEGLIGIBLE
        log_p, points = log_p[there], grid[there]
        log_q = model.log_prob(points, x[None]).detach() + 2 * (axis[1] - axis[0]).log()
        divergence = (log_p.exp() * (log_p - log_q)).sum()
        upper = (own.sum(1) > 0).float().mean()
        print(f"{x[0]:.2f}, {x[1]:.2f}, {divergence:.3f}, {upper:.2f}")


if __name__ == "__main__":
    main()
