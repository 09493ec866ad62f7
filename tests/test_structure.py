"""Mixtures whose components differ in architecture, and mixtures whose components share layers."""

import numpy as np
import pytest
import torch
from learning import learn
from sklearn.datasets import make_moons

from skflowmix import FlowMixtureClassifier, FlowMixtureClustering, FlowMixtureDensity
from skflowmix.modules.bases import Normal
from skflowmix.modules.flows import PRESETS, make_flow, make_shared_layers
from skflowmix.modules.mixture import FlowMixture
from skflowmix.modules.transforms import Grouped
from skflowmix.training import Rows

NAMES = ["nsf", "affine", "nsf", "maf", "planar"]
SMALL = {"n_layers": 2, "hidden_layer_sizes": (8,)}
QUICK = {**SMALL, "max_iter": 6, "random_state": 0}
pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def rows(n_rows, n_features=2, seed=0):
    return torch.randn((n_rows, n_features), generator=seeded(seed), dtype=torch.float64)


def shared_mixture(randomise, preset="nsf", n_components=3, n_features=2, seed=0):
    sizes = {**SMALL, "n_layers": 3, "n_shared_layers": 2, "generator": seeded(seed)}
    flow = make_flow(preset, n_components, n_features, **sizes)
    shared = make_shared_layers(preset, n_features, **sizes)
    mixture = FlowMixture(flow, Normal(n_components, n_features), n_components, shared=shared).double()
    randomise(mixture.flow, n_features, seeded(seed))
    randomise(mixture.shared, n_features, seeded(seed + 1))
    return mixture


def grouped_flow(randomise, n_features=2):
    flow = make_flow(NAMES, len(NAMES), n_features, generator=seeded(), **SMALL).double()
    for transform in flow.transforms:
        randomise(transform, n_features, seeded(1))
    return flow


def test_groups_are_one_batch_for_each_architecture(randomise):
    flow = grouped_flow(randomise)
    assert flow.members == [[0, 2], [1], [3], [4]]
    x = rows(7).expand(len(NAMES), 7, 2)
    z, ladj = flow(x)
    for group, transform in zip(flow.members, flow.transforms, strict=True):
        z_group, ladj_group = transform(x[group])
        torch.testing.assert_close(z[group], z_group, rtol=0, atol=0)
        torch.testing.assert_close(ladj[group], ladj_group, rtol=0, atol=0)


def test_group_undoes_itself(randomise):
    flow, x = grouped_flow(randomise), rows(5 * 7).view(5, 7, 2)
    z, ladj = flow(x)
    back, back_ladj = flow.inverse(z)
    torch.testing.assert_close(back, x, rtol=1e-6, atol=1e-7)
    torch.testing.assert_close(back_ladj, -ladj, rtol=1e-6, atol=1e-6)


def test_groups_of_stacked_restarts_equal_each_restart(randomise):
    mixtures = []
    for seed in range(3):
        flow = grouped_flow(randomise)
        for parameter in flow.parameters():
            parameter.data += 0.01 * seed
        mixtures.append(FlowMixture(flow, Normal(5, 2), 5).double())
    stack, x = FlowMixture.stack(mixtures), rows(11)
    joint = stack.restart_log_joint(x)
    for i, mixture in enumerate(mixtures):
        torch.testing.assert_close(joint[i], mixture.log_joint(x), rtol=1e-12, atol=1e-12)
        torch.testing.assert_close(stack.restart(i).log_joint(x), mixture.log_joint(x), rtol=1e-12, atol=1e-12)


def test_mixed_architectures_train():
    x = torch.as_tensor(make_moons(200, noise=0.1, random_state=0)[0])
    mixture = FlowMixture(make_flow(["affine", "nsf"], 2, 2, generator=seeded(), **SMALL), Normal(2, 2), 2).double()
    mixture.initialize(x, torch.eye(2, dtype=torch.float64)[(x[:, 1] < 0.25).long()])
    before = mixture.log_prob(x).mean().item()
    score, _, _ = learn(mixture, Rows(x, torch.ones(200).double()), {"max_iter": 20}, generator=seeded())
    assert score[0] > before + 0.1


def test_shared_layers_come_first_and_count_in_the_density(randomise):
    mixture, x = shared_mixture(randomise), rows(9)
    y, shared_ladj = mixture.shared(x[None])
    z, ladj = mixture.flow(y.expand(3, 9, 2))
    expected = (mixture.base.log_prob(z) + ladj).T + shared_ladj[0, :, None]
    torch.testing.assert_close(mixture.component_log_prob(x)[0], expected, rtol=1e-12, atol=1e-12)


