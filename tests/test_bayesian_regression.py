"""Posteriors of the example against NUTS: examples/bayesian_regression.py."""

import bayesian_regression
import numpy as np
import pytest


@pytest.mark.parametrize("name", ["centred", "non-centred"])
def test_both_ways_of_eight_schools_are_one_density(name):
    """The change of variables theta_j = mu + tau * arm_j has the determinant tau^8."""
    theta = np.abs(np.random.default_rng(0).normal(size=(20, 10)))
    rows = bayesian_regression.torch.as_tensor(theta)
    mu, tau, arm = rows[:, :1], rows[:, 1:2], rows[:, 2:]
    centred = bayesian_regression.torch.cat([mu, tau, mu + tau * arm], 1)
    difference = bayesian_regression.centred(centred) + 8 * tau.log().squeeze(1) - bayesian_regression.non_centred(rows)
    np.testing.assert_allclose(difference, 0, atol=1e-5)


def test_a_short_fit_of_the_regression_is_near_nuts(monkeypatch, capsys):
    """Its start, nearly; defaults are nearer: docs/notes/inference.md."""
    small = {"flow": "affine", "n_components": 1, "base": "normal", "max_iter": 8}
    with pytest.warns(UserWarning, match="max_iter"):
        draws, posterior = bayesian_regression.posterior_draws("cancer", 2000, **small)
    apart, _, ratio = bayesian_regression.compare("cancer", draws)
    assert apart < 0.15
    assert 0.85 < ratio < 1.15
    assert posterior.pareto_k_ < 0.7
