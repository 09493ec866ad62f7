"""The amortized posterior: a bound that is one, and assignments that need no flow."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from learning import learn
from sklearn.base import clone
from sklearn.datasets import make_blobs, make_circles
from sklearn.metrics import adjusted_rand_score

from skflowmix import FlowMixtureClassifier, FlowMixtureClustering, FlowMixtureDensity
from skflowmix.modules.mixture import FlowMixture
from skflowmix.modules.posterior import PosteriorNetwork
from skflowmix.training import AssignedPosterior, LikelihoodObjective, Rows, elbo_loss, mixture_loss

pytestmark = [
    pytest.mark.filterwarnings("ignore:The fit still improved:sklearn.exceptions.ConvergenceWarning"),
    pytest.mark.filterwarnings("ignore:y names 3 classes:UserWarning"),
]

CENTERS = np.array([[0.0, 0.0], [6.0, 0.0], [0.0, 6.0]])


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def rows_of(n_rows, n_features=2, seed=0):
    x = torch.randn((n_rows, n_features), generator=seeded(seed), dtype=torch.float64)
    return Rows(x, torch.ones(n_rows, dtype=torch.float64))


@pytest.fixture(scope="module")
def make_amortized(make_mixture):
    """A function that builds a mixture with a posterior network whose parameters are all random, seeded."""

    def make(flow="nsf", n_components=3, n_features=2, *, seed=0):
        mixture = make_mixture(flow, n_components, n_features, seed=seed)
        generator = seeded(seed)
        network = PosteriorNetwork(n_features, n_components, hidden_layer_sizes=(8,), generator=generator).double()
        for parameter in network.parameters():
            parameter.data.normal_(generator=generator)
        mixture.posterior = network
        return mixture

    return make


def make(estimator_class, device, **params):
    cheap = {
        "n_components": 2,
        "n_layers": 2,
        "hidden_layer_sizes": (16,),
        "max_iter": 4,
        "posterior": "amortized",
        "random_state": 0,
    }
    learns_any_y = {} if estimator_class is FlowMixtureClassifier else {"labels": "all"}
    return estimator_class(**{**cheap, **learns_any_y, **params}, device=device)


def blobs(n_samples=90):
    return make_blobs(n_samples, centers=CENTERS, cluster_std=0.5, random_state=0)


class TestMixture:
    @given(n_components=st.integers(1, 5), n_rows=st.integers(1, 8), seed=st.integers(0, 1000))
    @settings(deadline=None, max_examples=20)
    def test_elbo_never_exceeds_the_log_density(self, make_amortized, n_components, n_rows, seed):
        mixture, x = make_amortized("affine", n_components, seed=seed), rows_of(n_rows, seed=seed).x
        assert (mixture.elbo(x) <= mixture.log_prob(x) + 1e-12).all()

    def test_bound_falls_short_by_the_divergence_from_the_exact_posterior(self, make_amortized):
        mixture, x = make_amortized(), rows_of(20).x
        log_resp, log_exact = mixture.log_resp(x), mixture.log_joint(x).log_softmax(-1)
        divergence = (log_resp.exp() * (log_resp - log_exact)).sum(-1)
        assert (divergence > 1e-3).any()
        torch.testing.assert_close(mixture.log_prob(x) - mixture.elbo(x), divergence, rtol=1e-9, atol=1e-10)

    def test_exact_posterior_makes_the_bound_tight(self, make_mixture):
        mixture, x = make_mixture(), rows_of(20).x
        torch.testing.assert_close(mixture.elbo(x), mixture.log_prob(x), rtol=0, atol=0)

    def test_new_network_assigns_rows_evenly(self):
        log_resp = PosteriorNetwork(2, 4, generator=seeded())(torch.randn((5, 2), generator=seeded()))
        torch.testing.assert_close(log_resp.exp(), torch.full((1, 5, 4), 0.25))

    def test_single_component_has_all_rows(self, make_amortized):
        mixture, x = make_amortized(n_components=1), rows_of(5).x
        assert torch.equal(mixture.log_resp(x), torch.zeros((5, 1), dtype=torch.float64))
        torch.testing.assert_close(mixture.elbo(x), mixture.log_prob(x), rtol=1e-14, atol=1e-14)

    def test_stack_evaluates_each_network(self, make_amortized):
        mixtures, x = [make_amortized(seed=seed) for seed in range(3)], rows_of(10).x
        stack = FlowMixture.stack(mixtures)
        together = stack.restart_log_resp(x)
        assert together.shape == (3, 10, 3)
        for index, mixture in enumerate(mixtures):
            torch.testing.assert_close(together[index], mixture.log_resp(x), rtol=1e-12, atol=1e-12)
            torch.testing.assert_close(stack.restart(index).elbo(x), mixture.elbo(x), rtol=0, atol=0)

    def test_high_temperature_softens_and_keeps_the_order(self, make_amortized):
        network, x = make_amortized().posterior, rows_of(30).x
        sharp, soft = network(x), network(x, 5.0)
        assert torch.equal(sharp.argsort(-1), soft.argsort(-1))
        assert (soft.amax(-1) < sharp.amax(-1)).all()

    def test_far_rows_keep_normalised_assignments(self, make_amortized):
        log_resp = make_amortized().log_resp(torch.full((1, 2), 1e30, dtype=torch.float64))
        assert log_resp.exp().sum().item() == pytest.approx(1, abs=1e-14)


class TestLoss:
    def test_gradients_of_the_flows_at_the_exact_posterior_are_the_likelihoods(self, make_mixture):
        mixture, rows = make_mixture(n_restarts=2), rows_of(30)
        parameters = list(mixture.parameters())
        log_joint = mixture.restart_log_joint(rows.x)
        bound = elbo_loss(log_joint, log_joint.detach().log_softmax(-1), rows)
        found = torch.autograd.grad(bound.sum(), parameters, retain_graph=True)
        expected = torch.autograd.grad(mixture_loss(log_joint, rows).sum(), parameters)
        torch.testing.assert_close(found, expected, rtol=1e-9, atol=1e-10)

    @given(
        n_rows=st.integers(1, 8),
        n_components=st.integers(1, 5),
        seed=st.integers(0, 1000),
        supervised_weight=st.floats(0, 10),
        unlabelled_weight=st.floats(0, 10),
    )
    @settings(deadline=None, max_examples=20)
    def test_loss_at_the_exact_posterior_is_that_of_the_mixture(
        self, n_rows, n_components, seed, supervised_weight, unlabelled_weight
    ):
        generator = seeded(seed)
        log_joint = 5 * torch.randn((2, n_rows, n_components), generator=generator, dtype=torch.float64)
        weight = torch.rand(n_rows, generator=generator, dtype=torch.float64)
        allowed = torch.rand((n_rows, n_components), generator=generator) < 0.6
        allowed[range(n_rows), torch.randint(n_components, (n_rows,), generator=generator)] = True
        weights = {"supervised_weight": supervised_weight, "unlabelled_weight": unlabelled_weight}
        for labels in (allowed, None):
            rows = Rows(log_joint[0], weight, labels)
            bound = elbo_loss(log_joint, log_joint.log_softmax(-1), rows, **weights)
            torch.testing.assert_close(bound, mixture_loss(log_joint, rows, **weights), rtol=1e-11, atol=1e-11)

    @pytest.mark.parametrize("supervised_weight", [0.0, 0.7])
    def test_label_of_one_component_gives_its_joint_and_the_discriminative_term(self, supervised_weight):
        draw = torch.randn((2, 1, 6, 3), generator=seeded(), dtype=torch.float64)
        log_joint, log_resp = draw[0], draw[1].log_softmax(-1)
        label = torch.arange(6) % 3
        rows = Rows(log_joint[0], torch.rand(6, generator=seeded(), dtype=torch.float64), label[:, None] == label[:3])
        loss = elbo_loss(log_joint, log_resp, rows, supervised_weight=supervised_weight)
        own_joint, own_resp = (log_probs[0, range(6), label] for log_probs in (log_joint, log_resp))
        expected = -rows.weight * (own_joint + supervised_weight * own_resp)
        torch.testing.assert_close(loss[0], expected, rtol=1e-12, atol=1e-12)

    def test_label_of_several_components_restricts_the_sum_to_them(self):
        draw = torch.randn((2, 1, 4, 3), generator=seeded(), dtype=torch.float64)
        log_joint, log_resp = draw[0], draw[1].log_softmax(-1)
        allowed = torch.tensor([True, False, True]).expand(4, 3)
        rows = Rows(log_joint[0], torch.ones(4, dtype=torch.float64), allowed)
        kept = elbo_loss(log_joint[..., [0, 2]], log_resp[..., [0, 2]].log_softmax(-1), Rows(rows.x, rows.weight))
        loss = elbo_loss(log_joint, log_resp, rows, supervised_weight=0.0)
        torch.testing.assert_close(loss, kept, rtol=1e-12, atol=1e-12)

    @pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
    def test_gradients_stay_finite_where_the_network_rules_a_label_out(self, dtype):
        log_joint = torch.tensor([[[-1e4, 0.0, 1.0]]], dtype=dtype, requires_grad=True)
        logits = torch.tensor([[[-1e4, 1e4, 0.0]]], dtype=dtype, requires_grad=True)
        rows = Rows(log_joint[0], torch.ones(1, dtype=dtype), torch.tensor([[True, False, False]]))
        loss = elbo_loss(log_joint, logits.log_softmax(-1), rows)
        gradients = torch.autograd.grad(loss.sum(), [log_joint, logits])
        assert loss.isfinite().all()
        assert all(gradient.isfinite().all() for gradient in gradients)
        assert gradients[1][..., 0] < 0

    def test_temperature_ends_at_one(self, make_amortized):
        mixture, rows = make_amortized(), rows_of(20)
        bound = mixture.elbo(rows.x)[None]
        torch.testing.assert_close(LikelihoodObjective()(mixture, rows), -bound, rtol=1e-12, atol=1e-12)
        torch.testing.assert_close(LikelihoodObjective()(mixture, rows, progress=1.0), -bound, rtol=1e-12, atol=1e-12)
        early, later = (LikelihoodObjective()(mixture, rows, progress=progress) for progress in (0.0, 0.9))
        assert (early + bound).abs().mean() > 2 * (later + bound).abs().mean() > 0

    def test_network_learns_given_assignments(self, make_amortized):
        mixture, rows = make_amortized("affine", 2), rows_of(60)
        resp = (rows.x[:, 0] > 0).double()
        rows = Rows(rows.x, rows.weight, resp=torch.stack([resp, 1 - resp], 1)[:, None])
        options = {"max_iter": 15, "learning_rate": 3e-2}
        learn(mixture.posterior, rows, options, objective=AssignedPosterior(), generator=seeded())
        assert (mixture.log_resp(rows.x).argmax(1) == (resp == 0)).double().mean() > 0.95


class TestEstimators:
    def test_fit_and_partition_are_those_of_the_exact_posterior(self, device):
        X, y = make_circles(240, factor=0.5, noise=0.05, random_state=0)
        X_new, _ = make_circles(240, factor=0.5, noise=0.05, random_state=1)
        amortized = make(FlowMixtureClustering, device, max_iter=30).fit(X)
        exact = make(FlowMixtureClustering, device, max_iter=30, posterior="exact").fit(X)
        assert adjusted_rand_score(amortized.predict(X_new), exact.predict(X_new)) > 0.98
        assert adjusted_rand_score(amortized.labels_, y) > 0.98
        assert amortized.score(X_new) - 0.1 < np.mean(amortized.elbo(X_new)) < amortized.score(X_new)

    @pytest.mark.parametrize("estimator_class", [FlowMixtureClustering, FlowMixtureDensity, FlowMixtureClassifier])
    def test_assignments_take_no_evaluation_of_the_flows(self, estimator_class, device):
        X, y = blobs()
        estimator = make(estimator_class, device).fit(X, y)
        expected, predicted = estimator.predict_proba(X), estimator.predict(X)
        del estimator.mixture_.flow
        np.testing.assert_array_equal(estimator.predict_proba(X), expected)
        np.testing.assert_array_equal(estimator.predict(X), predicted)
        np.testing.assert_allclose(expected.sum(1), 1, rtol=1e-12)
        np.testing.assert_array_equal(estimator.classes_[expected.argmax(1)], predicted)

    def test_classifier_adds_up_the_components_of_a_class(self, device):
        X, y = blobs()
        estimator = make(FlowMixtureClassifier, device).fit(X, y)
        resp = np.exp(estimator._fitted.evaluate("log_resp", X))
        np.testing.assert_allclose(estimator.predict_proba(X), resp.reshape(len(X), 3, 2).sum(2), rtol=1e-9, atol=1e-12)

    def test_bounds_have_the_units_of_the_rows(self, device):
        X, _ = blobs()
        estimator = make(FlowMixtureDensity, device, early_stopping=False).fit(X)
        scaled = make(FlowMixtureDensity, device, early_stopping=False).fit(8 * X)
        elbo = estimator.elbo(X)
        assert (elbo <= estimator.score_samples(X) + 1e-9).all()
        assert elbo.mean() < estimator.score(X) - 1e-6
        np.testing.assert_allclose(scaled.elbo(8 * X), elbo - 2 * np.log(8), rtol=1e-6)
        assert scaled.lower_bound_ == pytest.approx(estimator.lower_bound_ - 2 * np.log(8), rel=1e-6)

    def test_best_score_is_the_bound_of_the_rows(self, device):
        X, _ = blobs()
        estimator = make(FlowMixtureDensity, device, max_iter=12, early_stopping=False).fit(X)
        assert estimator.lower_bound_ == max(estimator.lower_bounds_)
        assert estimator.lower_bound_ == pytest.approx(estimator.elbo(X).mean(), abs=0.5)

    def test_network_is_no_parameter_of_the_density(self, device):
        X, _ = blobs()
        estimator = make(FlowMixtureDensity, device, posterior="amortized").fit(X)
        density = estimator.score_samples(X)
        for parameter in estimator.mixture_.posterior.parameters():
            parameter.data += 1
        np.testing.assert_array_equal(estimator.score_samples(X), density)

    def test_one_component(self, device):
        X, _ = blobs()
        estimator = make(FlowMixtureClustering, device, n_components=1).fit(X)
        assert (estimator.predict_proba(X) == 1).all()
        np.testing.assert_allclose(estimator.elbo(X), estimator.score_samples(X), rtol=1e-12)

    def test_restart_of_several_stands_alone(self, device):
        X, _ = blobs()
        several = make(FlowMixtureDensity, device, n_components=3, n_init=3, init_params="random").fit(X)
        assert {len(parameter) for parameter in several.mixture_.posterior.parameters()} == {1}
        assert several.predict_proba(X).shape == (len(X), 3)

    def test_warm_start_goes_on_and_heeds_the_posterior(self, device):
        X, _ = blobs(200)
        estimator = make(FlowMixtureDensity, device, warm_start=True).fit(X)
        first = estimator.lower_bound_
        assert estimator.fit(X).lower_bound_ >= first
        with pytest.raises(ValueError, match="differs in posterior"):
            estimator.set_params(posterior="exact").fit(X)

    @pytest.mark.parametrize("dtype", ["float32", "float64"])
    def test_copies_answer_as_the_original(self, dtype, device, tmp_path):
        X, _ = blobs()
        estimator = make(FlowMixtureClustering, device, dtype=dtype).fit(X)
        estimator.save(tmp_path / "model")
        copy = FlowMixtureClustering.load(tmp_path / "model")
        np.testing.assert_allclose(copy.elbo(X), estimator.elbo(X), rtol=1e-9)
        np.testing.assert_array_equal(clone(estimator).fit(X).labels_, estimator.labels_)
        np.testing.assert_array_equal(estimator.predict(X), estimator.labels_)

    def test_weight_is_repetition(self, device):
        X, y = blobs(60)
        weight = np.random.RandomState(0).randint(4, size=60)
        weighted = make(FlowMixtureDensity, device, max_iter=2).fit(X, y, sample_weight=weight)
        repeated = make(FlowMixtureDensity, device, max_iter=2).fit(X.repeat(weight, 0), y.repeat(weight))
        np.testing.assert_allclose(weighted.elbo(X), repeated.elbo(X), rtol=1e-5, atol=1e-5)

    def test_few_labels_decide_the_classes(self, device):
        X, y = blobs(150)
        partly = np.where(np.arange(150) < 15, y, -1)
        estimator = make(FlowMixtureClassifier, device, n_components=1, max_iter=12).fit(X, partly)
        assert estimator.score(X, y) > 0.98
