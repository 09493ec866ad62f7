"""FlowAutoencoderClassifier: its objective against sums by hand, labels of all kinds, classes and styles, seeds."""

import pickle
from dataclasses import replace

import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.datasets import load_digits, make_blobs
from sklearn.exceptions import NotFittedError
from sklearn.pipeline import make_pipeline

from skflowmix import FlowAutoencoder, FlowAutoencoderClassifier
from skflowmix.autoencoding import POSTERIORS, LabelledAutoencoderSettings, spreading
from skflowmix.autoencoding.batches import Observed
from skflowmix.autoencoding.labelled_batches import LabelledBatches, LabelledRows
from skflowmix.autoencoding.labelled_fit import new_model, split_rows, supervised_weight
from skflowmix.autoencoding.labelled_objective import LabelledObjective
from skflowmix.autoencoding.objective import BoundObjective
from skflowmix.autoencoding.spreading import spread_labels
from skflowmix.autoencoding.units import UNITS
from skflowmix.fitting.rows import TrainingSet
from skflowmix.modules.weight_noise import weight_divergence
from skflowmix.training.loop import Run

pytestmark = pytest.mark.filterwarnings("ignore:The fit still improved:sklearn.exceptions.ConvergenceWarning")
DIGITS, Y = load_digits(return_X_y=True)
DIGITS, Y = DIGITS[:300] / 16, Y[:300]
PARTIAL = np.where(np.arange(300) < 60, Y, -1)
FAST = {"n_latent_features": 3, "hidden_layer_sizes": (16,), "max_iter": 3, "random_state": 0}
every_posterior = pytest.mark.parametrize("posterior", sorted(POSTERIORS))


def blobs(n_rows=200, **parameters):
    return make_blobs(n_rows, random_state=0, **{"n_features": 4, "centers": 3, "cluster_std": 1.5} | parameters)


def settings_of(**parameters):
    parameters = FlowAutoencoderClassifier(dtype="float64", **FAST | parameters).get_params()
    return LabelledAutoencoderSettings.of(parameters)


@pytest.fixture
def model_and_rows():
    """A function that makes a model whose parameters are all random, and a batch, a third of it without labels."""

    def make(**parameters):
        X, y = blobs(30)
        codes = np.where(np.arange(30) % 3, y, -1)
        data = TrainingSet(X, codes, np.linspace(0.5, 1.5, 30), classes=np.arange(3))
        units = UNITS["normal"](X, data.weight)
        model = new_model(settings_of(**parameters), "normal", units, data, 0)
        generator = torch.Generator().manual_seed(0)
        with torch.no_grad():
            for parameter in model.parameters():
                parameter += 0.3 * torch.randn(parameter.shape, generator=generator, dtype=parameter.dtype)
        n_noise = model.autoencoder.encoder.n_noise
        noise = torch.randn(30, 2, n_noise, generator=generator, dtype=torch.float64)
        x, codes, weight = torch.from_numpy(units.inner(X)[0]), torch.from_numpy(codes), torch.from_numpy(data.weight)
        return model, LabelledRows(x, noise, codes, weight, torch.arange(30) % 4 - 1)

    return make


