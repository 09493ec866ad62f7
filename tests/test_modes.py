"""Modes that ascents find, the hills that they are on, and numbers near bounds."""

import math

import numpy as np
import pytest
import torch

from skflowmix import FlowMixturePosterior
from skflowmix.inference.approximation import Seen
from skflowmix.inference.coordinates import Coordinates
from skflowmix.inference.modes import by_turns, find_modes
from skflowmix.inference.start import cloud, find_start
from skflowmix.inference.target import Target


def seen(log_density, n_features=2):
    target = Target(log_density, vectorized=True, dtype=torch.float64)
    target.probe(torch.zeros(1, n_features))
    return Seen(target, Coordinates.within(None, n_features, torch.device("cpu")))


def three_modes(theta):
    """On a triangle whose sides are 40 deviations long."""
    centers = torch.tensor([[-20.0, 0.0], [20.0, 0.0], [0.0, 35.0]]).to(theta)
    return (-0.5 * (theta[:, None] - centers).square().sum(2)).logsumexp(1)


def rings(theta):
    """Two of them, of which the one on the right has twice the density."""
    left, right = ((theta - torch.tensor([x, 0.0]).to(theta)).norm(dim=1) for x in (-5, 5))
    return torch.logaddexp(-0.5 * ((left - 3) / 0.25).square(), math.log(2) - 0.5 * ((right - 3) / 0.25).square())


def test_a_look_round_finds_what_the_first_ascents_missed():
    points = torch.tensor([[-20.5, 0.5], [20.5, -0.5]], dtype=torch.float64)
    generator = torch.Generator().manual_seed(0)
    found = find_modes(seen(three_modes), points, torch.ones(2, dtype=torch.float64), generator=generator)
    assert found.n_hills == 3
    assert (found.hill[:2] >= 0).all()
    assert found.hill[0] != found.hill[1], "what was known before has its place among what is known now"
    assert len(found.hill) == len(found.points) == len(found.reach) == len(found.met.bound)
    tops = found.modes[:3]
    torch.testing.assert_close(tops[tops[:, 1].argmax()], torch.tensor([0, 35.0], dtype=torch.float64))


@pytest.mark.parametrize("seed", range(3))
def test_the_higher_of_two_rings_does_not_hide_the_other(seed):
    generator = torch.Generator().manual_seed(seed)
    points, reach = cloud(2, generator=generator, device="cpu")
    start = find_start(seen(rings), points, reach, "auto", generator=generator)
    assert start.n_modes == 2
    on_the_left = start.components.mean[:, 0] < 0
    assert on_the_left.any()
    assert not on_the_left.all()


def test_groups_take_turns():
    assert by_turns(torch.tensor([0, 0, 1, 0, 2, 1])).tolist() == [0, 2, 4, 1, 5, 3]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("bounds", [(0, 1), (-np.inf, 0), (0.1, np.inf), (-3, 1e6)])
def test_a_density_is_asked_between_the_bounds_alone(bounds, dtype):
    coordinates = Coordinates.within([bounds], 1, torch.device("cpu"))
    asked = []
    interior = coordinates.interior(dtype)
    target = Target(lambda x: asked.append(x) or -x.sum(1), vectorized=True, dtype=dtype, interior=interior)
    target.probe(coordinates.to_theta(torch.zeros(1, 1))[0])
    theta, _ = coordinates.to_theta(torch.linspace(-400, 400, 41, dtype=torch.float64)[:, None])
    target(theta)
    assert ((asked[-1].double() > bounds[0]) & (asked[-1].double() < bounds[1])).all()
    middle = asked[-1][20].double()
    torch.testing.assert_close(middle, theta[20], rtol=1e-6, atol=0), "what is far from bounds is as it was"


@pytest.mark.filterwarnings("ignore:The bound still improved:sklearn.exceptions.ConvergenceWarning")
def test_densities_may_be_infinite_at_bounds(device):
    """A beta density of shapes below one."""

    def log_density(theta):
        return (-0.3 * theta.log() - 0.1 * (-theta).log1p()).sum(1)

    how = {"flow": "affine", "base": "logistic", "random_state": 0, "max_iter": 10, "device": device}
    posterior = FlowMixturePosterior(1, bounds=[(0, 1)], **how).fit(log_density, 1)
    truth = math.lgamma(0.7) + math.lgamma(0.9) - math.lgamma(1.6)
    assert posterior.log_evidence_ == pytest.approx(truth, abs=0.02)


def test_paths_that_end_nowhere_do_not_stop_components():
    """In a funnel some ascend without end; its Gaussians are chosen all the same."""

    def funnel(theta):
        v, x = theta[:, :1], theta[:, 1:]
        return -v[:, 0].square() / 18 - 0.5 * (x.square() * (-v).exp() + v).sum(1)

    generator = torch.Generator().manual_seed(0)
    points, reach = cloud(6, generator=generator, device="cpu")
    start = find_start(seen(funnel, 6), points, reach, "auto", generator=generator)
    assert start.n_modes == 1
    assert len(start.log_weight) > 1
