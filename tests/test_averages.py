"""The mean of several fits: one mixture, whose density, draws and probabilities stay exact."""

import pickle
from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.special import logsumexp
from sklearn.base import clone
from sklearn.datasets import load_wine

from skflowmix import FlowMixtureDensity
from skflowmix.fitting import Settings, Table, averaging, fit
from skflowmix.fitting.architecture import number_of_shared_layers
from skflowmix.fitting.averaging import number_of_members
from skflowmix.modules import FlowMixture, Normal, make_flow, make_shared_layers
from skflowmix.modules.averages import mean_of
from skflowmix.training import LikelihoodObjective, RowBatches, Rows, TrainingOptions, loop, train

FAST = {"n_components": 2, "n_layers": 1, "hidden_layer_sizes": (8,), "max_iter": 4, "tol": 1e9, "n_iter_no_change": 1}
X = np.random.RandomState(0).standard_normal((90, 3))
pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


def random_mixture(flow, seed, *, n_components=3, n_shared_layers=0):
    generator = torch.Generator().manual_seed(seed)
    sizes = {"n_layers": 2, "n_shared_layers": n_shared_layers, "hidden_layer_sizes": (8,), "generator": generator}
    shared = make_shared_layers(flow, 3, **sizes) if n_shared_layers else None
    mixture = FlowMixture(
        make_flow(flow, n_components, 3, **sizes), Normal(n_components, 3), n_components, shared=shared
    )
    with torch.no_grad():
        for parameter in mixture.parameters():
            parameter.add_(0.3 * torch.randn(parameter.shape, generator=generator))
    return mixture.double().eval()


def density(device="cpu", **changes):
    return FlowMixtureDensity(device=device, random_state=0, **FAST | {"n_estimators": 3} | changes)


@pytest.mark.parametrize("changes", [{}, {"n_shared_layers": 1}], ids=["own layers", "shared layers"])
@pytest.mark.parametrize("flow", ["nsf", "maf", "planar", ["nsf", "affine", "nsf"]], ids=str)
def test_density_is_the_mean_of_the_densities(flow, changes):
    if isinstance(flow, list) and changes:
        pytest.skip("lists of flows share no layers")
    mixtures, x = [random_mixture(flow, seed, **changes) for seed in range(3)], torch.as_tensor(X)
    mean = mean_of(mixtures)
    with torch.no_grad():
        joint = torch.cat([mixture.log_joint(x) - np.log(3) for mixture in mixtures], 1)
        torch.testing.assert_close(mean.log_joint(x), joint)
        torch.testing.assert_close(mean.log_prob(x), joint.logsumexp(1))
        drawn, component, log_prob = mean.sample_and_component_log_prob(200, generator=torch.Generator().manual_seed(0))
        own = mean.component_log_prob(drawn)[0].gather(1, component[:, None]).squeeze(1)
        torch.testing.assert_close(log_prob, own, atol=1e-6, rtol=1e-6)