class TestObjective:
    @every_posterior
    def test_with_every_class_observed_it_is_a_conditional_autoencoder(self, posterior, model_and_rows):
        model, rows = model_and_rows(posterior=posterior)
        rows = replace(rows, codes=torch.arange(30) % 3, weight=torch.ones(30, dtype=torch.float64))
        bound = BoundObjective()
        conditional = Observed(rows.x, rows.noise, model.condition(rows.codes))
        known = list(model.autoencoder.parameters())
        losses = [
            LabelledObjective(bound, 0.0)(model, rows) + model.log_prior[0, rows.codes],
            bound(model.autoencoder, conditional),
        ]
        torch.testing.assert_close(*losses, rtol=1e-12, atol=1e-12)
        first, second = (torch.autograd.grad(loss.sum(), known) for loss in losses)
        for one, other in zip(first, second, strict=True):
            torch.testing.assert_close(one, other, rtol=1e-10, atol=1e-10)

    @pytest.mark.parametrize("n_draws", [1, 2])
    def test_it_is_the_sum_over_classes_row_by_row(self, n_draws, model_and_rows):
        model, rows = model_and_rows()
        rows = replace(rows, noise=rows.noise[:, :n_draws])
        found = LabelledObjective(BoundObjective(), 1.7, 0.6)(model, rows)[0]
        for i in range(len(rows)):
            x, noise = rows.x[i : i + 1], rows.noise[i : i + 1].transpose(0, 1)
            log_resp = model.log_resp(x)[0]
            joint = [
                model.terms(x, torch.tensor([code]), noise).bound()[0] + model.log_prior[0, code] for code in range(3)
            ]
            if rows.codes[i] >= 0:
                expected = joint[rows.codes[i]] + 1.7 * log_resp[rows.codes[i]]
            else:
                expected = sum(log_resp[k].exp() * (joint[k] - log_resp[k]) for k in range(3))
                expected = expected + (0.6 * log_resp[rows.guess[i]] if rows.guess[i] >= 0 else 0)
            torch.testing.assert_close(found[i], -rows.weight[i] * expected, rtol=1e-10, atol=1e-10)

    def test_the_bound_without_a_label_is_tight_in_q_at_the_posterior_of_the_bounds(self, model_and_rows):
        """The sum over y is at most the logarithm of the sum of exp L(x, y), which q proportional to it reaches."""
        model, rows = model_and_rows()
        rows = replace(rows, codes=torch.full((30,), -1), weight=torch.ones(30, dtype=torch.float64))
        terms = model.terms_of_classes(rows.x, rows.noise.transpose(0, 1))
        joint = terms.bound().view(3, 30).T + model.log_prior
        objective = LabelledObjective(BoundObjective(), 1.0)
        assert (-objective(model, rows)[0] <= joint.logsumexp(1) + 1e-9).all()
        model.log_resp = lambda x: joint.log_softmax(1)
        torch.testing.assert_close(-objective(model, rows)[0], joint.logsumexp(1))

    def test_divergence_of_weights_is_shared_among_the_rows(self, model_and_rows):
        model, rows = model_and_rows(dropout="variational")
        plain, shared = (LabelledObjective(BoundObjective(n_rows=n), 1.0) for n in (float("inf"), 10.0))
        model.eval()
        torch.testing.assert_close(plain(model, rows), shared(model, rows), rtol=0, atol=0)
        model.train()
        share = shared.bound.of_weights(model)
        torch.testing.assert_close(share, weight_divergence(model) / 10)
        assert share > 0

    def test_auto_weight_is_a_tenth_of_the_rows_for_each_label(self):
        weight = np.array([1.0, 2.0, 1.0, 4.0])
        rows = TrainingSet(np.zeros((4, 1)), np.array([0, 1, -1, -1]), weight)
        assert supervised_weight(settings_of(), rows) == pytest.approx(0.1 * 8 / 3)
        assert supervised_weight(settings_of(supervised_weight=2), rows) == 2


class TestBatches:
    def make(self, n_labelled, n_rows=100, most=20):
        x = torch.arange(float(n_rows))[:, None]
        codes = torch.where(torch.arange(n_rows) < n_labelled, torch.arange(n_rows) % 3, -1)
        generator = torch.Generator().manual_seed(0)
        return LabelledBatches(x, codes, torch.ones(n_rows), codes, 1, 2, most, False, generator)

    @pytest.mark.parametrize(("n_labelled", "expected"), [(1, 1), (3, 3), (10, 5), (50, 10), (99, 19)])
    def test_every_batch_has_labelled_rows_and_others(self, n_labelled, expected):
        batches = list(self.make(n_labelled).open(torch.nn.Linear(1, 1), None)(1))
        assert len(batches) >= 10
        assert {int((batch.codes >= 0).sum()) for batch in batches} == {expected}
        assert {len(batch) for batch in batches} == {20}

    def test_all_rows_labelled_are_batches_of_them(self):
        batches = list(self.make(100).open(torch.nn.Linear(1, 1), None)(1))
        assert all((batch.codes >= 0).all() and (batch.weight == 1).all() for batch in batches)

    @pytest.mark.parametrize("n_labelled", [1, 10, 50, 100])
    def test_mean_over_batches_is_the_mean_over_rows(self, n_labelled):
        """Passes over the fewer rows may end anywhere: the mean of many iterations."""
        source = self.make(n_labelled)
        of_iteration = source.open(torch.nn.Linear(1, 1), None)
        means = [float((batch.weight * batch.x[:, 0]).mean()) for i in range(300) for batch in of_iteration(i)]
        assert np.mean(means) == pytest.approx(49.5, abs=0.5)

    def test_few_labels_are_all_learned_from(self):
        codes = np.where(np.arange(1000) < 100, 0, -1)
        training, validation = split_rows(codes, settings_of(), np.random.RandomState(0))
        assert len(validation) == 90
        assert (codes[validation] == -1).all()
        assert len(training) + len(validation) == 1000
        for codes, n_known in ((np.zeros(100, dtype=int), 10), (np.where(np.arange(2000) < 1000, 0, -1), 100)):
            _, validation = split_rows(codes, settings_of(), np.random.RandomState(0))
            assert (codes[validation] == 0).sum() == n_known


