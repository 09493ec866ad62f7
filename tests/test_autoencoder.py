"""FlowAutoencoder: known likelihoods, scores that do not depend on other rows, seeds, pickles, bad input, clusters."""

import pickle
from functools import partial

import numpy as np
import pytest
import torch
from scipy.special import logsumexp
from sklearn.base import clone
from sklearn.datasets import load_digits, make_blobs
from sklearn.decomposition import PCA
from sklearn.exceptions import ConvergenceWarning, NotFittedError
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import adjusted_rand_score
from sklearn.pipeline import make_pipeline

from skflowmix import FlowAutoencoder, FlowMixtureClassifier
from skflowmix.autoencoding import POSTERIORS
from skflowmix.autoencoding.batches import ObservedBatches
from skflowmix.autoencoding.row_noise import noise_of_rows, paired_noise
from skflowmix.autoencoding.units import Recorded, fitting_likelihood
from skflowmix.training.loop import Run

pytestmark = pytest.mark.filterwarnings("ignore:The fit still improved:sklearn.exceptions.ConvergenceWarning")
DIGITS, Y = load_digits(return_X_y=True)
DIGITS = DIGITS[:300] / 16
TABLE = np.random.default_rng(0).normal(size=(120, 5)) @ np.random.default_rng(1).normal(size=(5, 5)) + 3
FAST = {"hidden_layer_sizes": (16,), "max_iter": 3, "random_state": 0}
every_posterior = pytest.mark.parametrize("posterior", sorted(POSTERIORS))


def linear(n_inputs, n_outputs):
    return torch.nn.Linear(n_inputs, n_outputs)


class Scaled(torch.nn.Module):
    """A network of a user's, with parameters of any shape."""

    def __init__(self, n_inputs, n_outputs):
        super().__init__()
        self.scale = torch.nn.Parameter(torch.ones(()))
        self.linear = torch.nn.Linear(n_inputs, n_outputs)
        self.norm = torch.nn.BatchNorm1d(n_outputs)

    def forward(self, x):
        return self.norm(self.scale * self.linear(x))


def with_dropout(n_inputs, n_outputs):
    return torch.nn.Sequential(torch.nn.Linear(n_inputs, 8), torch.nn.Dropout(0.2), torch.nn.Linear(8, n_outputs))


def rows_on_a_plane(n_rows=400):
    rng = np.random.default_rng(0)
    return rng.normal(size=(n_rows, 2)) @ rng.normal(size=(2, 5)) * 2 + 0.8 * rng.normal(size=(n_rows, 5)) + 1


