"""Scalar maps against independent formulas, at the edges of what floats and parameters allow."""

import math

import numpy as np
import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from skflowmix.modules.transforms import AffineMap, SplineMap

MIN_BIN = MIN_SLOPE = 1e-3


def raw_parameters(dtype, n_bins=8, limit=50):
    width = 32 if dtype == np.float32 else 64
    return arrays(dtype, 3 * n_bins - 1, elements=st.floats(-limit, limit, width=width))


def shaped(raw, values):
    """One feature of one component: parameters (1, P, N) and values (1, 1, N)."""
    raw = torch.as_tensor(raw)
    values = torch.as_tensor(values, dtype=raw.dtype)
    return values[None, None], raw[None, :, None].expand(1, -1, len(values))


def knots(raw, bound=5.0):
    """Positions, heights and slopes of the knots as the class documents them, in float64."""
    raw = np.asarray(raw, dtype=np.float64)
    n_bins = (len(raw) + 1) // 3

    def positions(part):
        share = np.exp(part - part.max())
        share = MIN_BIN + (1 - n_bins * MIN_BIN) * share / share.sum()
        return bound * (2 * np.concatenate([[0], share.cumsum()]) - 1)

    slopes = np.logaddexp(0, raw[2 * n_bins :] + math.log(math.expm1(1 - MIN_SLOPE))) + MIN_SLOPE
    return positions(raw[:n_bins]), positions(raw[n_bins : 2 * n_bins]), np.concatenate([[1], slopes, [1]])


def durkan(x, x_knots, z_knots, slopes):
    """Equations 4 and 5 of Durkan et al. (2019), one number at a time; also the logarithm of the slope."""
    if not x_knots[0] < x < x_knots[-1]:
        return x, 0.0
    k = np.searchsorted(x_knots, x, side="right") - 1
    width, height = x_knots[k + 1] - x_knots[k], z_knots[k + 1] - z_knots[k]
    s, xi = height / width, (x - x_knots[k]) / width
    d0, d1 = slopes[k], slopes[k + 1]
    denominator = s + (d1 + d0 - 2 * s) * xi * (1 - xi)
    z = z_knots[k] + height * (s * xi**2 + d0 * xi * (1 - xi)) / denominator
    slope = s**2 * (d1 * xi**2 + 2 * s * xi * (1 - xi) + d0 * (1 - xi) ** 2) / denominator**2
    return z, np.log(slope)


GRID = np.linspace(-6, 6, 241)


