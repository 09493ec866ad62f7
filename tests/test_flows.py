"""Every preset is a density: a new one is tested by being in `PRESETS`."""

import numpy as np
import pytest
import torch
from scipy import stats
from torch.distributions import MultivariateNormal

from skflowmix.modules.bases import Normal
from skflowmix.modules.flows import PRESETS, make_flow

every_preset = pytest.mark.parametrize("preset", PRESETS)
N_SAMPLES = 4000
WITHOUT_NETWORKS = {"affine", "planar", "prelu", "radial"}


def flow_log_prob(flow, x):
    z, ladj = flow(x)
    return Normal(len(x), x.shape[-1]).log_prob(z) + ladj


@pytest.fixture(scope="module")
def random_flow(randomise):
    def make(preset, n_features, n_components=1, seed=0):
        generator = torch.Generator().manual_seed(seed)
        flow = make_flow(preset, n_components, n_features, n_layers=3, hidden_layer_sizes=(8,), generator=generator)
        return randomise(flow.double(), n_features, generator)

    return make


@torch.no_grad()
def draw(flow, n_features, seed=0):
    z = torch.randn((1, N_SAMPLES, n_features), generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return flow.inverse(z)[0][0]


@torch.no_grad()
def density_on_grid(flow, samples):
    """Grid axes that reach beyond the samples, and the density there."""
    margin = 0.5 * (samples.max(0).values - samples.min(0).values)
    low, high = samples.min(0).values - margin, samples.max(0).values + margin
    n_points = 4000 if samples.shape[1] == 1 else 400
    axes = [torch.linspace(a, b, n_points, dtype=torch.float64) for a, b in zip(low, high, strict=True)]
    points = torch.cartesian_prod(*axes).reshape(1, -1, len(axes))
    return [axis.numpy() for axis in axes], flow_log_prob(flow, points).exp().reshape([n_points] * len(axes)).numpy()


def integrate(density, axes):
    for axis in reversed(axes):
        density = np.trapezoid(density, axis)
    return density


@every_preset
@pytest.mark.parametrize("n_features", [1, 2])
@pytest.mark.parametrize("seed", [0, 1])
def test_density_integrates_to_one(random_flow, preset, n_features, seed):
    flow = random_flow(preset, n_features, seed=seed)
    axes, density = density_on_grid(flow, draw(flow, n_features))
    assert integrate(density, axes) == pytest.approx(1, abs=0.01)


@every_preset
@pytest.mark.parametrize("n_features", [1, 2])
def test_samples_follow_the_density(random_flow, preset, n_features):
    flow = random_flow(preset, n_features)
    samples = draw(flow, n_features, seed=1)
    axes, density = density_on_grid(flow, samples)
    for feature, axis in enumerate(axes):
        marginal = density if n_features == 1 else np.trapezoid(density, axes[1 - feature], axis=1 - feature)
        cdf = np.concatenate([[0], np.cumsum(np.diff(axis) * (marginal[1:] + marginal[:-1]) / 2)])
        uniform = np.interp(samples[:, feature].numpy(), axis, cdf)
        assert stats.kstest(uniform, stats.uniform.cdf).pvalue > 1e-3


@every_preset
@pytest.mark.parametrize("n_features", [1, 2])
def test_mean_log_prob_of_samples_is_minus_the_entropy(random_flow, preset, n_features):
    flow = random_flow(preset, n_features)
    samples = draw(flow, n_features, seed=2)
    axes, density = density_on_grid(flow, samples)
    log_prob = flow_log_prob(flow, samples[None])[0].detach().numpy()
    negative_entropy = integrate(density * np.log(density.clip(1e-300)), axes)
    error = log_prob.std() / np.sqrt(N_SAMPLES)
    assert log_prob.mean() == pytest.approx(negative_entropy, abs=4 * error)


@every_preset
@pytest.mark.parametrize("n_features", [1, 2, 5])
@pytest.mark.parametrize("reg_covar", [1e-6, 0.3])
def test_starts_at_the_gaussian_of_the_datas_moments(preset, n_features, reg_covar):
    generator = torch.Generator().manual_seed(0)
    flow = make_flow(preset, 2, n_features, n_layers=2, reg_covar=reg_covar, generator=generator).double()
    mixing = torch.randn((2, n_features, n_features), generator=generator, dtype=torch.float64)
    x = torch.randn((2, 50, n_features), generator=generator, dtype=torch.float64) @ mixing + 3
    weight = torch.rand((2, 50), generator=generator, dtype=torch.float64)
    flow.initialize(x, weight)
    n_rows = weight.sum(1)
    mean = [np.average(rows, axis=0, weights=w) for rows, w in zip(x, weight, strict=True)]
    cov = [np.atleast_2d(np.cov(rows.T, aweights=w, ddof=0)) for rows, w in zip(x, weight, strict=True)]
    pooled = np.average(cov, axis=0, weights=n_rows)
    for i in range(2):
        n = n_rows[i].item()
        n_pseudo = n_features + 1
        expected_cov = (n * cov[i] + n_pseudo * pooled) / (n + n_pseudo) + reg_covar * np.eye(n_features)
        expected = MultivariateNormal(torch.as_tensor(mean[i]), torch.as_tensor(expected_cov))
        torch.testing.assert_close(flow_log_prob(flow, x)[i], expected.log_prob(x[i]), rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("preset", [name for name in PRESETS if name != "affine"])
@pytest.mark.parametrize("n_features", [1, 2, 3])
def test_layers_bend_every_feature(random_flow, preset, n_features):
    flow = random_flow(preset, n_features)
    x = draw(flow, n_features)[None, :50]
    z = x
    for layer in flow.transforms[1:]:
        z = layer(z)[0]
    assert (z != x).any(1).all()


@every_preset
def test_same_seed_builds_the_same_flow(preset):
    def build(seed):
        generator = torch.Generator().manual_seed(seed)
        return torch.cat([p.flatten() for p in make_flow(preset, 2, 3, generator=generator).parameters()])

    before = torch.get_rng_state()
    assert torch.equal(build(0), build(0))
    assert preset == "affine" or not torch.equal(build(0), build(1))
    assert torch.equal(torch.get_rng_state(), before)


@every_preset
def test_components_start_with_different_networks(preset):
    flow = make_flow(preset, 2, 4, generator=torch.Generator().manual_seed(0))
    networks = [p for name, p in flow.named_parameters() if "conditioner.weights.0" in name]
    assert len(networks) == (0 if preset in WITHOUT_NETWORKS else 4)
    assert all(not torch.equal(weight[0], weight[1]) for weight in networks)


@pytest.mark.parametrize("preset", [name for name in PRESETS if name != "affine"])
def test_symmetric_rows_bend_a_flow_from_its_start(preset):
    generator = torch.Generator().manual_seed(0)
    half = torch.randn((1, 100, 2), generator=generator, dtype=torch.float64).abs()
    rows = torch.cat([half, -half], 1)
    flow = make_flow(preset, 1, 2, hidden_layer_sizes=(8,), generator=generator).double()
    flow.initialize(rows, torch.ones(1, 200, dtype=torch.float64))
    (-flow_log_prob(flow, rows).mean()).backward()
    bends = [p.grad.abs().max() for layer in flow.transforms[1:] for p in layer.parameters()]
    assert max(bends) > 1e-3