class TestKnownLikelihoods:
    @pytest.mark.parametrize("seed", [0, 1])
    def test_probabilities_of_all_recorded_values_sum_to_one(self, seed, device):
        X = np.random.default_rng(seed).binomial(4, 0.2, (200, 1)).astype(float)
        sizes = {"hidden_layer_sizes": (8,), "max_iter": 20, "random_state": seed, "device": device}
        model = FlowAutoencoder(1, likelihood="logistic", **sizes).fit(X)
        scores = model.score_samples(np.unique(X)[:, None], n_importance_draws=2000)
        np.testing.assert_allclose(np.exp(scores).sum(), 1, atol=0.02)

    @pytest.mark.parametrize("posterior", ["normal", "full"])
    def test_a_linear_autoencoder_is_probabilistic_pca(self, posterior, device):
        """Tipping and Bishop (1999). One variance for all: features have one scale here, and the model may share it."""
        X = rows_on_a_plane()
        X = (X - X.mean(0)) @ np.linalg.qr(np.random.default_rng(3).normal(size=(5, 5)))[0]
        model = FlowAutoencoder(
            2,
            likelihood="normal",
            posterior=posterior,
            encoder=linear,
            decoder=linear,
            early_stopping=False,
            batch_size=400,
            max_iter=60,
            learning_rate_init=2e-2,
            random_state=0,
            device=device,
        ).fit(X)
        found = model.score_samples(X, n_importance_draws=200)
        expected = PCA(2).fit(X).score_samples(X)
        # One variance for each feature fits at least as well as one for all: factor analysis, 3 parameters more.
        assert found.mean() == pytest.approx(expected.mean(), abs=0.04)
        assert np.corrcoef(found, expected)[0, 1] > 0.97
        assert model.elbo(X, n_draws=50).mean() <= found.mean() + 0.03

    def test_scores_are_in_the_units_of_the_rows(self):
        model = FlowAutoencoder(2, **FAST).fit(TABLE)
        scaled = FlowAutoencoder(2, **FAST).fit(TABLE * 1024)
        np.testing.assert_allclose(
            scaled.score_samples(TABLE * 1024, n_importance_draws=1000).mean(),
            model.score_samples(TABLE, n_importance_draws=1000).mean() - 5 * np.log(1024),
            atol=0.3,
        )

    def test_more_importance_draws_are_nearer(self):
        model = FlowAutoencoder(2, **FAST | {"max_iter": 20}).fit(DIGITS)
        bound = model.elbo(DIGITS, n_draws=20).mean()
        few, many = (model.score_samples(DIGITS, n_importance_draws=n).mean() for n in (5, 200))
        assert bound < few < many

    def test_log_density_of_bernoulli_integrates_to_one(self):
        model = FlowAutoencoder(2, likelihood="bernoulli", **FAST).fit((TABLE > 3).astype(float)[:, :3])
        everything = np.array(np.meshgrid([0, 1], [0, 1], [0, 1])).reshape(3, 8).T.astype(float)
        total = logsumexp(model.score_samples(everything, n_importance_draws=4000))
        assert total == pytest.approx(0, abs=0.05)


@every_posterior
class TestEveryPosterior:
    def make(self, posterior, **parameters):
        return FlowAutoencoder(3, posterior=posterior, n_posterior_layers=2, **FAST | parameters)

    def test_rows_have_places_and_places_have_rows(self, posterior, device):
        model = self.make(posterior, device=device).fit(DIGITS)
        places = model.transform(DIGITS[:20])
        rows = model.inverse_transform(places)
        assert places.shape == (20, 3)
        assert ((rows >= 0) & (rows <= 1)).all()
        assert model.elbo(DIGITS[:20]).shape == model.score_samples(DIGITS[:20], n_importance_draws=3).shape == (20,)
        assert np.isfinite(model.history_.training_score).all()

    def test_scores_do_not_depend_on_other_rows(self, posterior):
        model = self.make(posterior).fit(TABLE)
        for method in (model.transform, model.elbo, partial(model.score_samples, n_importance_draws=7)):
            together, backwards = method(TABLE), method(TABLE[::-1])[::-1]
            alone = np.concatenate([method(row[None]) for row in TABLE[:5]])
            np.testing.assert_allclose(together, backwards, rtol=1e-9)
            np.testing.assert_allclose(together[:5], alone, rtol=1e-9)

    def test_fits_repeat_to_the_bit(self, posterior, device):
        one, other = (self.make(posterior, device=device).fit(DIGITS) for _ in range(2))
        np.testing.assert_array_equal(one.transform(DIGITS), other.transform(DIGITS))
        np.testing.assert_array_equal(one.sample(5), other.sample(5))

    def test_a_copy_by_pickle_does_the_same(self, posterior):
        model = self.make(posterior).fit(DIGITS)
        copied = pickle.loads(pickle.dumps(model))
        np.testing.assert_array_equal(model.transform(DIGITS), copied.transform(DIGITS))
        np.testing.assert_array_equal(model.elbo(DIGITS), copied.elbo(DIGITS))
        state = pickle.dumps(model)
        assert b"torch._utils" not in state


