"""Linear layers with noise in their weights, against the weights' own noise, and the divergence against quadrature."""

import copy
import math
import pickle
from functools import partial

import pytest
import torch
from scipy.integrate import quad
from torch import nn
from torch.nn.functional import linear

from skflowmix.modules.weight_noise import (
    GaussianDropout,
    VariationalDropout,
    log_uniform_divergence,
    noisy_linear,
    seed_weight_noise,
    weight_divergence,
)

LAYERS = {"rate": partial(GaussianDropout, rate=0.3), "variational": VariationalDropout}
each_layer = pytest.mark.parametrize("name", LAYERS)


def make_layer(name, n_inputs=6, n_outputs=4):
    generator = torch.Generator().manual_seed(0)
    layer = LAYERS[name](n_inputs, n_outputs, generator=generator).double()
    with torch.no_grad():
        layer.bias += torch.randn(layer.bias.shape, generator=generator)
        for logits in layer.parameters():
            if logits is not layer.weight and logits is not layer.bias:
                logits += torch.randn(logits.shape, generator=generator)
    seed_weight_noise(layer, generator)
    return layer


def rows(n_rows=5, n_inputs=6):
    return torch.randn(n_rows, n_inputs, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


def noisy_weights(layer, n_draws):
    """Weights as they are defined, Tensor of shape (n_draws, n_outputs, n_inputs)."""
    noise = torch.randn(
        n_draws, *layer.weight.shape[1:], generator=torch.Generator().manual_seed(2), dtype=torch.float64
    )
    return layer.weight * (1 + torch.as_tensor(layer.ratio()).sqrt() * noise)


def divergence_by_quadrature(alpha):
    r"""Of :math:`N(1, \alpha)` from :math:`1 / |w|`, but for the constant of the normal density's entropy."""

    def integrand(epsilon):
        return math.exp(-0.5 * epsilon**2) / math.sqrt(2 * math.pi) * math.log(abs(1 + math.sqrt(alpha) * epsilon))

    root = -1 / math.sqrt(alpha)
    points = sorted({max(root, -12.0), -8.0, 0.0})
    pieces = zip([-12.0, *points], [*points, 12.0], strict=True)
    return -0.5 * math.log(alpha) + sum(quad(integrand, a, b, limit=200)[0] for a, b in pieces if b > a)


def test_divergence_is_that_of_quadrature_but_for_a_constant():
    ratios = [0.001, 0.01, 0.05, 0.1, 0.2, 0.4, 0.6, 0.8, 0.95, 1.0]
    exact = torch.tensor([divergence_by_quadrature(alpha) for alpha in ratios], dtype=torch.float64)
    difference = log_uniform_divergence(torch.tensor(ratios, dtype=torch.float64)) - exact
    assert difference.max() - difference.min() < 0.04
    assert difference[3:].max() - difference[3:].min() < 0.007


def test_divergence_falls_up_to_the_largest_ratio():
    """So that weights that do not matter to the likelihood become as noisy as they may be."""
    ratio = torch.linspace(0.001, 1, 500, dtype=torch.float64)
    assert (log_uniform_divergence(ratio).diff() < 0).all()


@each_layer
def test_outputs_have_the_moments_of_noisy_weights(name):
    layer, x = make_layer(name), rows()
    mean, variance = layer.moments(x)
    by_weights = torch.einsum("sji,ni->snj", noisy_weights(layer, 20_000), x) + layer.bias
    drawn = layer.train()(x.expand(20_000, *x.shape))
    for outputs in (by_weights, drawn):
        torch.testing.assert_close(outputs.mean(0), mean, rtol=0, atol=0.06)
        torch.testing.assert_close(outputs.var(0), variance, rtol=0.06, atol=1e-3)


@each_layer
def test_outputs_of_rows_and_units_are_independent(name):
    layer = make_layer(name).train()
    drawn = layer(rows(2).expand(20_000, 2, -1)).flatten(1)
    correlation = torch.corrcoef(drawn.T) - torch.eye(drawn.shape[1])
    assert correlation.abs().max() < 0.04


@each_layer
def test_the_gradient_varies_less_than_with_one_draw_of_the_weights_for_all_rows(name):
    layer, x = make_layer(name).train(), rows(50)

    def local():
        return layer(x)

    def of_one_draw():
        noise = torch.randn(layer.weight.shape, generator=layer.noise_generator, dtype=torch.float64)
        noisy = layer.weight * (1 + torch.as_tensor(layer.ratio()).sqrt() * noise)
        return linear(x, noisy.squeeze(0), layer.bias.squeeze(0))

    variances, means = [], []
    for outputs in (local, of_one_draw):
        gradients = torch.stack(
            [torch.autograd.grad(outputs().square().sum(1).mean(), layer.weight)[0] for _ in range(400)]
        )
        variances.append(gradients.var(0).sum())
        means.append(gradients.mean(0))
    assert variances[0] < 0.3 * variances[1]
    torch.testing.assert_close(*means, rtol=0, atol=6 * math.sqrt(variances[1] / 400))


@each_layer
def test_evaluation_has_no_noise(name):
    layer, x = make_layer(name).eval(), rows()
    torch.testing.assert_close(layer(x), layer.moments(x)[0], rtol=0, atol=0)


@each_layer
def test_inputs_of_any_shape_are_rows(name):
    layer = make_layer(name)
    assert layer(rows(6).view(2, 3, 6)).shape == (2, 3, 4)


@each_layer
def test_noise_is_that_of_the_generator_and_of_nobody_else(name):
    state, layer = torch.get_rng_state(), make_layer(name).train()
    outputs = []
    for _ in range(2):
        seed_weight_noise(nn.Sequential(layer), torch.Generator().manual_seed(3))
        outputs.append(layer(rows()))
    torch.testing.assert_close(*outputs, rtol=0, atol=0)
    assert torch.equal(torch.get_rng_state(), state)


@each_layer
@pytest.mark.parametrize("duplicate", [copy.deepcopy, lambda layer: pickle.loads(pickle.dumps(layer))])
def test_copies_are_equal_and_have_no_generator(name, duplicate):
    layer = make_layer(name)
    other = duplicate(layer)
    assert other.noise_generator is None
    assert layer.noise_generator is not None
    torch.testing.assert_close(other.eval()(rows()), layer.eval()(rows()), rtol=0, atol=0)


@each_layer
def test_float32_without_weights_or_rows_of_zeros_has_a_finite_gradient(name):
    layer = make_layer(name).float().train()
    nn.init.zeros_(layer.weight)
    layer(torch.zeros(3, 6)).square().sum().backward()
    assert all(p.grad is None or p.grad.isfinite().all() for p in layer.parameters())


def test_divergence_of_a_network_is_the_sum_over_its_uncertain_parts():
    class Own(nn.Linear):
        def weight_divergence(self):
            return self.weight.square().sum().view(1)

    first, last = make_layer("variational"), Own(4, 2).double()
    network = nn.Sequential(first, nn.Tanh(), make_layer("rate", 4, 4), last)
    by_weight = log_uniform_divergence(first.ratio()).expand(4, 6).sum()
    torch.testing.assert_close(weight_divergence(network), (by_weight + last.weight.square().sum()).view(1))
    torch.testing.assert_close(weight_divergence(nn.Linear(2, 2)), torch.zeros(1))


def test_learned_ratios_tell_inputs_that_matter():
    """The first input makes the target; noise costs accuracy there and nothing elsewhere."""
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(200, 3, generator=generator)
    layer = VariationalDropout(3, 1, generator=generator).train()
    seed_weight_noise(layer, generator)
    optimizer = torch.optim.SGD(layer.parameters(), lr=0.05)
    for _ in range(500):
        fit = 0.5 * (layer(x) - x[:, :1]).square().sum() / 0.1
        loss = (fit + weight_divergence(layer)) / len(x)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    ratio = layer.ratio().tolist()
    assert ratio[0] < 0.05
    assert min(ratio[1:]) > 2 * ratio[0]


def test_dropout_of_an_estimator_names_a_layer():
    assert isinstance(noisy_linear("variational")(3, 2), VariationalDropout)
    assert noisy_linear(0.5)(3, 2).ratio() == 1
