"""Amortised inference: conditional mixtures of flows, and their fits to simulated pairs."""

import amortised_inference
import pytest
import torch

from skflowmix.modules.conditional import CONDITIONAL_FLOWS, ConditionalFlowMixture
from skflowmix.training import fit_conditional


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def random_model(flow, n_components, n_features=2, n_context=3):
    """A model in float64 whose parameters are all random, of theta and contexts far from standard."""
    model = ConditionalFlowMixture(
        n_components, n_features, n_context, flow=flow, n_layers=2, hidden_layer_sizes=(8,), generator=seeded()
    ).double()
    for seed, parameter in enumerate(model.parameters()):
        parameter.data += 0.15 * torch.randn(parameter.shape, generator=seeded(seed), dtype=torch.float64)
    rows = torch.randn(200, n_features + n_context, generator=seeded(1), dtype=torch.float64)
    model.standardize(3 + 2 * rows[:, :n_features], 5 * rows[:, n_features:] - 1)
    return model.requires_grad_(False)


@pytest.mark.parametrize("flow", CONDITIONAL_FLOWS)
@pytest.mark.parametrize("n_components", [1, 3])
class TestConditionalFlowMixture:
    def test_density_integrates_to_one_at_every_context(self, flow, n_components):
        model = random_model(flow, n_components)
        axis = torch.linspace(-25, 31, 281, dtype=torch.float64)
        points = torch.cartesian_prod(axis, axis)
        for context in torch.randn(2, 1, 3, generator=seeded(2), dtype=torch.float64):
            assert model.log_prob(points, context).exp().sum() * 0.04 == pytest.approx(1, abs=2e-3)

    def test_draws_have_that_density(self, flow, n_components):
        model = random_model(flow, n_components)
        context = torch.randn(2, 3, generator=seeded(2), dtype=torch.float64)
        draws = model.sample(5000, context, generator=seeded())
        axis = torch.linspace(-25, 31, 281, dtype=torch.float64)
        points = torch.cartesian_prod(axis, axis)
        for row, own in zip(context, draws, strict=True):
            density = model.log_prob(points, row[None]).exp() * 0.04
            torch.testing.assert_close(own.mean(0), density @ points, atol=0.2, rtol=0)
            torch.testing.assert_close(own.square().mean(0), density @ points.square(), atol=0.5, rtol=0.1)

    def test_weights_depend_on_the_context_and_sum_to_one(self, flow, n_components):
        model = random_model(flow, n_components)
        weights = model.log_weights(torch.randn(5, 3, generator=seeded(2), dtype=torch.float64)).exp()
        assert weights.shape == (5, n_components)
        torch.testing.assert_close(weights.sum(1), torch.ones(5, dtype=torch.float64))
        assert n_components == 1 or weights.std(0).min() > 0


def test_linear_gaussian_posteriors_are_found():
    """Of contexts that were not seen."""
    matrix = torch.tensor([[1.0, 0.5], [0.0, 1.0], [1.0, -1.0]])
    theta = 10 + 4 * torch.randn(4000, 2, generator=seeded())
    x = theta @ matrix.T + 2 * torch.randn(4000, 3, generator=seeded(1))
    model, history = fit_conditional(theta[200:], x[200:], flow="maf", n_layers=2, generator=seeded())
    covariance = torch.linalg.inv(torch.eye(2) / 16 + matrix.T @ matrix / 4)
    mean = (10 / 16 + x[:200] @ matrix / 4) @ covariance
    deviation = covariance.diagonal().sqrt()
    draws = model.sample(1000, x[:200], generator=seeded())
    assert ((draws.mean(1) - mean).abs() / deviation).mean() < 0.15
    torch.testing.assert_close(draws.std(1).mean(0), deviation, rtol=0.05, atol=0)
    exact = torch.distributions.MultivariateNormal(mean, covariance).log_prob(theta[:200])
    assert model.log_prob(theta[:200], x[:200]).mean().item() == pytest.approx(exact.mean().item(), abs=0.1)
    assert not model.training
    assert 0 < history.n_iter < 200


def test_same_generator_same_model_and_global_state_is_left():
    theta = torch.randn(300, 1, generator=seeded())
    before = torch.random.get_rng_state()
    models = [
        fit_conditional(theta, theta.square(), n_components=2, max_iter=2, generator=seeded(1))[0] for _ in range(2)
    ]
    assert torch.equal(before, torch.random.get_rng_state())
    for one, other in zip(*(model.state_dict().values() for model in models), strict=True):
        assert torch.equal(one, other)


def test_a_feature_that_is_constant_is_no_harm():
    theta = torch.cat([torch.randn(100, 1, generator=seeded()), torch.ones(100, 1)], 1).double()
    model, _ = fit_conditional(theta, torch.zeros(100, 1), max_iter=2, generator=seeded())
    assert model.log_prob(theta, torch.zeros(1, 1).double()).isfinite().all()


@pytest.mark.parametrize(
    ("theta", "context", "options", "message"),
    [
        (torch.zeros(9), torch.zeros(9, 1), {}, "theta must be a table"),
        (torch.zeros(9, 1), torch.full((9, 1), torch.nan), {}, "context must be a table"),
        (torch.zeros(9, 1), torch.zeros(8, 1), {}, "as many rows"),
        (torch.zeros(3, 1), torch.zeros(3, 1), {}, "at least 4"),
        (torch.zeros(9, 1), torch.zeros(9, 1), {"flow": "nsf"}, "flow must be one of"),
        (torch.zeros(9, 1), torch.zeros(9, 1), {"validation_fraction": 1.0}, "validation_fraction"),
    ],
)
def test_what_cannot_be_fitted_is_an_error(theta, context, options, message):
    with pytest.raises(ValueError, match=message):
        fit_conditional(theta, context, **options)


def test_example_prints_a_table(capsys):
    amortised_inference.main(["--n-pairs", "400", "--max-iter", "2"])
    assert capsys.readouterr().out.count("\n") == 2 + amortised_inference.N_OBSERVED