@pytest.mark.parametrize("prior", ["normal", "flow-mixture"])
@pytest.mark.parametrize("likelihood", ["bernoulli", "logistic", "normal"])
def test_every_likelihood_and_prior_learns(likelihood, prior):
    parameters = {"n_components": 3, "hidden_layer_sizes": (32,), "max_iter": 30, "random_state": 0}
    model = FlowAutoencoder(4, likelihood=likelihood, prior=prior, **parameters).fit(DIGITS)
    scores = model.history_.validation_score
    assert scores[-1][0] > scores[0][0] > model.history_.start_score[0] or prior == "flow-mixture"
    assert (
        model.lower_bound_
        > FlowAutoencoder(4, likelihood=likelihood, **FAST | {"max_iter": 1}).fit(DIGITS).lower_bound_
    )
    rows = model.sample(50, random_state=0)
    assert rows.shape == (50, 64)
    assert np.isfinite(rows).all()
    if likelihood == "bernoulli":
        assert set(np.unique(rows)) <= {0.0, 1.0}
    if likelihood == "logistic":
        np.testing.assert_allclose(rows * 16, np.round(rows * 16), atol=1e-6)


@pytest.mark.parametrize(
    "parameters",
    [
        {"heteroscedastic": True, "likelihood": "normal"},
        {"binarize": None},
        {"binarize": "fixed"},
        {"free_bits": 0.5},
        {"free_bits": 0.5, "posterior": "iaf"},
        {"kl_warm_up_iter": 5},
        {"n_importance_draws": 4},
        {"n_importance_draws": 2, "free_bits": 0.2, "kl_warm_up_iter": 2},
        {"dropout": 0.1},
        {"dropout": "variational"},
        {"optimizer": "adamax"},
        {"averaging": 0.9},
        {"dtype": "float64"},
        {"early_stopping": False},
        {"encoder": Scaled, "decoder": Scaled},
    ],
    ids=str,
)
def test_every_option_gives_another_fit_that_learns(parameters):
    plain = FlowAutoencoder(3, **FAST | {"max_iter": 8}).fit(DIGITS)
    model = FlowAutoencoder(3, **FAST | {"max_iter": 8} | parameters).fit(DIGITS)
    assert not np.array_equal(model.transform(DIGITS), plain.transform(DIGITS))
    warms_up, history = "kl_warm_up_iter" in parameters, model.history_
    scores = history.validation_score if warms_up else history.training_score
    assert scores[-1][0] > scores[0][0]


def test_free_bits_keep_features_in_use():
    """With 20 times the noise of the digits nothing is worth a bit, but for those that are free."""
    X = np.random.default_rng(0).normal(size=(300, 4))
    used = []
    for free_bits in (0.0, 0.5):
        model = FlowAutoencoder(2, free_bits=free_bits, **FAST | {"max_iter": 15, "learning_rate_init": 1e-2}).fit(X)
        noise = torch.zeros(1, 1, 2, dtype=torch.float64)
        rows = torch.from_numpy(model._fitted.units.inner(X)[0])
        used.append(model.autoencoder_.draw(rows, noise).divergence.mean(0).min().item())
    assert used[0] < 0.2 < 0.35 < used[1]