@given(raw=raw_parameters(np.float64, limit=5), bound=st.sampled_from([1.0, 5.0, 12.0]))
@settings(deadline=None, max_examples=20)
def test_forward_is_durkans_formula(raw, bound):
    x, parameters = shaped(raw, GRID)
    z, log_slope = SplineMap(bound=bound).forward(x, parameters)
    expected = np.array([durkan(value, *knots(raw, bound)) for value in GRID])
    np.testing.assert_allclose(z[0, 0], expected[:, 0], rtol=1e-11, atol=1e-11)
    np.testing.assert_allclose(log_slope[0, 0], expected[:, 1], rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("direction", ["forward", "inverse"])
@given(raw=raw_parameters(np.float32))
@settings(deadline=None, max_examples=40)
def test_extreme_parameters_keep_float32_finite_monotone_and_bounded(direction, raw):
    value, parameters = shaped(raw, np.linspace(-5, 5, 401))
    out, log_slope = getattr(SplineMap(), direction)(value, parameters)
    assert out.isfinite().all()
    assert log_slope.isfinite().all()
    assert out.abs().max() <= 5
    rounding = 32 * torch.finfo(out.dtype).eps * 5
    assert (out.diff() >= -rounding).all()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@given(data=st.data())
@settings(deadline=None, max_examples=30)
def test_inverse_stays_in_the_bin(dtype, data):
    raw = data.draw(raw_parameters(dtype))
    x_knots, z_knots, _ = knots(raw)
    share = data.draw(st.floats(0.01, 0.99))
    z, parameters = shaped(raw, z_knots[:-1] + share * np.diff(z_knots))
    x = SplineMap().inverse(z, parameters)[0][0, 0].numpy()
    rounding = 8 * np.finfo(dtype).eps * 5
    assert (x >= x_knots[:-1] - rounding).all()
    assert (x <= x_knots[1:] + rounding).all()


@given(raw=raw_parameters(np.float64))
@example(raw=np.array([40.5, -5, -5, 23, -5, -5, -5, -5, -5, -5, -5, 2, *[-5] * 11], dtype=float))
@settings(deadline=None, max_examples=40)
def test_round_trip_is_as_exact_as_the_slope_allows(raw):
    spline = SplineMap()
    x, parameters = shaped(raw, GRID)
    z, log_slope = spline.forward(x, parameters)
    again, log_slope_back = spline.inverse(z, parameters)
    rounding = 64 * np.finfo(np.float64).eps * 5
    assert ((again - x).abs() <= rounding * (1 + (-log_slope).exp())).all()
    onto, back = spline.inverse(x, parameters)
    assert ((spline.forward(onto, parameters)[0] - x).abs() <= rounding * (1 + (-back).exp())).all()
    # In a narrow bin the slope differs between places that differ by rounding, so it is compared at one place.
    log_slope_there = spline.forward(again, parameters)[1]
    gentle = (log_slope_there.abs() < 3) & (log_slope_back.abs() < 3)
    torch.testing.assert_close(log_slope_back[gentle], -log_slope_there[gentle], rtol=0, atol=1e-8)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("direction", ["forward", "inverse"])
def test_identity_outside_the_bound(dtype, direction):
    generator = torch.Generator().manual_seed(0)
    value = torch.tensor([-1e30, -7.0, -5.0, 5.0, 5.5, 1e30], dtype=dtype)[None, None]
    raw = torch.randn((1, 23, 6), generator=generator, dtype=dtype)
    out, log_slope = getattr(SplineMap(), direction)(value, raw)
    assert torch.equal(out, value)
    assert not log_slope.any()


@pytest.mark.parametrize("direction", ["forward", "inverse"])
@pytest.mark.parametrize("side", [-1, 1])
@given(raw=raw_parameters(np.float64, limit=5), bound=st.sampled_from([0.5, 5.0]))
@settings(deadline=None, max_examples=20)
def test_value_and_slope_are_continuous_at_the_bound(direction, side, raw, bound):
    value, parameters = shaped(raw, [side * bound * (1 - 1e-10)])
    out, log_slope = getattr(SplineMap(bound=bound), direction)(value, parameters)
    torch.testing.assert_close(out, value, rtol=1e-12, atol=0)
    assert log_slope.abs().max() < 1e-4


@pytest.mark.parametrize("direction", ["forward", "inverse"])
@given(raw=raw_parameters(np.float32))
@settings(deadline=None, max_examples=20)
def test_gradients_are_finite_even_outside_the_bound(direction, raw):
    value, parameters = shaped(raw, [-1e20, -6, -5, -4.999, -1, 0, 2.5, 5, 6, 1e20])
    value.requires_grad_()
    parameters = parameters.clone().requires_grad_()
    out, log_slope = getattr(SplineMap(), direction)(value, parameters)
    (out.sum() + log_slope.sum()).backward()
    assert value.grad.isfinite().all()
    assert parameters.grad.isfinite().all()


@pytest.mark.parametrize("n_bins", [1, 2, 8, 16])
def test_zero_parameters_are_the_identity(n_bins):
    spline = SplineMap(n_bins=n_bins)
    x, raw = shaped(np.zeros(spline.n_parameters), GRID)
    for out, log_slope in (spline.forward(x, raw), spline.inverse(x, raw)):
        torch.testing.assert_close(out, x, rtol=1e-13, atol=1e-13)
        torch.testing.assert_close(log_slope, torch.zeros_like(x), rtol=0, atol=1e-13)


def test_parameters_are_laid_out_parameter_by_parameter():
    generator = torch.Generator().manual_seed(0)
    for scalar_map in (SplineMap(n_bins=3), AffineMap()):
        x = torch.randn((2, 4, 5), generator=generator, dtype=torch.float64)
        raw = torch.randn((2, scalar_map.n_parameters, 4, 5), generator=generator, dtype=torch.float64)
        z, log_slope = scalar_map.forward(x, raw.flatten(1, 2))
        for feature in range(4):
            alone = scalar_map.forward(x[:, feature : feature + 1], raw[:, :, feature])
            torch.testing.assert_close(z[:, feature : feature + 1], alone[0], rtol=1e-14, atol=1e-14)
            torch.testing.assert_close(log_slope[:, feature : feature + 1], alone[1], rtol=1e-14, atol=1e-14)


@given(
    x=st.floats(-1e3, 1e3),
    shift=st.floats(-1e3, 1e3),
    log_scale=st.floats(-1e6, 1e6),
    limit=st.sampled_from([0.5, 2.0, 4.0]),
)
@settings(deadline=None, max_examples=50)
def test_affine_map_scales_within_its_limit_then_shifts(x, shift, log_scale, limit):
    value, raw = shaped(np.array([shift, log_scale]), [x])
    z, log_slope = AffineMap(limit).forward(value, raw)
    bounded = limit * math.tanh(log_scale / limit)
    assert log_slope.item() == pytest.approx(bounded, rel=1e-14, abs=1e-14)
    assert z.item() == pytest.approx(x * math.exp(bounded) + shift, rel=1e-12, abs=1e-12)
    again, back = AffineMap(limit).inverse(z, raw)
    assert again.item() == pytest.approx(x, rel=1e-9, abs=1e-9)
    assert back.item() == -log_slope.item()
