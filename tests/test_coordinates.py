"""Bounds of parameters: maps that are exact both ways, and their determinants."""

import math

import numpy as np
import pytest
import torch

from skflowmix.inference.coordinates import Coordinates

INF = math.inf
BOUNDS = [(-INF, INF), (2.0, INF), (-INF, -1.0), (-1.0, 3.0), None]


def make(device):
    within = Coordinates.within(BOUNDS, 5, device)
    return within.scaled(torch.linspace(-1, 1, 5).double().to(device), torch.linspace(0.5, 2, 5).double().to(device))


def test_log_determinant_is_autograds(device):
    coordinates = make(device)
    u = torch.randn(20, 5, generator=torch.Generator().manual_seed(0), dtype=torch.float64).to(device)
    _, log_det = coordinates.to_theta(u)
    for row, found in zip(u, log_det, strict=True):
        jacobian = torch.autograd.functional.jacobian(lambda x: coordinates.to_theta(x[None])[0][0], row)
        torch.testing.assert_close(torch.linalg.slogdet(jacobian)[1], found)


def test_the_way_back_leads_back_and_outside_is_told(device):
    coordinates = make(device)
    u = torch.randn(20, 5, generator=torch.Generator().manual_seed(0), dtype=torch.float64).to(device)
    theta, _ = coordinates.to_theta(u)
    back, inside = coordinates.from_theta(theta)
    torch.testing.assert_close(back, u)
    assert inside.all()
    outside = theta[:3].clone()
    outside[0, 1], outside[1, 2], outside[2, 3] = 2.0, 0.0, 3.5
    assert not coordinates.from_theta(outside)[1].any()


def test_a_bounded_uniform_density_integrates_to_its_volume(device):
    coordinates = Coordinates.within([(-1.0, 3.0)], 1, device)
    u = torch.linspace(-30, 30, 6001, dtype=torch.float64, device=device)[:, None]
    _, log_det = coordinates.to_theta(u)
    assert float(log_det.exp().sum() * 0.01) == pytest.approx(4)


@pytest.mark.parametrize(
    "bounds", [[(0, 1)], [(1, 0), (0, 1)], [(0, 0), (0, 1)], [(0, np.nan), None], ["ab", "cd"], [(INF, INF), None]]
)
def test_wrong_bounds_are_told(bounds, device):
    with pytest.raises(ValueError, match="bounds must"):
        Coordinates.within(bounds, 2, device)