class TestDefaultLikelihood:
    def test_it_follows_from_the_values(self):
        binary = (TABLE > 3).astype(float)
        assert fitting_likelihood(binary) == fitting_likelihood(DIGITS) == "bernoulli"
        scaled = (TABLE - TABLE.min(0)) / np.ptp(TABLE, axis=0)
        assert fitting_likelihood(scaled) == fitting_likelihood(TABLE) == fitting_likelihood(DIGITS * 16) == "normal"
        assert FlowAutoencoder(2, **FAST).fit(TABLE).likelihood_ == "normal"

    def test_bernoulli_takes_no_other_values(self):
        with pytest.raises(ValueError, match=r"requires values from 0 to 1; X holds some from .* to .*normal"):
            FlowAutoencoder(2, likelihood="bernoulli", **FAST).fit(TABLE)

    def test_values_outside_count_as_the_ends_later(self):
        model = FlowAutoencoder(2, likelihood="bernoulli", **FAST).fit(DIGITS)
        np.testing.assert_array_equal(model.elbo(DIGITS[:5] * 4 - 2) < 0, True)
        np.testing.assert_array_equal(model.transform(DIGITS[:1] - 5), model.transform(np.zeros((1, 64))))

    def test_grids_are_found(self):
        images = Recorded.of(np.float32(DIGITS * 16 / 255).astype(float))
        np.testing.assert_allclose(images.width[np.ptp(DIGITS, axis=0) > 0], 1 / 255, rtol=1e-4)
        own = Recorded.of(np.column_stack([np.arange(10) * 0.5, np.arange(10) * 0.3, np.ones(10)]))
        np.testing.assert_allclose(own.width, [0.5, 0.3, 1])


class TestScikitLearnsWays:
    def test_names_of_features_out_and_tables(self):
        pandas = pytest.importorskip("pandas")
        model = FlowAutoencoder(2, **FAST).set_output(transform="pandas")
        table = model.fit_transform(pandas.DataFrame(TABLE, columns=list("abcde")))
        assert list(table.columns) == ["flowautoencoder0", "flowautoencoder1"] == model.get_feature_names_out().tolist()
        assert model.feature_names_in_.tolist() == list("abcde")

    def test_pipelines_pass_unlabelled_rows_through(self):
        y = np.where(np.arange(300) % 3, Y[:300], -1)
        pipeline = make_pipeline(FlowAutoencoder(4, **FAST), LogisticRegression()).fit(DIGITS, y)
        assert pipeline.predict(DIGITS).shape == (300,)
        np.testing.assert_array_equal(pipeline[0].transform(DIGITS), clone(pipeline[0]).fit(DIGITS).transform(DIGITS))

    def test_a_fit_that_fails_changes_nothing(self):
        model = FlowAutoencoder(2, **FAST).fit(TABLE)
        before = model.transform(TABLE)
        for bad in (np.full((5, 5), np.nan), TABLE[:1]):
            with pytest.raises(ValueError, match=r"NaN|sample"):
                model.fit(bad)
        np.testing.assert_array_equal(model.transform(TABLE), before)

    @pytest.mark.parametrize(
        ("parameters", "message"),
        [
            ({"likelihood": "poisson"}, "likelihood"),
            ({"posterior": "flow"}, "posterior"),
            ({"hidden_layer_sizes": (0,)}, "hidden_layer_sizes must hold positive integers"),
            ({"n_importance_draws": True}, "n_importance_draws must be a number"),
            ({"encoder": lambda n_inputs, n_outputs: "network"}, r"encoder must make a torch\.nn\.Module"),
            ({"decoder": lambda n_inputs, n_outputs: torch.nn.Linear(n_inputs, 3)}, "decoder.* must make a module"),
            ({"encoder": lambda n_inputs, n_outputs: torch.nn.Flatten()}, "encoder.* must make a module that maps"),
            ({"encoder": lambda n_inputs, n_outputs: torch.nn.Linear(7, n_outputs)}, r"encoder\(5, 4\) must make"),
            (
                {"prior": "flow-mixture", "n_components": 500},
                r"n_components=500 .* is more than the 108 rows to learn from; 12 others are held out",
            ),
            ({"device": "cuda:99"}, "not available"),
        ],
    )
    def test_errors_name_the_parameter(self, parameters, message):
        with pytest.raises(ValueError, match=message):
            FlowAutoencoder(2, **FAST | parameters).fit(TABLE)

    def test_errors_of_methods_name_the_argument(self):
        model = FlowAutoencoder(2, **FAST)
        with pytest.raises(NotFittedError):
            model.transform(TABLE)
        model.fit(TABLE)
        with pytest.raises(ValueError, match="n_importance_draws must be an integer of at least 1"):
            model.score_samples(TABLE, n_importance_draws=0)
        with pytest.raises(ValueError, match="2 latent ones"):
            model.inverse_transform(TABLE)
        with pytest.raises(AttributeError, match=r"predict"):
            model.predict(TABLE)

    def test_an_end_at_max_iter_is_told(self):
        with pytest.warns(ConvergenceWarning, match="max_iter=3"):
            FlowAutoencoder(2, **FAST).fit(TABLE)

    def test_verbose_prints_and_default_is_quiet(self, capsys):
        FlowAutoencoder(2, **FAST).fit(TABLE)
        assert capsys.readouterr().out == ""
        FlowAutoencoder(2, verbose=2, **FAST).fit(TABLE)
        assert "Training: iteration 3 of at most 3" in capsys.readouterr().out

    def test_global_generators_are_left_as_found(self):
        torch_state, numpy_state = torch.get_rng_state(), np.random.get_state()[1].copy()  # noqa: NPY002
        FlowAutoencoder(2, encoder=Scaled, **FAST).fit(TABLE).sample(3)
        assert torch.equal(torch.get_rng_state(), torch_state)
        np.testing.assert_array_equal(np.random.get_state()[1], numpy_state)  # noqa: NPY002

    @pytest.mark.parametrize("name", ["encoder", "decoder"])
    def test_noise_of_a_users_module_is_that_of_random_state(self, name, device):
        torch_state = torch.get_rng_state()
        models = [FlowAutoencoder(2, **{name: with_dropout}, **FAST, device=device).fit(TABLE) for _ in range(2)]
        np.testing.assert_array_equal(models[0].transform(TABLE), models[1].transform(TABLE))
        assert torch.equal(torch.get_rng_state(), torch_state)


