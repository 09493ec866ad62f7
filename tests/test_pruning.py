"""Dirichlet priors of the weights, and the components that a sparse one removes."""

import pickle

import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.datasets import make_blobs
from sklearn.metrics import adjusted_rand_score

from skflowmix import FlowMixtureClassifier, FlowMixtureClustering, FlowMixtureDensity
from skflowmix.modules import FlowMixture, workload

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
GAUSSIANS = {"flow": "affine", "random_state": 0, "max_iter": 60}
SPARSE = {**GAUSSIANS, "weight_concentration_prior": 0.01, "init_params": "kmeans"}


@pytest.fixture(scope="module")
def blobs():
    X, y = make_blobs(400, centers=[[0, 0], [12, 0]], cluster_std=1.0, random_state=0)
    return X, y


@pytest.fixture
def pruned(blobs, device):
    return FlowMixtureClustering(5, device=device, **SPARSE).fit(blobs[0])


def test_leaves_the_components_that_are_needed(pruned, blobs):
    _, y = blobs
    assert pruned.n_components_ == 2
    assert pruned.weights_.shape == (5,)
    assert np.count_nonzero(pruned.weights_) == 2
    assert pruned.weights_.sum() == pytest.approx(1)
    assert pruned.mixture_.n_components == 2
    assert adjusted_rand_score(y, pruned.labels_) > 0.98


def test_numbers_of_components_stay(pruned, blobs):
    X, _ = blobs
    alive = np.flatnonzero(pruned.weights_)
    proba, joint = pruned.predict_proba(X), pruned.component_log_prob(X)
    assert proba.shape == joint.shape == (400, 5)
    np.testing.assert_allclose(proba[:, alive].sum(1), 1)
    assert np.isneginf(np.delete(joint, alive, axis=1)).all()
    assert np.isfinite(joint[:, alive]).all()
    assert set(pruned.predict(X)) == set(alive) == set(pruned.sample(200)[1])
    np.testing.assert_array_equal(pruned.labels_, pruned.predict(X))
    np.testing.assert_allclose(
        pruned.score_samples(X), np.log((np.exp(joint) * pruned.weights_).sum(1)), rtol=1e-6, atol=1e-8
    )


def test_survives_pickling_and_goes_on(pruned, blobs):
    X, _ = blobs
    other = pickle.loads(pickle.dumps(pruned))
    np.testing.assert_allclose(other.score_samples(X), pruned.score_samples(X), rtol=1e-12)
    other.set_params(warm_start=True).fit(X)
    assert other.n_components_ == 2
    assert set(other.labels_) == set(np.flatnonzero(pruned.weights_))
    assert other.set_params(warm_start=False).fit(X).weights_.shape == (5,)


@pytest.mark.parametrize(
    "parameters",
    [
        {"posterior": "amortized"},
        {"solver": "em"},
        {"flow": "nsf", "n_layers": 2, "n_shared_layers": 1, "hidden_layer_sizes": (8,), "max_iter": 30},
    ],
    ids=["amortized", "em", "shared"],
)
def test_goes_with_other_ways_of_training(parameters, blobs, device):
    X, y = blobs
    model = FlowMixtureClustering(4, device=device, **{**SPARSE, **parameters}).fit(X)
    assert model.n_components_ == 2
    assert adjusted_rand_score(y, model.predict(X)) > 0.98
    assert (model.elbo(X) <= model.score_samples(X) + 1e-9).all()


@pytest.mark.parametrize("n_shared_layers", [0, 1])
def test_rows_are_looked_at_in_chunks(n_shared_layers, blobs, monkeypatch, device):
    n_flows_times_rows, sizes, log_joint = 320, [], FlowMixture.log_joint

    def watched(self, x):
        if not torch.is_grad_enabled():
            sizes.append(self.n_components * len(x))
        return log_joint(self, x)

    monkeypatch.setattr(workload, "_CACHED_FLOWS_TIMES_ROWS", n_flows_times_rows)
    monkeypatch.setattr(workload, "_FLOWS_TIMES_ROWS", n_flows_times_rows)
    monkeypatch.setattr(FlowMixture, "log_joint", watched)
    changes = {"flow": "realnvp", "n_layers": 2, "n_shared_layers": 1, "hidden_layer_sizes": (8,)}
    model = FlowMixtureDensity(
        5, device=device, **SPARSE | {"max_iter": 20} | (changes if n_shared_layers else {})
    ).fit(blobs[0])
    assert model.n_components_ < 5
    assert max(sizes) <= n_flows_times_rows