class TestSpreading:
    def test_labels_reach_the_rows_of_their_cluster(self):
        X, y = blobs(cluster_std=0.5)
        codes = np.full(200, -1)
        for code in range(3):
            codes[np.flatnonzero(y == code)[0]] = code
        np.testing.assert_array_equal(spread_labels(X, codes), y)

    def test_it_is_the_closed_form(self):
        """Of Zhou et al.: (1 - reach) (I - reach S)^-1 Y, whose largest entry counts."""
        X, y = blobs(40)
        codes = np.where(np.arange(40) < 9, y, -1)
        graph = spreading._normalized_graph(X)
        scores = np.linalg.inv(np.eye(40) - spreading._REACH * graph.toarray()) @ (codes[:, None] == np.arange(3))
        expected = np.where(codes >= 0, codes, scores.argmax(1))
        np.testing.assert_array_equal(spread_labels(X, codes), expected)
        assert np.abs(np.linalg.eigvalsh(graph.toarray())).max() == pytest.approx(1)

    def test_rows_that_no_label_reaches_have_no_guess(self):
        X = np.concatenate([np.arange(10.0), 1e3 + np.arange(10.0)])[:, None]
        codes = np.where(np.arange(20) == 3, 0, -1)
        np.testing.assert_array_equal(spread_labels(X, codes), np.repeat([0, -1], 10))

    def test_repeated_rows_and_pairs_are_no_trouble(self):
        X = np.zeros((8, 2))
        assert set(spread_labels(X, np.array([0, 1] + [-1] * 6)).tolist()) <= {0, 1}
        assert spread_labels(X[:2] + [[0], [1]], np.array([0, -1])).tolist() == [0, 0]


@pytest.mark.parametrize("name", ["numbers", "strings", "booleans", "floats", "objects"])
def test_labels_of_every_kind_come_back(name):
    X, y = blobs()
    y = y % 2 if name == "booleans" else y
    known = {
        "numbers": y * 10 - 30,
        "strings": np.array(["a", "b", "c"])[y],
        "booleans": y.astype(bool),
        "floats": y / 1.0 + 7,
        "objects": np.array(["a", "b", "c"], dtype=object)[y],
    }[name]
    labels = known.astype(object)
    labels[::2] = -1
    model = FlowAutoencoderClassifier(**FAST).fit(X, labels)
    assert set(model.predict(X).tolist()) <= set(known.tolist())
    assert model.classes_.tolist() == sorted(set(known.tolist()))
    drawn = model.sample(4, model.classes_[1])[1]
    assert drawn.tolist() == [model.classes_[1]] * 4