def test_rows_go_through_the_layers_that_a_members_components_share_once():
    mixtures = [random_mixture("nsf", n, n_components=n, n_shared_layers=2) for n in (2, 3, 1)]
    mean, x, batches = mean_of(mixtures), torch.as_tensor(X), []
    mean.shared.register_forward_hook(lambda module, rows, result: batches.append(len(rows[0])))
    joint = torch.cat([mixture.log_joint(x) - np.log(3) for mixture in mixtures], 1)
    torch.testing.assert_close(mean.log_joint(x), joint)
    assert batches == [3]
    some = mean.select([5, 2, 3])
    torch.testing.assert_close(some.component_log_prob(x)[0], mean.component_log_prob(x)[0][:, [5, 2, 3]])
    assert some.route == [1, 0, 0]
    assert {len(parameter) for parameter in some.shared.parameters()} == {2}
    z = torch.randn(6, 40, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    place = mean.restart_place(z)[0]
    for k, rows in enumerate(place):
        torch.testing.assert_close(mean.latent(rows)[k], z[k], atol=1e-6, rtol=1e-6)


def test_mixtures_of_different_size():
    mixtures = [random_mixture("nsf", 0, n_components=2), random_mixture("nsf", 1, n_components=4)]
    mean = mean_of(mixtures)
    assert mean.n_components == 6
    expected = logsumexp([mixture.log_prob(torch.as_tensor(X)).detach() for mixture in mixtures], axis=0) - np.log(2)
    np.testing.assert_allclose(mean.log_prob(torch.as_tensor(X)).detach(), expected)


def test_fit_is_the_mean_of_fits_with_other_starts_and_rows(device):
    model = density(device).fit(X)
    members = model._fitted.members
    densities = [member.log_density("log_prob", X) for member in members]
    np.testing.assert_allclose(model.score_samples(X), logsumexp(densities, axis=0) - np.log(3), rtol=1e-6)
    assert min(np.abs(densities[0] - other).mean() for other in densities[1:]) > 0.1
    assert model.lower_bound_ == pytest.approx(np.mean([member.score for member in members]))
    assert model.n_iter_ == sum(member.history.n_iter for member in members)
    assert len({history.training_score[-1][0] for history in model.history_.members}) == 3
    np.testing.assert_allclose(model.weights_, np.concatenate([member.weights for member in members]) / 3)
    assert model.n_components_ == 6
    assert model.predict_proba(X).shape == (90, 6)
    np.testing.assert_allclose(model.predict_proba(X).sum(1), 1)


def test_restarts_with_rows_of_their_own_end_where_they_would_have_ended_alone(device):
    x = torch.as_tensor(X).view(30, 3, 3).to(device)
    allowed = (x[:, :, :1] > torch.tensor([0.3, -torch.inf, 0.3], device=device)) | (x[:, :, 1:2] > 0)
    own = Rows(x, torch.ones((30, 3)).to(x), allowed)
    mixtures = [random_mixture("nsf", seed).to(device) for seed in range(3)]
    stack = FlowMixture.stack(mixtures)
    options = TrainingOptions(max_iter=2)
    scores, _, _ = train(stack, RowBatches(own), options, validation=own[:10])
    for i, mixture in enumerate(mixtures):
        alone = own.of_restarts(i, i + 1)
        score, _, _ = train(mixture, RowBatches(alone), options, validation=alone[:10])
        assert scores[i] == pytest.approx(score[0], rel=1e-6)
        torch.testing.assert_close(
            stack.restart(i).log_joint(x[:, 0]), mixture.log_joint(x[:, 0]), rtol=1e-5, atol=1e-5
        )


def test_noise_moves_each_restarts_rows_towards_their_own_neighbors():
    x = torch.zeros(6, 2, 2)
    x[5, 0, 0], x[5, 1, 1] = 1.0, 1.0
    batches = RowBatches(Rows(x, torch.ones(6, 2)), neighbors=torch.full((6, 2, 3), 5), neighbor_noise=1.0)
    stack = FlowMixture(make_flow("affine", 2, 2), Normal(2, 2), 1, n_restarts=2)
    batch = next(iter(batches.open(stack, LikelihoodObjective())(1)))
    along, across = batch.x[:, [0, 1], [0, 1]], batch.x[:, [0, 1], [1, 0]]
    assert (across == 0).all()
    assert (along.sort(0).values.diff(dim=0) > 0).all()
    assert (along[:, 0] != along[:, 1]).sum() == 5  # the neighbour itself stays


def test_copies_and_draws(device):
    model = density(device).fit(X)
    copied = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(copied.score_samples(X), model.score_samples(X))
    for one, other in zip(copied.sample(50, random_state=1), model.sample(50, random_state=1), strict=True):
        np.testing.assert_array_equal(one, other)
    np.testing.assert_array_equal(clone(model).fit(X).score_samples(X), model.score_samples(X))


@pytest.mark.parametrize(
    "changes",
    [{"solver": "em"}, {"flow": ["nsf", "affine"]}, {"n_shared_layers": 1, "n_layers": 2}, {"n_components": "auto"}],
    ids=lambda changes: next(iter(changes)),
)
def test_with_other_parameters(changes, device):
    model = density(device, **changes).fit(X)
    assert np.isfinite(model.score_samples(X)).all()
    assert model.weights_.sum() == pytest.approx(1)


def test_labels_tie_components_of_every_member(device):
    y = np.where(X[:, 0] > 0.5, "right", "left").astype(object)
    model = density(device, labels="all").fit(X, y)
    assert model.classes_.tolist() == ["left", "right"]
    proba = model.predict_proba(X)
    assert ((proba[:, 1::2].sum(1) > 0.5) == (X[:, 0] > 0.5)).mean() > 0.7


def test_a_warm_start_goes_on_from_each_member(device):
    model = density(device, warm_start=True).fit(X)
    assert all(history.warm_up is not None for history in model.history_.members)
    model.fit(X)
    assert [history.warm_up for history in model.history_.members] == [None] * 3
    with pytest.raises(ValueError, match="n_estimators=3; got 2"):
        model.set_params(n_estimators=2).fit(X)


def test_ctrl_c_keeps_the_members_that_are_there(device, monkeypatch):
    begun = []

    def fit_mixture(*args, original=averaging.fit_mixture, **kwargs):
        begun.append(1)
        if len(begun) == 3:
            raise KeyboardInterrupt
        return original(*args, **kwargs)

    monkeypatch.setattr(averaging, "fit_mixture", fit_mixture)
    model = density(device, solver="em")
    with pytest.raises(KeyboardInterrupt):
        model.fit(X)
    assert model.history_.interrupted
    assert model.n_components_ == 4
    assert np.isfinite(model.score_samples(X)).all()


def test_ctrl_c_keeps_the_best_state_of_all_members(device, monkeypatch):
    def iterate(run, original=loop.Run.iterate):
        if run.iteration == 1:
            raise KeyboardInterrupt
        original(run)

    monkeypatch.setattr(loop.Run, "iterate", iterate)
    model = density(device, n_iter_no_change=9)
    with pytest.raises(KeyboardInterrupt):
        model.fit(X)
    assert model.history_.interrupted
    assert model.n_components_ == 6
    assert np.isfinite(model.score_samples(X)).all()


@pytest.mark.parametrize(
    ("changes", "message"), [({"n_estimators": 0}, "n_estimators"), ({"posterior": "amortized"}, "n_estimators=3")]
)
def test_errors(changes, message):
    with pytest.raises(ValueError, match=message):
        density(**changes).fit(X)


def test_the_mean_describes_new_rows_better_than_its_members(device):
    wine = load_wine().data[:, :6]
    learned, new = wine[::2], wine[1::2]
    model = FlowMixtureDensity(1, n_layers=2, n_estimators=3, max_iter=20, random_state=0, device=device).fit(learned)
    scores = [member.log_density("log_prob", new).mean() for member in model._fitted.members]
    assert model.score(new) > max(scores)


@pytest.mark.parametrize(
    ("changes", "n_members"),
    [
        ({}, 4),
        ({"posterior": "amortized"}, 1),
        ({"solver": "em"}, 1),
        ({"weights_init": [0.5, 0.5]}, 1),
        ({"flow": ["nsf", "affine"]}, 1),
        ({"weight_concentration_prior": 0.5}, 1),
        ({"init_params": np.full((90, 2), 0.5)}, 1),
    ],
    ids=lambda changes: str(list(changes)) if isinstance(changes, dict) else "",
)
def test_four_are_averaged_unless_something_tells_the_components_apart(changes, n_members):
    settings = Settings.of(density(**{"n_estimators": "auto"} | changes).get_params())
    assert number_of_members(settings, Table(X, None, np.ones(90)), None) == n_members
    assert number_of_members(settings, Table(X, np.repeat([0, -1], 45), np.ones(90)), None) == 1
    assert number_of_members(settings, Table(np.zeros((250_001, 1)), None, np.ones(1)), None) == 1
    assert number_of_members(replace(settings, n_estimators=3), Table(X, None, np.ones(90)), None) == 3


def test_a_warm_start_cannot_go_on_from_more_members_than_it_has(device):
    model = density(device, n_estimators=2, warm_start=True, max_iter=2).fit(X)
    before = model.score_samples(X)
    with pytest.raises(ValueError, match="fit of n_estimators=2; got 1"):
        model.set_params(n_estimators=1).fit(X)
    np.testing.assert_array_equal(model.score_samples(X), before)


def test_a_warm_start_has_as_many_members_as_there_were(device):
    model = density(device, n_estimators=1, warm_start=True, max_iter=2).fit(X)
    model.set_params(n_estimators="auto").fit(X)
    assert model.n_components_ == 2
    assert density(device, n_estimators="auto", max_iter=2).fit(X).n_components_ == 8


@pytest.mark.parametrize(
    ("flow", "sizes", "expected"),
    [
        ("nsf", (1440, 4, 11), 4),
        ("nsf", (2199, 4, 11), 4),
        ("nsf", (2200, 4, 11), 0),
        ("nsf", (100, 1, 11), 0),
        (["nsf", "affine"], (100, 2, 11), 0),
    ],
)
def test_layers_are_shared_where_components_of_one_preset_have_few_rows(flow, sizes, expected):
    settings = Settings.of(FlowMixtureDensity(flow=flow).get_params())
    assert number_of_shared_layers(settings, *sizes) == expected
    assert number_of_shared_layers(replace(settings, n_shared_layers=1), *sizes) == 1


def test_a_warm_start_shares_as_many_layers_as_before(device):
    model = density(device, n_estimators=1, n_layers=2, warm_start=True).fit(X)
    assert model.mixture_.shared is not None
    rows = np.random.RandomState(1).standard_normal((700, 3))
    assert model.fit(rows).mixture_.shared is not None
    assert clone(model).fit(rows).mixture_.shared is None


def test_what_is_held_out_is_not_known_to_the_start(monkeypatch):
    told = []

    def new_mixture(settings, X, *args, original=fit.new_mixture):
        told.append(X)
        return original(settings, X, *args)

    monkeypatch.setattr(fit, "new_mixture", new_mixture)
    density(n_estimators=3, validation_fraction=0.2).fit(X)
    assert [len(rows) for rows in told] == [72, 72, 72]
    assert len({tuple(row) for row in np.concatenate(told).round(9)}) == 90