def test_without_rows_to_hold_out_all_components_stay(blobs, device):
    model = FlowMixtureClustering(3, device=device, **SPARSE).fit(blobs[0][:9])
    assert model.n_components_ == 3


def test_classes_keep_their_components(blobs, device):
    X, y = blobs
    halves = np.where(np.arange(400) < 60, 2 * y + (X[:, 1] > 0), -1)
    model = FlowMixtureClustering(6, device=device, **SPARSE).fit(X, halves)
    assert (model.weights_[:4] > 0).all()
    assert model.n_components_ == 4


def test_classifier_keeps_a_component_for_each_class(blobs, device):
    X, y = blobs
    model = FlowMixtureClassifier(3, device=device, **SPARSE).fit(X, np.array(["a", "b"])[y])
    assert model.n_components_ == 2
    assert (model.weights_.reshape(2, 3).astype(bool).sum(1) == 1).all()
    assert model.score(X, np.array(["a", "b"])[y]) == 1
    assert set(model.sample(100)[1]) == {"a", "b"}


def test_a_merger_that_costs_likelihood_is_refused(device):
    """Three Gaussians make up a bent cluster without a valley, which one Gaussian describes badly."""
    rng = np.random.RandomState(0)
    angle = rng.uniform(0, 1.5 * np.pi, 900)
    X = 5 * np.column_stack([np.cos(angle), np.sin(angle)]) + 0.3 * rng.standard_normal((900, 2))
    start = np.eye(3)[np.minimum((angle / (0.5 * np.pi)).astype(int), 2)]
    bent = {"weight_concentration_prior": 0.01, "init_params": start, "random_state": 0, "device": device}
    assert FlowMixtureDensity(3, flow="affine", **bent).fit(X).n_components_ > 1


@pytest.mark.parametrize("solver", ["gradient", "em"])
def test_a_dense_prior_draws_the_weights_together(solver, device):
    """Far apart, the weights that maximise the posterior are (n_k + c - 1) / (N + K (c - 1)).

    Of three seeds the median, since the best of a fit's training scores can be one whose noise is small.
    """
    X, y = make_blobs([150, 50], centers=[[0, 0], [30, 0]], random_state=0)
    parameters = {**GAUSSIANS, "max_iter": 200, "early_stopping": False, "device": device, "init_params": np.eye(2)[y]}
    model = FlowMixtureDensity(2, weight_concentration_prior=51, solver=solver, **parameters)
    fits = [clone(model).set_params(random_state=seed).fit(X) for seed in range(3)]
    np.testing.assert_allclose(np.median([fit.weights_ for fit in fits], axis=0), [200 / 300, 100 / 300], atol=5e-3)
    assert [fit.n_components_ for fit in fits] == [2, 2, 2]


@pytest.mark.parametrize(
    "parameters", [{"early_stopping": False}, {"learn_weights": False}, {"flow": ["affine", "affine"]}]
)
def test_pruning_names_what_it_requires(parameters, blobs):
    with pytest.raises(ValueError, match="weight_concentration_prior below 1 prunes components by held-out rows"):
        FlowMixtureDensity(2, **{**SPARSE, **parameters}).fit(blobs[0])


def test_selecting_and_replacing_components(make_mixture):
    mixture, other = make_mixture("nsf", 4, seed=0), make_mixture("nsf", 2, seed=1)
    x = torch.randn((9, 2), generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    before = mixture.component_log_prob(x)[0]
    some = mixture.select([2, 0])
    torch.testing.assert_close(some.component_log_prob(x)[0], before[:, [2, 0]])
    weights = mixture.log_weights()[0, [2, 0]].softmax(0)
    torch.testing.assert_close(some.log_weights()[0].exp(), weights)
    mixture.replace([3, 1], other, [0, 1])
    after = mixture.component_log_prob(x)[0]
    torch.testing.assert_close(after[:, [0, 2]], before[:, [0, 2]])
    torch.testing.assert_close(after[:, [3, 1]], other.component_log_prob(x)[0])