class TestLearning:
    @pytest.mark.parametrize("likelihood", ["auto", "normal", "logistic"])
    def test_few_labels_tell_classes_that_are_clusters(self, likelihood, device):
        X, y = blobs(300)
        partial = np.where(np.arange(300) < 12, y, -1)
        parameters = FAST | {"max_iter": 20, "learning_rate_init": 1e-2}
        model = FlowAutoencoderClassifier(likelihood=likelihood, device=device, **parameters).fit(X, partial)
        assert model.score(X, y) > 0.93
        np.testing.assert_allclose(model.predict_proba(X).sum(1), 1)

    def test_rows_without_a_label_are_left_out_of_the_score(self):
        model = FlowAutoencoderClassifier(**FAST).fit(DIGITS, PARTIAL)
        assert model.score(DIGITS, PARTIAL) == model.score(DIGITS[:60], Y[:60])
        with pytest.raises(ValueError, match="labels no row"):
            model.score(DIGITS[60:], PARTIAL[60:])

    def test_it_stands_behind_an_autoencoder(self):
        parameters = FAST | {"hidden_layer_sizes": (64,), "max_iter": 20, "learning_rate_init": 5e-3}
        first = FlowAutoencoder(**parameters | {"n_latent_features": 16})
        second = FlowAutoencoderClassifier(**parameters)
        model = make_pipeline(first, second).fit(DIGITS, PARTIAL)
        assert model.score(DIGITS[60:], Y[60:]) > 0.7
        assert model[0].inverse_transform(model[1].sample(3, 5)[0]).shape == (3, 64)

    @pytest.mark.parametrize(
        "parameters",
        [
            {"dropout": 0.2},
            {"dropout": "variational"},
            {"optimizer": "adamax"},
            {"averaging": 0.9},
            {"supervised_weight": 5.0},
            {"spreading_weight": 0.0},
            {"free_bits": 0.5},
            {"kl_warm_up_iter": 2},
            {"n_importance_draws": 3},
            {"dtype": "float64"},
            {"early_stopping": False},
            {"classifier": torch.nn.Linear, "encoder": torch.nn.Linear, "decoder": torch.nn.Linear},
        ],
        ids=str,
    )
    def test_every_option_gives_another_fit(self, parameters):
        plain, other = (FlowAutoencoderClassifier(**FAST | more).fit(DIGITS, PARTIAL) for more in ({}, parameters))
        assert np.isfinite(other.lower_bound_)
        assert not np.array_equal(plain.predict_proba(DIGITS), other.predict_proba(DIGITS))


@every_posterior
class TestEveryPosterior:
    def make(self, posterior, **parameters):
        return FlowAutoencoderClassifier(posterior=posterior, n_posterior_layers=2, **FAST | parameters)

    def test_fits_repeat_to_the_bit_and_copies_do_the_same(self, posterior, device):
        one, other = (self.make(posterior, device=device).fit(DIGITS, PARTIAL) for _ in range(2))
        copied = pickle.loads(pickle.dumps(one))
        for model in (other, copied):
            np.testing.assert_array_equal(one.predict_proba(DIGITS), model.predict_proba(DIGITS))
            np.testing.assert_array_equal(one.reconstruct(DIGITS[:9], 3), model.reconstruct(DIGITS[:9], 3))
            np.testing.assert_array_equal(one.sample(5)[0], model.sample(5)[0])
        assert b"torch._utils" not in pickle.dumps(one)


@pytest.mark.parametrize("dropout", [0.1, "variational"])
@pytest.mark.parametrize("estimator", [FlowAutoencoder, FlowAutoencoderClassifier])
def test_noise_in_weights_repeats_to_the_bit_and_is_not_there_afterwards(estimator, dropout):
    one, other = (estimator(dropout=dropout, **FAST).fit(DIGITS, PARTIAL) for _ in range(2))
    found = [getattr(model, "transform", None) or model.predict_proba for model in (one, one, other)]
    first, again, repeated = (method(DIGITS) for method in found)
    np.testing.assert_array_equal(first, again)
    np.testing.assert_array_equal(first, repeated)
    copied = pickle.loads(pickle.dumps(one))
    np.testing.assert_array_equal((getattr(copied, "transform", None) or copied.predict_proba)(DIGITS), first)


@pytest.fixture(scope="module")
def model():
    """Fitted to digits, all of them labelled."""
    parameters = FAST | {"max_iter": 60, "hidden_layer_sizes": (64,), "learning_rate_init": 3e-3}
    return FlowAutoencoderClassifier(**parameters).fit(DIGITS, Y)


