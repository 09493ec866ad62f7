"""The mixture against scikit-learn's, against its own definition, and against its parts."""

import copy
import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from scipy.special import logsumexp
from sklearn.mixture import GaussianMixture

from skflowmix.modules.bases import BASES, Normal
from skflowmix.modules.flows import PRESETS, make_flow
from skflowmix.modules.mixture import FlowMixture
from skflowmix.modules.nets import MLP

every_preset = pytest.mark.parametrize("preset", PRESETS)
every_base = pytest.mark.parametrize("base", BASES)


def rows(n_rows, n_features, seed=0):
    return 2 * torch.randn((n_rows, n_features), generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def permuted(mixture, order):
    """The same mixture with its components in another order."""
    other = copy.deepcopy(mixture)
    state = {
        name: tensor[order] if name != "logits" else tensor[:, order] for name, tensor in mixture.state_dict().items()
    }
    other.load_state_dict(state)
    return other


def one_component(mixture, index):
    other = copy.deepcopy(mixture)
    for module in other.modules():
        for name, parameter in list(module.named_parameters(recurse=False)):
            keep = slice(0, 1) if name == "logits" else slice(index, index + 1)
            setattr(module, name, torch.nn.Parameter(parameter.detach()[keep]))
        for name, buffer in list(module.named_buffers(recurse=False)):
            setattr(module, name, buffer[index : index + 1])
    other.logits = torch.nn.Parameter(other.logits.detach()[:, :1])
    other.n_components = 1
    return other


@every_preset
@every_base
def test_one_component_is_the_flow(make_mixture, preset, base):
    mixture, x = make_mixture(preset, 1, 3, base=base), rows(20, 3)
    z, ladj = mixture.flow(x[None])
    torch.testing.assert_close(mixture.log_prob(x), (mixture.base.log_prob(z) + ladj)[0], rtol=1e-13, atol=1e-13)
    torch.testing.assert_close(mixture.log_resp(x), torch.zeros_like(x[:, :1]), rtol=0, atol=0)


@given(n_components=st.integers(1, 4), n_features=st.integers(1, 5), seed=st.integers(0, 100))
@settings(deadline=None, max_examples=15)
def test_affine_components_equal_scikit_learns_gaussian_mixture(n_components, n_features, seed):
    random_state = np.random.RandomState(seed)
    centres = 4 * random_state.standard_normal((n_components, n_features))
    X = np.concatenate([centre + random_state.standard_normal((30, n_features)) for centre in centres])
    peer = GaussianMixture(n_components, reg_covar=1e-3, max_iter=1000, random_state=seed).fit(X)
    mixture = FlowMixture(
        make_flow("affine", n_components, n_features, reg_covar=0.0), Normal(n_components, n_features), n_components
    ).double()
    mixture.flow.transforms[0].set_gaussian(torch.as_tensor(peer.means_), torch.as_tensor(peer.covariances_))
    mixture.logits.data.copy_(torch.as_tensor(np.log(peer.weights_)))
    x = torch.as_tensor(X)
    np.testing.assert_allclose(mixture.log_prob(x).detach(), peer.score_samples(X), rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(mixture.log_resp(x).exp().detach(), peer.predict_proba(X), rtol=1e-7, atol=1e-9)


@every_preset
@every_base
def test_order_of_components_does_not_matter(make_mixture, preset, base):
    mixture, x, order = make_mixture(preset, 4, base=base), rows(20, 2), [2, 0, 3, 1]
    other = permuted(mixture, order)
    torch.testing.assert_close(other.log_prob(x), mixture.log_prob(x), rtol=1e-13, atol=1e-13)
    torch.testing.assert_close(other.log_resp(x), mixture.log_resp(x)[:, order], rtol=1e-12, atol=1e-12)


@every_preset
@given(
    n_components=st.integers(1, 5), n_features=st.integers(1, 4), n_rows=st.integers(1, 10), seed=st.integers(0, 100)
)
@settings(deadline=None, max_examples=10)
def test_densities_are_their_definitions(make_mixture, preset, n_components, n_features, n_rows, seed):
    mixture, x = make_mixture(preset, n_components, n_features, seed=seed), rows(n_rows, n_features, seed)
    logits = mixture.logits[0].detach().numpy()
    components = [one_component(mixture, k).log_prob(x).detach().numpy() for k in range(n_components)]
    log_joint = np.stack(components, 1) + logits - logsumexp(logits)
    np.testing.assert_allclose(mixture.log_joint(x).detach(), log_joint, rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(mixture.log_prob(x).detach(), logsumexp(log_joint, 1), rtol=1e-12, atol=1e-12)
    log_resp = mixture.log_resp(x).detach().numpy()
    np.testing.assert_allclose(log_resp, log_joint - logsumexp(log_joint, 1)[:, None], rtol=1e-10, atol=1e-10)
    np.testing.assert_allclose(np.exp(log_resp).sum(1), 1, rtol=1e-13)
    np.testing.assert_allclose(mixture.log_weights().exp().sum().item(), 1, rtol=1e-13)


def test_far_rows_keep_normalised_responsibilities(make_mixture):
    log_resp = make_mixture("nsf").log_resp(torch.full((1, 2), 1e12, dtype=torch.float64))
    assert log_resp.exp().sum().item() == pytest.approx(1, abs=1e-14)


@every_preset
@every_base
def test_samples_are_sorted_by_component_and_in_proportion(make_mixture, preset, base):
    mixture = make_mixture(preset, 4, base=base)
    x, component = mixture.sample(5000, generator=torch.Generator().manual_seed(0))
    assert x.shape == (5000, 2)
    assert (component.diff() >= 0).all()
    expected = 5000 * mixture.log_weights()[0].exp().detach().numpy()
    assert stats.chisquare(component.bincount(minlength=4).numpy(), expected).pvalue > 1e-3


def test_samples_come_from_the_component_that_they_name():
    centres = torch.tensor([[0.0, 0.0], [100.0, 0.0], [0.0, 100.0]], dtype=torch.float64)
    mixture = FlowMixture(make_flow("realnvp", 3, 2), Normal(3, 2), 3).double()
    mixture.flow.transforms[0].set_gaussian(centres, torch.eye(2, dtype=torch.float64).expand(3, 2, 2))
    mixture.logits.data.copy_(torch.tensor([[0.0, 1.0, -1.0]]))
    x, component = mixture.sample(300, generator=torch.Generator().manual_seed(0))
    assert (x - centres[component]).abs().max() < 6
    assert torch.equal(mixture.log_resp(x).argmax(1), component)


@every_preset
@every_base
def test_log_prob_of_fresh_samples_is_that_of_their_component(make_mixture, preset, base):
    mixture = make_mixture(preset, 3, base=base)
    x, component, log_prob = mixture.sample_and_component_log_prob(200, generator=torch.Generator().manual_seed(0))
    again = mixture.sample(200, generator=torch.Generator().manual_seed(0))
    assert torch.equal(x, again[0])
    assert torch.equal(component, again[1])
    expected = mixture.component_log_prob(x)[0].gather(1, component[:, None])[:, 0]
    torch.testing.assert_close(log_prob, expected, rtol=1e-8, atol=1e-8)


def count_network_evaluations(mixture, function):
    """Evaluations of each conditioner of a flow."""
    networks = [module for module in mixture.modules() if isinstance(module, MLP)]
    counts = [0] * len(networks)

    def count(index):
        def hook(*_):
            counts[index] += 1

        return hook

    handles = [network.register_forward_hook(count(index)) for index, network in enumerate(networks)]
    function()
    for handle in handles:
        handle.remove()
    return counts


@pytest.mark.parametrize(
    ("preset", "of_a_density", "of_a_sample"), [("maf", 1, 5), ("nsf-ar", 1, 5), ("iaf", 5, 1), ("nsf", 1, 1)]
)
def test_each_direction_evaluates_networks_as_often_as_it_must(make_mixture, preset, of_a_density, of_a_sample):
    mixture = make_mixture(preset, 2, 5)
    x, generator = rows(4, 5), torch.Generator().manual_seed(0)
    assert count_network_evaluations(mixture, lambda: mixture.log_prob(x)) == [of_a_density] * 2
    assert (
        count_network_evaluations(mixture, lambda: mixture.sample_and_component_log_prob(4, generator=generator))
        == [of_a_sample] * 2
    )


@every_preset
def test_samples_of_a_component_are_distributed_as_when_it_stands_alone(make_mixture, preset):
    mixture = make_mixture(preset, 2)
    x, component = mixture.sample(8000, generator=torch.Generator().manual_seed(0))
    for k in range(2):
        mine = x[component == k]
        alone, _ = one_component(mixture, k).sample(len(mine), generator=torch.Generator().manual_seed(1))
        for feature in range(2):
            assert stats.ks_2samp(mine[:, feature].numpy(), alone[:, feature].numpy()).pvalue > 1e-3


@pytest.mark.parametrize("n_samples", [1, 2, 7])
def test_few_samples_have_the_right_shape(make_mixture, n_samples):
    x, component = make_mixture("nsf", 5, 3).sample(n_samples, generator=torch.Generator().manual_seed(0))
    assert x.shape == (n_samples, 3)
    assert component.shape == (n_samples,)


@every_base
def test_samples_repeat_under_a_seed_and_leave_the_global_generator_alone(make_mixture, base):
    mixture = make_mixture("nsf", base=base)
    before = torch.get_rng_state()
    draws = [mixture.sample(20, generator=torch.Generator().manual_seed(seed))[0] for seed in (0, 0, 1)]
    assert torch.equal(draws[0], draws[1])
    assert not torch.equal(draws[0], draws[2])
    assert torch.equal(torch.get_rng_state(), before)


@every_preset
@every_base
@pytest.mark.parametrize("n_components", [1, 3])
def test_stacking_and_taking_apart_changes_nothing(make_mixture, preset, base, n_components):
    mixtures = [make_mixture(preset, n_components, base=base, seed=seed) for seed in range(3)]
    before = [copy.deepcopy(mixture.state_dict()) for mixture in mixtures]
    stack = FlowMixture.stack(mixtures)
    for index, state in enumerate(before):
        again = stack.restart(index)
        assert (again.n_restarts, again.n_components) == (1, n_components)
        for name, tensor in state.items():
            assert torch.equal(again.state_dict()[name], tensor), name
            assert torch.equal(mixtures[index].state_dict()[name], tensor), name


@every_preset
@every_base
def test_stack_evaluates_each_mixture(make_mixture, preset, base):
    mixtures, x = [make_mixture(preset, base=base, seed=seed) for seed in range(3)], rows(10, 2)
    together = FlowMixture.stack(mixtures).restart_log_joint(x)
    assert together.shape == (3, 10, 3)
    alone = torch.stack([mixture.log_joint(x) for mixture in mixtures])
    torch.testing.assert_close(together, alone, rtol=1e-12, atol=1e-12)


def test_stacks_of_stacks_keep_their_order(make_mixture):
    mixtures, x = [make_mixture(seed=seed) for seed in range(3)], rows(10, 2)
    stack = FlowMixture.stack([FlowMixture.stack(mixtures[:2]), mixtures[2]])
    torch.testing.assert_close(stack.restart_log_joint(x), FlowMixture.stack(mixtures).restart_log_joint(x))


def test_stack_and_restart_share_no_memory_and_keep_frozen_weights_frozen(make_mixture):
    mixture, x = make_mixture(), rows(5, 2)
    mixture.logits.requires_grad_(False)
    stack = FlowMixture.stack([mixture])
    restart = stack.restart(0)
    assert not stack.logits.requires_grad
    assert not restart.logits.requires_grad
    expected = mixture.log_prob(x)
    with torch.no_grad():
        for parameter in stack.parameters():
            parameter += 1
    torch.testing.assert_close(mixture.log_prob(x), expected, rtol=0, atol=0)
    torch.testing.assert_close(restart.log_prob(x), expected, rtol=0, atol=0)


def test_initialize_sets_weights_to_the_shares():
    resp = torch.tensor([[0.0, 1.0], [0.004, 0.996], [0.0, 2.0]], dtype=torch.float64)
    mixture = FlowMixture(make_flow("affine", 2, 1), Normal(2, 1), 2).double()
    mixture.initialize(rows(3, 1), resp)
    expected = torch.tensor([[0.001, 0.999]], dtype=torch.float64)
    torch.testing.assert_close(mixture.log_weights().exp(), expected, rtol=1e-12, atol=0)


@every_preset
def test_initialize_gives_each_component_the_moments_of_its_rows(preset):
    x, labels = rows(200, 2), torch.arange(200) % 2
    x = torch.where(labels[:, None] == 0, x, 10 * x + 50)
    mixture = FlowMixture(make_flow(preset, 2, 2, reg_covar=0.0), Normal(2, 2), 2).double()
    mixture.initialize(x, torch.nn.functional.one_hot(labels).double())
    parts = [x[labels == k].numpy() for k in range(2)]
    covariances = [np.cov(part.T, ddof=0) for part in parts]
    pooled = np.mean(covariances, axis=0)
    expected = [
        math.log(0.5) + stats.multivariate_normal(part.mean(0), (100 * cov + 3 * pooled) / 103).logpdf(x.numpy())
        for part, cov in zip(parts, covariances, strict=True)
    ]
    np.testing.assert_allclose(mixture.log_joint(x).detach(), np.stack(expected, 1), rtol=1e-9)


def test_initialize_survives_a_component_without_rows():
    mixture = FlowMixture(make_flow("nsf", 2, 2), Normal(2, 2), 2).double()
    mixture.initialize(rows(10, 2), torch.tensor([[1.0, 0.0]], dtype=torch.float64).expand(10, 2))
    assert mixture.log_joint(rows(10, 2)).isfinite().all()