def test_a_mixture_classifier_learns_few_labels_of_latent_places(device):
    X, y = make_blobs([60, 60], n_features=6, random_state=0)
    partial_y = np.where(np.arange(120) % 20 < 1, y, -1)
    codes = FlowAutoencoder(2, **FAST | {"max_iter": 40}, device=device)
    classifier = FlowMixtureClassifier(n_layers=1, hidden_layer_sizes=(4,), max_iter=5, random_state=0, device=device)
    model = make_pipeline(codes, classifier).fit(X, partial_y)
    assert model.score(X, y) > 0.95


def test_generators_of_other_devices_are_not_seeded_for_a_users_module(monkeypatch, device):
    def seed_all(seed):
        raise AssertionError("seeds every device there is")

    monkeypatch.setattr(torch, "manual_seed", seed_all)
    FlowAutoencoder(2, encoder=with_dropout, **FAST, device=device).fit(TABLE)


@pytest.mark.parametrize("max_iter", [1, 4])
def test_a_prior_of_flows_takes_no_more_iterations_than_there_are(max_iter, device):
    model = FlowAutoencoder(2, prior="flow-mixture", **FAST | {"max_iter": max_iter}, device=device).fit(TABLE)
    assert model.n_iter_ == max_iter
    assert np.isfinite(model.score_samples(TABLE)).all()