class TestClassesAndStyles:
    def test_rows_that_are_drawn_are_of_their_class(self, model):
        X, y = model.sample(300)
        assert (np.diff(y) >= 0).all()
        assert X.shape == (300, 64)
        assert model.score(X, y) > 0.6
        wanted = np.arange(50) % 10
        X, y = model.sample(50, wanted)
        np.testing.assert_array_equal(y, wanted)

    def test_an_analogy_has_the_class_that_was_asked_for(self, model):
        other = model.reconstruct(DIGITS[:100], y=7)
        assert (model.predict(other) == 7).mean() > 0.8
        own = model.reconstruct(DIGITS[:100])
        assert np.square(own - DIGITS[:100]).mean() < np.square(other - DIGITS[:100]).mean()
        np.testing.assert_allclose(own, model.reconstruct(DIGITS[:100], model.predict(DIGITS[:100])))

    @pytest.mark.parametrize(
        ("y", "message"),
        [(11, "must hold classes that were learned"), ([1, 2], "one for each of 3 rows"), ([[1]], "shape")],
    )
    def test_classes_that_are_none_are_refused(self, model, y, message):
        for method in (lambda: model.sample(3, y), lambda: model.reconstruct(DIGITS[:3], y)):
            with pytest.raises(ValueError, match=message):
                method()
        with pytest.raises(ValueError, match="n_samples must be an integer of at least 1"):
            model.sample(0)


class TestScikitLearnsWays:
    def test_a_fit_that_fails_changes_nothing(self):
        model = FlowAutoencoderClassifier(**FAST).fit(DIGITS, PARTIAL)
        before = model.predict_proba(DIGITS)
        with pytest.raises(ValueError, match="labels no row"):
            model.fit(DIGITS, np.full(300, -1))
        with pytest.raises(ValueError, match="NaN"):
            model.fit(np.full((5, 5), np.nan), np.arange(5))
        np.testing.assert_array_equal(model.predict_proba(DIGITS), before)

    @pytest.mark.parametrize(
        ("parameters", "message"),
        [
            ({"dropout": 1.0}, "dropout"),
            ({"optimizer": "sgd"}, "optimizer"),
            ({"averaging": 1.0}, "averaging"),
            ({"supervised_weight": "all"}, "supervised_weight"),
            ({"classifier": lambda n_inputs, n_outputs: None}, r"classifier must make a torch\.nn\.Module"),
        ],
    )
    def test_errors_name_the_parameter(self, parameters, message):
        with pytest.raises(ValueError, match=message):
            FlowAutoencoderClassifier(**FAST | parameters).fit(DIGITS, PARTIAL)

    def test_weights_are_repetitions(self):
        X, y = blobs(60)
        weight = np.arange(60) % 3
        parameters = FAST | {"dtype": "float64"}
        repeated = FlowAutoencoderClassifier(**parameters).fit(np.repeat(X, weight, axis=0), np.repeat(y, weight))
        weighted = FlowAutoencoderClassifier(**parameters).fit(X, y, sample_weight=weight)
        np.testing.assert_allclose(weighted.predict_proba(X), repeated.predict_proba(X), rtol=1e-6)

    def test_nothing_is_there_before_a_fit(self):
        with pytest.raises(NotFittedError):
            FlowAutoencoderClassifier().predict(DIGITS)

    def test_global_generators_are_left_as_found(self):
        torch_state = torch.get_rng_state()
        FlowAutoencoderClassifier(dropout=0.2, **FAST).fit(DIGITS, PARTIAL).sample(3)
        assert torch.equal(torch.get_rng_state(), torch_state)

    @pytest.mark.parametrize("interrupted", [1, 3])
    def test_an_interruption_keeps_the_best_state(self, interrupted, monkeypatch):
        begun, iterate = [], Run.iterate

        def counted(run):
            begun.append(run)
            if len(begun) == interrupted:
                raise KeyboardInterrupt
            return iterate(run)

        monkeypatch.setattr(Run, "iterate", counted)
        model = clone(FlowAutoencoderClassifier(**FAST))
        with pytest.raises(KeyboardInterrupt):
            model.fit(DIGITS, PARTIAL)
        assert model.history_.interrupted
        assert np.isfinite(model.predict_proba(DIGITS)).all()