def test_shared_layers_where_only_some_is_asked_for(randomise):
    mixture, x = shared_mixture(randomise), rows(9)
    where = torch.arange(9)[None, :, None] % torch.tensor([2, 3, 9]) == 0
    some, everything = mixture.component_log_prob(x, where), mixture.component_log_prob(x)
    torch.testing.assert_close(some[where], everything[where], rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("preset", PRESETS)
def test_all_layers_together_are_those_of_the_preset(preset):
    every = make_flow(preset, 2, 3, n_layers=4, hidden_layer_sizes=(8,))
    own = make_flow(preset, 2, 3, n_layers=4, n_shared_layers=3, hidden_layer_sizes=(8,))
    shared = make_shared_layers(preset, 3, n_layers=4, n_shared_layers=3, hidden_layer_sizes=(8,))
    kinds = [type(layer) for layer in every.transforms]
    assert kinds[:1] + [type(layer) for layer in [*shared.transforms, *own.transforms[1:]]] == kinds
    assert len(kinds) == (1 if preset == "affine" else 5)


def test_density_with_shared_layers_integrates_to_one(randomise):
    mixture = shared_mixture(randomise)
    samples, _ = mixture.sample(4000, generator=seeded())
    low, high = samples.min(0).values - 3, samples.max(0).values + 3
    axes = [torch.linspace(a, b, 400, dtype=torch.float64) for a, b in zip(low, high, strict=True)]
    density = mixture.log_prob(torch.cartesian_prod(*axes)).exp().view(400, 400).detach().numpy()
    total = np.trapezoid(np.trapezoid(density, axes[1].numpy(), axis=1), axes[0].numpy())
    assert total == pytest.approx(1, abs=0.01)


def test_samples_through_shared_layers_follow_the_density(randomise):
    mixture = shared_mixture(randomise)
    samples, component = mixture.sample(3000, generator=seeded())
    found = mixture.log_resp(samples).exp().mean(0)
    torch.testing.assert_close(component.bincount(minlength=3) / 3000, found.float(), rtol=0, atol=0.03)


def test_log_prob_of_samples_counts_the_shared_layers(randomise):
    mixture = shared_mixture(randomise)
    samples, component, log_prob = mixture.sample_and_component_log_prob(100, generator=seeded())
    expected = mixture.component_log_prob(samples)[0].gather(1, component[:, None])[:, 0]
    torch.testing.assert_close(log_prob, expected, rtol=1e-8, atol=1e-8)


def test_stacked_restarts_each_have_their_shared_layers(randomise):
    mixtures, x = [shared_mixture(randomise, seed=seed) for seed in range(3)], rows(9)
    stack = FlowMixture.stack(mixtures)
    for i, mixture in enumerate(mixtures):
        torch.testing.assert_close(stack.restart_log_joint(x)[i], mixture.log_joint(x), rtol=1e-12, atol=1e-12)
        torch.testing.assert_close(stack.restart(i).log_joint(x), mixture.log_joint(x), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("estimator", [FlowMixtureClustering, FlowMixtureDensity])
@pytest.mark.parametrize("structure", [{"flow": ["nsf", "affine", "nsf"]}, {"n_shared_layers": 1, "n_init": 2}])
def test_estimators_fit_sample_and_score(estimator, structure, device):
    X = make_moons(120, noise=0.1, random_state=0)[0]
    model = estimator(n_components=3, device=device, **structure, **QUICK).fit(X)
    drawn, component = model.sample(40)
    assert np.isfinite(model.score_samples(drawn)).all()
    assert set(component) <= set(range(model.n_components_))
    np.testing.assert_allclose(model.predict_proba(X).sum(1), 1)


def test_sharing_takes_fewer_parameters(device):
    X = make_moons(60, noise=0.1, random_state=0)[0]
    sizes = [
        sum(
            p.numel()
            for p in FlowMixtureClustering(3, n_shared_layers=n, device=device, **QUICK).fit(X).mixture_.parameters()
        )
        for n in (0, 1, 2)
    ]
    assert sizes[0] > sizes[1] > sizes[2]


def test_a_list_of_one_flow_is_that_flow(device):
    X = make_moons(60, noise=0.1, random_state=0)[0]
    one = FlowMixtureClustering(2, flow="nsf", device=device, **QUICK).fit(X)
    listed = FlowMixtureClustering(2, flow=["nsf", "nsf"], device=device, **QUICK).fit(X)
    np.testing.assert_array_equal(one.score_samples(X), listed.score_samples(X))


def test_classifier_takes_a_flow_for_each_component(device):
    X, y = make_moons(100, noise=0.1, random_state=0)
    model = FlowMixtureClassifier(1, flow=["nsf", "affine"], device=device, **QUICK).fit(X, y)
    assert isinstance(model.mixture_.flow, Grouped)
    assert model.score(X, y) > 0.8


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"flow": ["nsf"]}, "for each of the 2 components"),
        ({"flow": ["nsf", "none"]}, r"flow as a list must name one of \['affine'"),
        ({"flow": ["nsf", "affine"], "n_shared_layers": 1}, "n_shared_layers > 0 requires"),
        ({"n_shared_layers": 3}, "n_shared_layers=3 is more than n_layers=2"),
    ],
)
def test_bad_structure_is_refused(parameters, message, device):
    with pytest.raises(ValueError, match=message):
        FlowMixtureClustering(2, device=device, **{**QUICK, **parameters}).fit(rows(20).numpy())