class TestHardRows:
    def test_draws_of_a_constant_feature_stay_near_it(self, device):
        X = np.column_stack([TABLE, np.full(len(TABLE), 7.0)])
        model = FlowAutoencoder(2, **FAST, device=device).fit(X)
        assert abs(model.sample(500)[:, -1] - 7).max() < 10

    def test_tables_have_latent_places_and_rows_of_tables(self, device):
        pd = pytest.importorskip("pandas")
        table = pd.DataFrame(TABLE, columns=list("abcde"))
        model = FlowAutoencoder(2, **FAST, device=device).set_output(transform="pandas").fit(table)
        assert list(model.sample(3).columns) == list("abcde")
        assert model.inverse_transform(model.transform(table)).shape == TABLE.shape

    @pytest.mark.parametrize("likelihood", ["auto", "logistic"])
    def test_constant_far_and_few(self, likelihood):
        X = np.column_stack([TABLE, np.ones(120), np.full(120, 1e12), TABLE[:, 0] * 1e-9])
        X[0, 0] = 1e15
        for rows in (X, X[:3], X[:, 5:6], X[:, :1]):
            model = FlowAutoencoder(2, likelihood=likelihood, **FAST).fit(rows)
            far = np.where(np.arange(rows.shape[1]) % 2, 1e300, -1e300)[None]
            for scores in (model.score_samples(rows, n_importance_draws=3), model.transform(np.vstack([rows, far]))):
                assert np.isfinite(scores).all()

    def test_steps_that_are_not_finite_are_taken_back(self, monkeypatch):
        batch = ObservedBatches.batch
        counter = iter(range(10**6))

        def broken(self, index):
            rows = batch(self, index)
            return rows if next(counter) != 12 else rows.each(lambda column: column * torch.inf)

        monkeypatch.setattr(ObservedBatches, "batch", broken)
        model = FlowAutoencoder(2, **FAST).fit(TABLE)
        assert model.history_.n_rollbacks == 1
        assert np.isfinite(model.transform(TABLE)).all()

    @pytest.mark.parametrize("prior", ["normal", "flow-mixture"])
    @pytest.mark.parametrize("interrupted", [1, 3, 8])
    def test_an_interruption_keeps_the_best_state(self, prior, interrupted, monkeypatch):
        begun, iterate = [], Run.iterate

        def counted(run):
            begun.append(run)
            if len(begun) == interrupted:
                raise KeyboardInterrupt
            return iterate(run)

        monkeypatch.setattr(Run, "iterate", counted)
        model = FlowAutoencoder(2, prior=prior, n_components=2, **FAST | {"max_iter": 12})
        with pytest.raises(KeyboardInterrupt):
            model.fit(TABLE)
        assert model.history_.interrupted
        assert len(begun) == interrupted
        assert np.isfinite(model.score_samples(TABLE)).all()


class TestClusters:
    def test_a_prior_that_was_asked_for_later_has_none(self, device):
        model = FlowAutoencoder(2, **FAST, device=device).fit(TABLE).set_params(prior="flow-mixture")
        assert not hasattr(model, "predict")

    def test_components_of_the_prior_are_clusters(self, device):
        X, y = make_blobs(300, n_features=8, centers=3, cluster_std=1.0, random_state=0)
        model = FlowAutoencoder(
            2,
            prior="flow-mixture",
            n_components=3,
            hidden_layer_sizes=(32,),
            max_iter=40,
            learning_rate_init=5e-3,
            random_state=0,
            device=device,
        ).fit(X)
        proba = model.predict_proba(X)
        np.testing.assert_allclose(proba.sum(1), 1)
        np.testing.assert_array_equal(proba.argmax(1), model.predict(X))
        assert adjusted_rand_score(y, model.predict(X)) > 0.95
        assert model.autoencoder_.prior.n_components == 3


class TestNoiseOfRows:
    def test_it_is_normal_and_a_rows_own(self):
        X = np.random.default_rng(0).normal(size=(400, 3))
        noise = noise_of_rows(X, (5, 2), 7)
        assert abs(noise.mean()) < 0.05
        assert abs(noise.std() - 1) < 0.05
        np.testing.assert_array_equal(noise[::-1], noise_of_rows(X[::-1], (5, 2), 7))
        assert not np.array_equal(noise, noise_of_rows(X, (5, 2), 8))
        assert len(np.unique(noise)) == noise.size

    def test_pairs_have_mean_nil(self):
        noise = paired_noise(6, 3, 0)
        assert noise.shape == (6, 3)
        np.testing.assert_allclose(noise.mean(0), 0, atol=1e-15)
