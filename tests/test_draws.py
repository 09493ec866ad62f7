"""Differentiable draws of a mixture, stratified over its components, and training on noise alone."""

import math
from dataclasses import dataclass

import pytest
import torch

from skflowmix.modules import BASES, PRESETS, FlowMixture, Normal, make_flow, make_shared_layers
from skflowmix.training import NoiseBatches, TrainingOptions, train


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def shared_mixture(randomise):
    sizes = {"n_layers": 3, "n_shared_layers": 2, "hidden_layer_sizes": (8,), "generator": seeded()}
    flow, shared = make_flow("nsf", 3, 2, **sizes), make_shared_layers("nsf", 2, **sizes)
    mixture = FlowMixture(flow, Normal(3, 2), 3, shared=shared).double()
    randomise(mixture.flow, 2, seeded())
    randomise(mixture.shared, 2, seeded(1))
    return mixture


@pytest.mark.parametrize("preset", PRESETS)
@pytest.mark.parametrize("base", BASES)
def test_log_prob_is_that_of_the_mixture(make_mixture, preset, base):
    mixture = make_mixture(preset, 3, base=base)
    x, log_prob = mixture.rsample_and_log_prob(40, generator=seeded())
    assert x.shape == (3, 40, 2)
    expected = mixture.log_prob(x.flatten(0, 1)).view(3, 40)
    torch.testing.assert_close(log_prob, expected, rtol=1e-9, atol=1e-9)


def test_shared_layers_are_passed_backwards(randomise):
    mixture = shared_mixture(randomise)
    x, log_prob = mixture.rsample_and_log_prob(40, generator=seeded())
    torch.testing.assert_close(log_prob, mixture.log_prob(x.flatten(0, 1)).view(3, 40), rtol=1e-9, atol=1e-9)


def test_draws_are_those_of_each_component(make_mixture):
    mixture = make_mixture("nsf", 3)
    x, _ = mixture.rsample_and_log_prob(4000, generator=seeded())
    for k in range(3):
        alone, _ = mixture.select([k]).sample(4000, generator=seeded(1))
        torch.testing.assert_close(x[k].mean(0), alone.mean(0), rtol=0, atol=0.15 * alone.std().item())
        torch.testing.assert_close(x[k].std(0), alone.std(0), rtol=0.1, atol=0)


def test_restarts_side_by_side_are_those_alone(make_mixture):
    mixture = make_mixture("nsf", 3, n_restarts=2)
    z = torch.randn((6, 10, 2), generator=seeded(), dtype=torch.float64)
    x, log_prob = mixture.restart_transport(z)
    for r in range(2):
        alone_x, alone_log_prob = mixture.restart(r).restart_transport(z[3 * r : 3 * r + 3])
        torch.testing.assert_close(x[r], alone_x[0], rtol=1e-10, atol=1e-10)
        torch.testing.assert_close(log_prob[r], alone_log_prob[0], rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("base", ["normal", "student_t"])
def test_gradient_is_that_of_finite_differences(make_mixture, base):
    """Of an expectation by fixed draws: the weights' part, the draws' part and that of the density."""
    mixture = make_mixture("realnvp", 2, base=base)

    def expectation():
        x, log_prob = mixture.rsample_and_log_prob(30, generator=seeded())
        weights = mixture.log_weights()[0].exp()
        return (weights * (x.square().sum(-1) + log_prob).mean(1)).sum()

    parameters = list(mixture.parameters())
    gradients = torch.autograd.grad(expectation(), parameters)
    directions = [torch.randn(p.shape, generator=seeded(i), dtype=p.dtype) for i, p in enumerate(parameters)]
    slope = sum((g * d).sum() for g, d in zip(gradients, directions, strict=True)).item()
    step, values = 1e-5, []
    for sign in (1, -1):
        with torch.no_grad():
            for parameter, direction in zip(parameters, directions, strict=True):
                parameter += sign * step * direction
            values.append(expectation().item())
            for parameter, direction in zip(parameters, directions, strict=True):
                parameter -= sign * step * direction
    assert slope == pytest.approx((values[0] - values[1]) / (2 * step), rel=1e-5)


def test_expectation_is_that_of_plain_draws(make_mixture):
    """Monte Carlo: the mean over components by their weights equals that over draws of the whole mixture."""
    mixture = make_mixture("nsf", 3)
    with torch.no_grad():
        x, log_prob = mixture.rsample_and_log_prob(20_000, generator=seeded())
        weights = mixture.log_weights()[0].exp()
        stratified = (weights * (x[..., 0].sin() + log_prob).mean(1)).sum()
        drawn, _ = mixture.sample(60_000, generator=seeded(1))
        plain = drawn[:, 0].sin() + mixture.log_prob(drawn)
    assert stratified.item() == pytest.approx(plain.mean().item(), abs=6 * plain.std().item() / math.sqrt(20_000))


@dataclass(frozen=True)
class ReverseDivergence:
    """Of two normal densities far apart, an objective of noise: `train` needs no rows."""

    is_scored_in_full = True
    centers = torch.tensor([[-4.0, 0.0], [4.0, 1.0]], dtype=torch.float64)

    def __call__(self, model, batch, progress=1.0):
        x, log_prob = model.restart_transport(batch.z.transpose(0, 1))
        distance = (x[..., None, :] - self.centers).square().sum(-1)
        target = (-0.5 * distance).logsumexp(-1) - math.log(4 * math.pi)
        weights = model.log_weights().exp()[:, :, None]
        return (weights * (log_prob - target)).sum(1)


@pytest.mark.parametrize("n_restarts", [1, 2])
def test_a_mixture_is_trained_on_noise(n_restarts):
    n_flows = 2 * n_restarts
    mixture = FlowMixture(make_flow("affine", n_flows, 2), Normal(n_flows, 2), 2, n_restarts=n_restarts).double()
    starts = torch.tensor([[-2.0, 0.0], [2.0, 0.0]], dtype=torch.float64).repeat(n_restarts, 1)
    covariances = 4 * torch.eye(2, dtype=torch.float64).expand(n_flows, 2, 2)
    mixture.flow.transforms[0].set_gaussian(starts, covariances)
    generator = seeded()

    def draw(n):
        return mixture.base.sample((n, n_flows, 2), generator=generator, dtype=torch.float64)

    scores, _, history = train(
        mixture, NoiseBatches(draw, 64), TrainingOptions(max_iter=12, learning_rate=0.05), objective=ReverseDivergence()
    )
    assert history.start_score == []
    assert max(map(abs, scores)) < 0.1, "the divergence of a density from itself is nil"
    for index in range(n_restarts):
        x, _ = mixture.restart(index).rsample_and_log_prob(2000, generator=seeded(1))
        torch.testing.assert_close(x.mean(1), ReverseDivergence.centers, rtol=0, atol=0.2)
