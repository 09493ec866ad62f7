"""Weights: their Pareto tail, the evidence, resampling; chains: whether they agree and what they are worth."""

import math

import numpy as np
import pytest

from skflowmix.inference.diagnostics import effective_sizes, split_r_hat
from skflowmix.inference.importance import (
    effective_size,
    evidence,
    fit_generalized_pareto,
    pareto_smoothed,
    resampled,
)


@pytest.mark.parametrize("k", [-0.4, 0.1, 0.5, 1.0])
def test_shape_of_a_pareto_tail_is_found(k):
    uniform = np.random.default_rng(0).uniform(size=4000)
    found, scale = fit_generalized_pareto(np.sort(2 * np.expm1(-k * np.log(uniform)) / k))
    assert found == pytest.approx(k, abs=0.05)
    assert scale == pytest.approx(2, rel=0.1)


@pytest.mark.parametrize("k", [0.3, 0.8])
def test_shape_of_weights_is_found_whatever_their_unit(k):
    log_weight = -k * np.log(np.random.default_rng(0).uniform(size=20_000))  # Pareto of index 1 / k
    _, found = pareto_smoothed(log_weight)
    assert found == pytest.approx(k, abs=0.12)
    assert pareto_smoothed(log_weight + 1000)[1] == pytest.approx(found)


def test_smoothing_leaves_order_and_bulk_and_lowers_the_largest():
    log_weight = 2 * np.random.default_rng(0).standard_normal(1000)
    log_weight[0] = 20.0
    smooth, _ = pareto_smoothed(log_weight)
    assert (np.argsort(smooth, kind="stable") == np.argsort(log_weight, kind="stable")).all()
    assert (smooth == log_weight).mean() > 0.9
    assert smooth.max() <= 20


def test_weights_that_are_equal_or_too_few():
    assert pareto_smoothed(np.zeros(1000))[1] == -np.inf
    assert pareto_smoothed(np.zeros(10))[1] == np.inf
    log_weight = np.where(np.arange(1000) < 500, -np.inf, np.random.default_rng(0).standard_normal(1000))
    smooth, k = pareto_smoothed(log_weight)
    assert np.isfinite(k)
    assert (smooth[:500] == -np.inf).all()


def test_evidence_and_effective_size_of_known_weights():
    log_weight = np.log([1.0, 1.0, 2.0, 0.5]) + 1000
    assert evidence(log_weight)[0] == pytest.approx(1000 + math.log(4.5 / 4))
    assert evidence(log_weight)[1] == pytest.approx(np.std([1, 1, 2, 0.5]) / 2 / (4.5 / 4))
    assert effective_size(log_weight) == pytest.approx(4.5**2 / 6.25)


def test_resampling_takes_rows_as_often_as_their_weights_say():
    log_weight = np.log([0.1, 0.2, 0.3, 0.4, 1e-300])
    index = resampled(log_weight, 1000, np.random.RandomState(0))
    np.testing.assert_allclose(np.bincount(index, minlength=5), [100, 200, 300, 400, 0], atol=1)


def autoregressive(correlation, shape, seed=0):
    noise = np.random.default_rng(seed).standard_normal(shape)
    states = [noise[:, 0]]
    for t in range(1, shape[1]):
        states.append(correlation * states[-1] + math.sqrt(1 - correlation**2) * noise[:, t])
    return np.stack(states, 1)


def test_effective_size_of_an_autoregression():
    chains = autoregressive(0.8, (8, 2000, 2))
    np.testing.assert_allclose(effective_sizes(chains), 8 * 2000 * 0.2 / 1.8, rtol=0.15)
    np.testing.assert_allclose(effective_sizes(autoregressive(0, (8, 500, 1))), 4000, rtol=0.15)


def test_r_hat_sees_places_scales_and_drift():
    chains = autoregressive(0.3, (8, 500, 4))
    assert (split_r_hat(chains) < 1.01).all()
    chains[0, :, 1] += 2
    chains[:2, :, 2] *= 4
    chains[:, :, 3] += np.linspace(0, 3, 500)
    assert (split_r_hat(chains)[1:] > 1.05).all()
