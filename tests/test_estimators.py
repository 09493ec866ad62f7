"""What the estimators promise to those who know scikit-learn."""

import pickle

import joblib
import numpy as np
import pandas as pd
import pytest
import torch
from scipy.integrate import trapezoid
from scipy.special import logsumexp
from scipy.stats import multivariate_normal
from sklearn.base import clone
from sklearn.datasets import make_blobs, make_circles, make_moons
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import adjusted_rand_score
from sklearn.mixture import GaussianMixture
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skflowmix import FlowMixtureClassifier, FlowMixtureClustering, FlowMixtureDensity
from skflowmix.fitting import CLASSIFICATION, CLUSTERING, DENSITY
from skflowmix.modules.mixture import FlowMixture
from skflowmix.partitions.automatic import automatic
from skflowmix.partitions.soft import soft

ESTIMATORS = [FlowMixtureClustering, FlowMixtureDensity, FlowMixtureClassifier]
UNSUPERVISED = [FlowMixtureClustering, FlowMixtureDensity]
CENTERS = np.array([[0.0, 0.0], [6.0, 0.0], [0.0, 6.0]])

every_estimator = pytest.mark.parametrize("estimator_class", ESTIMATORS)
unsupervised = pytest.mark.parametrize("estimator_class", UNSUPERVISED)
pytestmark = pytest.mark.filterwarnings("ignore:The fit still improved:sklearn.exceptions.ConvergenceWarning")


def make(estimator_class, device, **params):
    cheap = {
        "n_components": 2,
        "flow": "realnvp",
        "n_layers": 2,
        "hidden_layer_sizes": (8,),
        "max_iter": 4,
        "device": device,
        "random_state": 0,
    }
    learns_any_y = {} if estimator_class is FlowMixtureClassifier else {"labels": "all"}
    one = {"n_estimators": 1} if estimator_class is FlowMixtureDensity else {}
    return estimator_class(**{**cheap, **learns_any_y, **one, **params})


def moons(n_samples=80, random_state=0):
    return make_moons(n_samples, noise=0.1, random_state=random_state)


def blobs(n_samples=90, n_clusters=3, random_state=0):
    return make_blobs(n_samples, centers=CENTERS[:n_clusters], cluster_std=0.5, random_state=random_state)


def through_pickle(estimator, path):
    return pickle.loads(pickle.dumps(estimator))


def through_joblib(estimator, path):
    joblib.dump(estimator, path)
    return joblib.load(path)


def through_save(estimator, path):
    estimator.save(path)
    return type(estimator).load(path)


class TestParameters:
    @every_estimator
    def test_clone_has_the_same_parameters_and_no_fit(self, estimator_class, device):
        X, y = moons()
        estimator = make(estimator_class, device, learning_rate_init=1e-3, reg_covar=1e-4).fit(X, y)
        copy = clone(estimator)
        assert copy.get_params() == estimator.get_params()
        assert not hasattr(copy, "mixture_")

    @every_estimator
    def test_set_params_undoes_get_params(self, estimator_class, device):
        params = make(estimator_class, device, n_components=3, base="student_t").get_params()
        assert estimator_class().set_params(**params).get_params() == params

    @every_estimator
    def test_fit_leaves_the_parameters_alone(self, estimator_class, device):
        X, y = moons()
        estimator = make(estimator_class, device)
        before = estimator.get_params()
        estimator.fit(X, y)
        assert estimator.get_params() == before

    def test_estimators_share_one_vocabulary(self, device):
        names = {estimator: set(make(estimator, device).get_params()) for estimator in ESTIMATORS}
        assert names[FlowMixtureClustering] == names[FlowMixtureClassifier] | {"labels"}
        assert names[FlowMixtureDensity] == names[FlowMixtureClustering] | {"n_estimators", "contamination"}


class TestPersistence:
    @every_estimator
    @pytest.mark.parametrize("travel", [through_pickle, through_joblib, through_save])
    def test_copy_answers_as_the_original(self, estimator_class, travel, device, tmp_path):
        X, y = moons()
        estimator = make(estimator_class, device).fit(X, y)
        copy = travel(estimator, tmp_path / "estimator")
        assert copy.get_params() == estimator.get_params()
        np.testing.assert_allclose(copy.score_samples(X), estimator.score_samples(X), rtol=1e-9)
        np.testing.assert_array_equal(copy.predict(X), estimator.predict(X))

    def test_load_refuses_another_class(self, device, tmp_path):
        make(FlowMixtureDensity, device).fit(*moons()).save(tmp_path / "estimator")
        with pytest.raises(TypeError, match="FlowMixtureDensity, not a FlowMixtureClassifier"):
            FlowMixtureClassifier.load(tmp_path / "estimator")

    @every_estimator
    def test_unfitted_estimator_survives_saving(self, estimator_class, device, tmp_path):
        estimator = make(estimator_class, device)
        assert through_save(estimator, tmp_path / "estimator").get_params() == estimator.get_params()


class TestAmongOtherTools:
    def test_standard_scaler_in_front_changes_only_the_units(self, device):
        X, _ = moons()
        X = X * [1.0, 50.0] + 7
        density = make(FlowMixtureDensity, device)
        pipeline = make_pipeline(StandardScaler(), clone(density)).fit(X)
        units = np.log(X.std(0)).sum()
        np.testing.assert_allclose(
            pipeline.score_samples(X), density.fit(X).score_samples(X) + units, rtol=1e-3, atol=1e-3
        )

    def test_pipeline_routes_sample_weight(self, device):
        X, _ = moons()
        weight = np.repeat([1.0, 0.0], len(X) // 2)
        pipeline = make_pipeline(StandardScaler(), make(FlowMixtureDensity, device))
        weighted = clone(pipeline).fit(X, flowmixturedensity__sample_weight=weight)
        assert not np.allclose(weighted.score_samples(X), pipeline.fit(X).score_samples(X))

    def test_grid_search_finds_the_number_of_components_by_held_out_likelihood(self, device):
        X, _ = blobs(120)
        grid = {"flow": ["affine", "realnvp"], "n_components": [1, 3]}
        search = GridSearchCV(make(FlowMixtureDensity, device), grid, cv=3, error_score="raise").fit(X)
        assert search.best_params_["n_components"] == 3
        assert search.score(X) == pytest.approx(search.best_estimator_.score_samples(X).mean())

    def test_grid_search_finds_the_number_of_components_by_accuracy(self, device):
        X, cluster = make_blobs(120, centers=[[0, 0], [6, 0], [12, 0], [18, 0]], cluster_std=0.5, random_state=0)
        grid = {"flow": ["affine", "realnvp"], "n_components": [1, 2]}
        search = GridSearchCV(make(FlowMixtureClassifier, device), grid, cv=3, error_score="raise")
        search.fit(X, cluster % 2)
        assert search.best_params_["n_components"] == 2
        assert search.best_score_ > 0.9

    def test_cross_val_score_is_accuracy(self, device):
        X, y = blobs()
        names = np.array(["a", "b", "c"])[y]
        scores = cross_val_score(make(FlowMixtureClassifier, device, n_components=1), X, names, cv=3)
        assert scores.min() > 0.9
        assert scores.max() <= 1

    @every_estimator
    def test_data_frame_gives_feature_names(self, estimator_class, device):
        X, y = moons()
        frame = pd.DataFrame(X, columns=["width", "height"])
        estimator = make(estimator_class, device).fit(frame, y)
        assert estimator.feature_names_in_.tolist() == ["width", "height"]
        np.testing.assert_array_equal(
            estimator.score_samples(frame), make(estimator_class, device).fit(X, y).score_samples(X)
        )

    @every_estimator
    @pytest.mark.parametrize("columns", [["width", "depth"], ["height", "width"]])
    def test_wrong_feature_names_are_an_error(self, estimator_class, columns, device):
        X, y = moons()
        estimator = make(estimator_class, device).fit(pd.DataFrame(X, columns=["width", "height"]), y)
        with pytest.raises(ValueError, match="feature names"):
            estimator.predict(pd.DataFrame(X, columns=columns))

    def test_series_as_labels(self, device):
        X, y = blobs()
        labels = pd.Series(np.array(["a", "b", "c"])[y], index=np.arange(len(y))[::-1])
        estimator = make(FlowMixtureClassifier, device, n_components=1).fit(X, labels)
        assert estimator.score(X, labels) > 0.95


class TestWarmStart:
    def test_second_fit_starts_where_the_first_one_ended(self, device):
        X, _ = moons(200)
        estimator = make(FlowMixtureDensity, device, warm_start=True, init_params="random").fit(X)
        first, first_score = estimator.lower_bound_, estimator.lower_bounds_[0]
        estimator.fit(X)
        assert estimator.lower_bound_ >= first
        assert estimator.lower_bounds_[0] > first_score

    def test_without_it_the_second_fit_is_the_first_one_again(self, device):
        X, _ = moons()
        estimator = make(FlowMixtureDensity, device).fit(X)
        first = estimator.score_samples(X)
        np.testing.assert_array_equal(estimator.fit(X).score_samples(X), first)

    @every_estimator
    def test_another_number_of_components_is_an_error(self, estimator_class, device):
        X, y = moons()
        estimator = make(estimator_class, device, warm_start=True).fit(X, y)
        with pytest.raises(ValueError, match="warm_start=True"):
            estimator.set_params(n_components=3).fit(X, y)

    def test_another_number_of_features_is_an_error(self, device):
        X, _ = moons()
        estimator = make(FlowMixtureDensity, device, warm_start=True).fit(X)
        with pytest.raises(ValueError, match="warm_start=True"):
            estimator.fit(np.column_stack([X, X[:, 0]]))

    @every_estimator
    @pytest.mark.parametrize("change", [lambda X: X * 1e4 + 1e6, lambda X: X + 1e3, lambda X: X / 1e3], ids="abc")
    def test_rows_of_another_unit_are_an_error(self, estimator_class, change, device):
        X, y = moons()
        estimator = make(estimator_class, device, warm_start=True).fit(X, y)
        before = estimator.score_samples(X)
        with pytest.raises(ValueError, match=r"warm_start=True.*feature 0 has another location or scale"):
            estimator.fit(change(X), y)
        np.testing.assert_array_equal(estimator.score_samples(X), before)

    @every_estimator
    def test_warm_start_needs_the_names_of_the_features_before(self, estimator_class, device):
        X, y = moons()
        table = pd.DataFrame(X, columns=["a", "b"])
        estimator = make(estimator_class, device, warm_start=True).fit(table, y)
        before = estimator.score_samples(table)
        for names in (["b", "a"], ["a", "c"]):
            with pytest.raises(ValueError, match="feature names should match"):
                estimator.fit(table.set_axis(names, axis=1), y)
        np.testing.assert_array_equal(estimator.score_samples(table), before)
        with pytest.warns(UserWarning, match="does not have valid feature names"):
            estimator.fit(X, y)
        assert estimator.fit(table, y).feature_names_in_.tolist() == ["a", "b"]
        estimator.set_params(warm_start=False).fit(table[["b", "a"]], y)

    @every_estimator
    def test_rows_that_drift_are_none(self, estimator_class, device):
        X, y = moons()
        estimator = make(estimator_class, device, warm_start=True).fit(X, y)
        assert np.isfinite(estimator.fit(1.5 * X + 0.5, y).score_samples(X)).all()

    def test_other_names_of_classes_are_an_error(self, device):
        X, y = moons()
        estimator = make(FlowMixtureClassifier, device, warm_start=True).fit(X, y)
        with pytest.raises(ValueError, match=r"warm_start=True.*classes \[0, 1\]; y has \[5, 6\]"):
            estimator.fit(X, y + 5)


class TestRandomState:
    @every_estimator
    def test_same_seed_gives_the_same_fit_bit_for_bit(self, estimator_class, device):
        X, y = moons()
        one, other = (make(estimator_class, device, random_state=3).fit(X, y) for _ in range(2))
        np.testing.assert_array_equal(one.weights_, other.weights_)
        np.testing.assert_array_equal(one.predict(X), other.predict(X))
        np.testing.assert_array_equal(one.score_samples(X), other.score_samples(X))

    @every_estimator
    def test_other_seeds_give_other_fits(self, estimator_class, device):
        X, y = moons(300)  # fewer, and the start is the best state, which is the same for both
        one, other = (make(estimator_class, device, random_state=seed).fit(X, y) for seed in (3, 4))
        assert not np.array_equal(one.score_samples(X), other.score_samples(X))

    @unsupervised
    def test_integer_seed_repeats_the_draw(self, estimator_class, device):
        estimator = make(estimator_class, device, random_state=3).fit(moons()[0])
        (X, y), (X_again, y_again) = estimator.sample(20), estimator.sample(20)
        np.testing.assert_array_equal(X, X_again)
        np.testing.assert_array_equal(y, y_again)

    @pytest.mark.parametrize("random_state", [None, np.random.RandomState(0)])
    def test_other_random_states_go_on_drawing(self, random_state, device):
        estimator = make(FlowMixtureDensity, device, random_state=random_state).fit(moons()[0])
        assert not np.array_equal(estimator.sample(20)[0], estimator.sample(20)[0])

    def test_seed_of_sample_goes_before_that_of_the_estimator(self, device):
        estimator = make(FlowMixtureDensity, device, random_state=3).fit(moons()[0])
        drawn = estimator.sample(20, random_state=4)[0]
        np.testing.assert_array_equal(drawn, estimator.sample(20, random_state=4)[0])
        assert not np.array_equal(drawn, estimator.sample(20)[0])

    @every_estimator
    def test_global_state_is_left_as_found(self, estimator_class, device):
        def state():
            return (
                torch.get_rng_state().tolist(),
                np.random.get_state()[1].tolist(),  # noqa: NPY002
                torch.get_num_threads(),
                torch.get_default_dtype(),
                torch.is_grad_enabled(),
                torch.get_float32_matmul_precision(),
                torch.are_deterministic_algorithms_enabled(),
            )

        torch.manual_seed(1234)
        np.random.seed(1234)  # noqa: NPY002
        before = state()
        X, y = moons()
        make(estimator_class, device).fit(X, y).sample(10)
        assert state() == before


class TestDensity:
    @unsupervised
    def test_sample_is_sorted_by_component(self, estimator_class, device):
        X, component = make(estimator_class, device, n_components=3).fit(blobs()[0]).sample(50)
        assert X.shape == (50, 2)
        assert component.shape == (50,)
        assert (np.diff(component) >= 0).all()
        assert set(component) == {0, 1, 2}

    @every_estimator
    def test_one_row_is_drawn_unless_told(self, estimator_class, device):
        X, y = moons()
        drawn, component = make(estimator_class, device).fit(X, y).sample()
        assert drawn.shape == (1, 2)
        assert component.shape == (1,)

    @unsupervised
    def test_sampled_rows_belong_to_the_component_they_are_said_to_come_from(self, estimator_class, device):
        estimator = make(estimator_class, device, n_components=3).fit(blobs()[0])
        X, component = estimator.sample(500)
        assert np.mean(estimator.predict(X) == component) > 0.98

    def test_components_are_drawn_by_weight(self, device):
        estimator = make(
            FlowMixtureDensity, device, n_components=3, weights_init=[1, 2, 5], learn_weights=False, max_iter=1
        ).fit(blobs()[0])
        _, component = estimator.sample(4000)
        np.testing.assert_allclose(np.bincount(component) / 4000, [1 / 8, 2 / 8, 5 / 8], atol=0.04)

    @every_estimator
    def test_samples_have_location_and_scale_of_the_rows(self, estimator_class, device):
        X, y = blobs(300)
        X = X * 1e6 + 5e8
        drawn, _ = make(estimator_class, device, n_components=3, flow="affine").fit(X, y).sample(4000)
        np.testing.assert_allclose(drawn.mean(0), X.mean(0), atol=0.15 * X.std(0).min())
        np.testing.assert_allclose(np.cov(drawn.T), np.cov(X.T), atol=0.15 * X.var(0).max())

    @every_estimator
    @pytest.mark.parametrize("scale", [2.0**20, 2.0**-20, np.array([2.0**-10, 2.0**5])])
    def test_log_density_changes_with_the_units_of_the_rows(self, estimator_class, scale, device):
        X, y = moons()
        shift = np.log(np.broadcast_to(scale, 2)).sum()
        plain, scaled = make(estimator_class, device).fit(X, y), make(estimator_class, device).fit(X * scale, y)
        np.testing.assert_allclose(
            scaled.score_samples(X * scale), plain.score_samples(X) - shift, rtol=1e-5, atol=1e-5
        )

    @unsupervised
    def test_bounds_have_the_units_of_the_rows(self, estimator_class, device):
        X, _ = moons()
        plain, scaled = make(estimator_class, device).fit(X), make(estimator_class, device).fit(X * 2.0**20)
        shift = 2 * 20 * np.log(2)
        assert scaled.lower_bound_ == pytest.approx(plain.lower_bound_ - shift, rel=1e-5)
        np.testing.assert_allclose(scaled.lower_bounds_, np.array(plain.lower_bounds_) - shift, rtol=1e-5)

    @every_estimator
    @pytest.mark.parametrize("flow", ["affine", "realnvp", "nsf"])
    @pytest.mark.parametrize("base", ["normal", "student_t"])
    def test_density_integrates_to_one_in_the_units_of_the_rows(self, estimator_class, flow, base, device):
        X = np.random.RandomState(0).gamma(2.0, size=(80, 1)) * 1e-3 + 7
        y = (X[:, 0] > np.median(X)).astype(int)
        estimator = make(estimator_class, device, flow=flow, base=base).fit(X, y)
        grid = np.linspace(X.mean() - 400 * X.std(), X.mean() + 400 * X.std(), 400_001)
        density = np.exp(estimator.score_samples(grid[:, None]))
        assert trapezoid(density, grid) == pytest.approx(1, abs=2e-3)

    @unsupervised
    def test_affine_flow_fits_as_well_as_a_gaussian_mixture(self, estimator_class, device):
        X, _ = blobs(300)
        estimator = make(
            estimator_class, device, n_components=3, flow="affine", max_iter=30, early_stopping=False, alpha=0.0
        ).fit(X)
        reference = GaussianMixture(3, random_state=0).fit(X)
        np.testing.assert_allclose(np.sort(estimator.weights_), np.sort(reference.weights_), atol=0.01)
        assert estimator.score(X) == pytest.approx(reference.score(X), abs=0.02)

    @every_estimator
    def test_components_and_weights_make_up_the_density(self, estimator_class, device):
        X, y = moons()
        estimator = make(estimator_class, device, n_components=3).fit(X, y)
        log_prob = estimator.component_log_prob(X)
        assert log_prob.shape == (len(X), estimator.n_components_)
        np.testing.assert_allclose(
            logsumexp(log_prob + np.log(estimator.weights_), axis=1), estimator.score_samples(X), rtol=1e-9, atol=1e-9
        )

    @every_estimator
    def test_exact_posterior_makes_the_bound_tight(self, estimator_class, device):
        X, y = moons()
        estimator = make(estimator_class, device).fit(X, y)
        np.testing.assert_allclose(estimator.elbo(X), estimator.score_samples(X), rtol=1e-9, atol=1e-9)

    @unsupervised
    def test_score_is_the_mean_log_density(self, estimator_class, device):
        X, _ = moons()
        estimator = make(estimator_class, device).fit(X)
        assert estimator.score(X) == pytest.approx(estimator.score_samples(X).mean())

    @unsupervised
    def test_probabilities_are_the_components_shares_of_the_density(self, estimator_class, device):
        X, _ = moons()
        estimator = make(estimator_class, device, n_components=3).fit(X)
        joint = estimator.component_log_prob(X) + np.log(estimator.weights_)
        np.testing.assert_allclose(
            estimator.predict_proba(X), np.exp(joint - estimator.score_samples(X)[:, None]), atol=1e-9
        )

    def test_classifier_adds_up_the_components_of_a_class(self, device):
        X, y = moons()
        estimator = make(FlowMixtureClassifier, device, n_components=3).fit(X, y)
        joint = estimator.component_log_prob(X) + np.log(estimator.weights_)
        share = np.exp(joint - estimator.score_samples(X)[:, None])
        np.testing.assert_allclose(
            estimator.predict_proba(X), np.column_stack([share[:, :3].sum(1), share[:, 3:].sum(1)]), atol=1e-9
        )

    @every_estimator
    def test_most_probable_component_is_predicted(self, estimator_class, device):
        X, y = moons()
        estimator = make(estimator_class, device).fit(X, y)
        probabilities = estimator.predict_proba(X)
        np.testing.assert_allclose(probabilities.sum(1), 1)
        assert (probabilities >= 0).all()
        np.testing.assert_array_equal(estimator.predict(X), estimator.classes_[probabilities.argmax(1)])


class TestCriteria:
    @every_estimator
    @pytest.mark.parametrize("name", ["bic", "aic", "icl"])
    def test_error_names_what_counts_components_instead(self, estimator_class, name, device):
        X, y = moons()
        estimator = make(estimator_class, device).fit(X, y)
        assert not hasattr(estimator, name)
        with pytest.raises(AttributeError, match="n_components='auto'"):
            getattr(estimator, name)(X)


class TestRows:
    def test_labels_are_what_predict_says_of_the_training_rows(self, device):
        X, _ = moons()
        estimator = make(FlowMixtureClustering, device).fit(X)
        np.testing.assert_array_equal(estimator.labels_, estimator.predict(X))
        np.testing.assert_array_equal(make(FlowMixtureClustering, device).fit_predict(X), estimator.labels_)

    def test_fit_predict_of_a_density_is_fit_and_predict(self, device):
        X, _ = moons()
        estimator = make(FlowMixtureDensity, device)
        np.testing.assert_array_equal(clone(estimator).fit_predict(X), estimator.fit(X).predict(X))

    @every_estimator
    def test_order_of_the_rows_does_not_matter(self, estimator_class, device):
        X, y = moons()
        order = np.random.RandomState(0).permutation(len(X))
        plain, shuffled = make(estimator_class, device).fit(X, y), make(estimator_class, device)
        shuffled.fit(X[order], y[order])
        np.testing.assert_allclose(shuffled.score_samples(X), plain.score_samples(X), rtol=1e-7)

    @every_estimator
    @pytest.mark.parametrize("n_rows", [30, 700])
    def test_weight_is_repetition(self, estimator_class, n_rows, device):
        X, y = moons(n_rows)
        weight = np.random.RandomState(0).randint(4, size=n_rows)
        weighted = make(estimator_class, device, max_iter=2).fit(X, y, sample_weight=weight)
        repeated = make(estimator_class, device, max_iter=2).fit(X.repeat(weight, 0), y.repeat(weight))
        np.testing.assert_allclose(weighted.score_samples(X), repeated.score_samples(X), rtol=1e-6, atol=1e-6)

    @every_estimator
    def test_zero_weight_is_removal(self, estimator_class, device):
        X, y = moons()
        kept = np.arange(len(X)) % 3 > 0
        X[~kept] += 100
        weighted = make(estimator_class, device).fit(X, y, sample_weight=kept.astype(float))
        removed = make(estimator_class, device).fit(X[kept], y[kept])
        np.testing.assert_allclose(weighted.score_samples(X), removed.score_samples(X), rtol=1e-7)

    def test_heavy_rows_draw_the_density_to_them(self, device):
        X, y = blobs(120, n_clusters=2)
        weight = np.where(y == 0, 1.0, 3.0)
        estimator = make(FlowMixtureDensity, device, flow="affine", max_iter=20).fit(X, sample_weight=weight)
        np.testing.assert_allclose(np.sort(estimator.weights_), [0.25, 0.75], atol=0.05)


class TestLabels:
    @pytest.mark.parametrize(
        "names",
        [
            np.array(["ash", "beech", "cedar"]),
            np.array(["ash", "beech", "cedar"], dtype=object),
            np.array([0.0, 1.0, 2.0]),
            np.array([-7, 3, 40]),
            np.array([2, 0, 1], dtype=np.uint8),
        ],
        ids=["strings", "objects", "floats", "negative", "uint8"],
    )
    def test_classifier_takes_and_returns_any_labels(self, names, device):
        X, code = blobs()
        estimator = make(FlowMixtureClassifier, device, n_components=1).fit(X, names[code])
        np.testing.assert_array_equal(estimator.classes_, np.sort(names))
        assert estimator.score(X, names[code]) > 0.95

    @pytest.mark.parametrize(
        "y",
        [
            lambda code, known: np.where(known, code, -1),
            lambda code, known: np.where(known, code, -1).astype(float),
            lambda code, known: np.where(known, np.array(["ash", "beech", "cedar"], dtype=object)[code], -1),
        ],
        ids=["integers", "floats", "objects with -1"],
    )
    def test_unlabelled_rows_get_the_label_of_their_cluster(self, y, device):
        X, code = blobs()
        known = np.isin(np.arange(len(X)), [np.flatnonzero(code == c)[i] for c in range(3) for i in range(3)])
        labels, truth = y(code, known), y(code, np.ones(len(X), dtype=bool))
        estimator = make(FlowMixtureClassifier, device, n_components=1).fit(X, labels)
        np.testing.assert_array_equal(estimator.classes_, np.unique(truth))
        assert np.mean(estimator.predict(X) == truth) > 0.95

    def test_classifier_has_components_for_each_class(self, device):
        X, y = blobs()
        estimator = make(FlowMixtureClassifier, device, n_components=2).fit(X, y)
        assert estimator.n_components_ == 6
        assert estimator.predict_proba(X).shape == (len(X), 3)

    @unsupervised
    def test_component_stands_for_the_sorted_class_of_its_index(self, estimator_class, device):
        X, code = blobs()
        y = np.full(len(X), -1)
        for cluster, label in enumerate([30, 10, 20]):
            y[np.flatnonzero(code == cluster)[:3]] = label
        predicted = make(estimator_class, device, n_components=3).fit(X, y).predict(X)
        np.testing.assert_array_equal(predicted, np.array([2, 0, 1])[code])

    @unsupervised
    def test_more_classes_than_components_grow_the_mixture(self, estimator_class, device):
        X, y = blobs()
        with pytest.warns(UserWarning, match="y names 3 classes.*n_components=2"):
            estimator = make(estimator_class, device, n_components=2).fit(X, y)
        assert estimator.n_components_ == 3
        assert estimator.predict_proba(X).shape == (len(X), 3)
        np.testing.assert_array_equal(estimator.predict(X), y)

    @unsupervised
    @pytest.mark.parametrize("unnamed", [0, 1, 2])
    def test_further_components_take_what_no_label_names(self, estimator_class, unnamed, device):
        X, code = blobs()
        named = [c for c in range(3) if c != unnamed]
        y = np.full(len(X), -1)
        for cluster in named:
            y[np.flatnonzero(code == cluster)[:4]] = cluster
        predicted = make(estimator_class, device, n_components=3).fit(X, y).predict(X)
        np.testing.assert_array_equal(predicted[code == unnamed], 2)
        np.testing.assert_array_equal(predicted[code == named[0]], 0)

    def test_labels_of_minus_one_alone_are_no_labels(self, device):
        X, _ = moons()
        labelled = make(FlowMixtureClustering, device).fit(X, np.full(len(X), -1))
        np.testing.assert_array_equal(
            labelled.score_samples(X), make(FlowMixtureClustering, device).fit(X).score_samples(X)
        )

    @pytest.mark.parametrize("seed", [0, 1, 2])
    def test_ten_labels_tell_two_circles_apart(self, seed, device):
        X, truth = make_circles(1000, factor=0.5, noise=0.05, random_state=seed)
        known = [np.flatnonzero(truth == circle)[i] for circle in range(2) for i in range(5)]
        y = np.full(len(X), -1)
        y[known] = truth[known]
        labels = FlowMixtureClustering(2, device=device, random_state=seed).fit_predict(X, y)
        assert adjusted_rand_score(truth, labels) > 0.95


class TestStarts:
    @pytest.mark.parametrize("init_params", ["gmm", "kmeans", "k-means++", "random", "random_from_data"])
    def test_every_start_beats_one_gaussian(self, init_params, device):
        X, _ = blobs()
        estimator = make(FlowMixtureDensity, device, flow="affine", init_params=init_params, max_iter=30).fit(X)
        one = multivariate_normal(X.mean(0), np.cov(X.T)).logpdf(X).mean()
        assert estimator.score(X) > one + 0.1

    @pytest.mark.parametrize("init_params", ["gmm", "kmeans"])
    def test_start_from_clusters_finds_blobs(self, init_params, device):
        X, truth = blobs()
        labels = make(FlowMixtureClustering, device, n_components=3, init_params=init_params).fit_predict(X)
        assert adjusted_rand_score(truth, labels) == 1

    @pytest.mark.parametrize("axis", [0, 1])
    def test_callable_decides_the_clusters(self, axis, device):
        X = np.random.RandomState(0).uniform(-1, 1, size=(200, 2))

        def halves(X, n_components, weight, random_state):
            assert weight.shape == (len(X),)
            return np.eye(n_components)[(X[:, axis] > 0).astype(int)]

        estimator = make(FlowMixtureClustering, device, init_params=halves, flow="affine", max_iter=1)
        expected = X[:, axis] > X[:, axis].mean()
        assert adjusted_rand_score(expected, estimator.fit_predict(X)) > 0.8

    @pytest.mark.parametrize("axis", [0, 1])
    def test_array_decides_the_clusters_and_their_order(self, axis, device):
        X = np.random.RandomState(0).uniform(-1, 1, size=(200, 2))
        resp = np.eye(2)[(X[:, axis] < 0).astype(int)] * np.linspace(1, 9, len(X))[:, None]
        estimator = make(FlowMixtureClustering, device, init_params=resp, flow="affine", max_iter=1)
        assert np.mean(estimator.fit_predict(X) == resp.argmax(1)) > 0.95

    def test_weights_init_is_kept_where_weights_are_not_learned(self, device):
        X, _ = blobs()
        estimator = make(FlowMixtureDensity, device, weights_init=[3, 1], learn_weights=False).fit(X)
        np.testing.assert_allclose(estimator.weights_, [0.75, 0.25], rtol=1e-6)

    def test_weights_init_is_the_start_where_weights_are_learned(self, device):
        X, _ = blobs()
        estimator = make(FlowMixtureDensity, device, weights_init=[3, 1], learning_rate_init=1e-6).fit(X)
        np.testing.assert_allclose(estimator.weights_, [0.75, 0.25], rtol=1e-3)

    @every_estimator
    def test_weights_that_are_not_learned_are_uniform(self, estimator_class, device):
        X, code = blobs(150)
        estimator = make(estimator_class, device, learn_weights=False).fit(X, (code > 0).astype(int))
        np.testing.assert_allclose(estimator.weights_, np.full(estimator.n_components_, 1 / estimator.n_components_))

    def test_warm_start_heeds_learn_weights(self, device):
        X, _ = moons()
        estimator = make(FlowMixtureDensity, device, max_iter=1).fit(X)
        weights, bound = estimator.weights_, estimator.lower_bound_
        estimator.set_params(warm_start=True, learn_weights=False, max_iter=10, learning_rate_init=0.02).fit(X)
        assert estimator.lower_bound_ > bound
        np.testing.assert_allclose(estimator.weights_, weights, rtol=1e-6)

    def test_best_restart_is_kept(self, device):
        X = StandardScaler().fit_transform(moons(150)[0])
        estimator = make(FlowMixtureDensity, device, n_init=3, init_params="random", max_iter=8).fit(X)
        scores = np.array(estimator.history_.validation_score)
        assert scores.shape == (len(estimator.lower_bounds_), 3)
        assert len(set(scores.max(0))) == 3
        kept = [np.allclose(estimator.lower_bounds_, column) for column in scores.T]
        assert sum(kept) == 1
        assert estimator.lower_bound_ >= scores.max() - 1e-12  # which are sums of the same in another order
        assert estimator.mixture_.n_restarts == 1

    def test_one_of_several_restarts_stands_alone(self, device):
        X, _ = moons()
        estimator = make(FlowMixtureDensity, device, n_init=3).fit(X)
        assert estimator.mixture_.n_restarts == 1
        assert estimator.weights_.shape == (2,)
        assert estimator.sample(5)[0].shape == (5, 2)


class TestTraining:
    @pytest.mark.parametrize("reg_covar", [1e-2, 1e-4])
    def test_reg_covar_is_the_least_variance(self, reg_covar, device):
        X = np.random.RandomState(0).normal(size=(200, 1)).repeat(2, 1)
        estimator = make(FlowMixtureDensity, device, n_components=1, flow="affine", reg_covar=reg_covar, max_iter=20)
        drawn, _ = estimator.fit(X).sample(2000)
        variance = np.var((drawn[:, 0] - drawn[:, 1]) / np.sqrt(2))
        assert 0.5 * reg_covar < variance / X.var() < 4 * reg_covar

    @every_estimator
    def test_early_stopping_can_be_turned_off(self, estimator_class, device):
        X, y = moons()
        estimator = make(estimator_class, device, early_stopping=False, max_iter=3).fit(X, y)
        assert estimator.history_.validation_score == []
        assert estimator.history_.warm_up.validation_score == []
        assert estimator.n_iter_ == 3

    def test_fit_ends_in_its_best_state(self, device):
        X, _ = moons(150)
        estimator = make(FlowMixtureDensity, device, learning_rate_init=1.0, n_iter_no_change=100, max_iter=12).fit(X)
        best, last = estimator.lower_bound_, estimator.lower_bounds_[-1]
        assert last < best - 1e-3
        estimator.set_params(warm_start=True, learning_rate_init=1e-9, max_iter=1).fit(X)
        assert estimator.lower_bound_ == pytest.approx(best, abs=1e-4)

    def test_fit_ends_when_it_no_longer_improves(self, device):
        X, _ = blobs()
        estimator = make(FlowMixtureDensity, device, n_components=3, flow="affine", tol=1.0, n_iter_no_change=2)
        estimator.set_params(max_iter=100).fit(X)
        assert estimator.converged_
        assert estimator.n_iter_ < 100

    @pytest.mark.filterwarnings("default::sklearn.exceptions.ConvergenceWarning")
    def test_fit_says_when_max_iter_ends_it(self, device):
        X, _ = moons()
        estimator = make(FlowMixtureDensity, device, max_iter=1)
        with pytest.warns(ConvergenceWarning, match="max_iter=1"):
            estimator.fit(X)
        assert not estimator.converged_
        assert estimator.n_iter_ == 1

    def test_batch_size_is_heeded(self, device):
        X, _ = moons(100)
        full, auto, small = (
            make(FlowMixtureDensity, device, batch_size=size, early_stopping=False).fit(X).score_samples(X)
            for size in (100, "auto", 16)
        )
        np.testing.assert_array_equal(full, auto)
        assert np.isfinite(small).all()
        assert not np.array_equal(small, full)

    @every_estimator
    def test_double_precision_agrees_with_single(self, estimator_class, device):
        X, y = moons()
        single, double = (
            make(estimator_class, device, dtype=dtype, flow="affine").fit(X, y).score_samples(X)
            for dtype in ("float32", "float64")
        )
        np.testing.assert_allclose(single, double, atol=0.05)
        assert not np.array_equal(single, double)

    @every_estimator
    @pytest.mark.parametrize("n_calls", [2, 30])
    def test_interrupted_fit_keeps_the_best_state(self, estimator_class, n_calls, device, monkeypatch):
        calls = []
        log_joint = FlowMixture.restart_log_joint

        def interrupting(mixture, *args):
            calls.append(1)
            if len(calls) == n_calls:
                raise KeyboardInterrupt
            return log_joint(mixture, *args)

        monkeypatch.setattr(FlowMixture, "restart_log_joint", interrupting)
        X, y = moons()
        estimator = make(estimator_class, device, max_iter=50, init_params="random_from_data")
        with pytest.raises(KeyboardInterrupt):
            estimator.fit(X, y)
        assert estimator.history_.interrupted
        assert estimator.n_iter_ < 50
        assert not estimator.converged_
        assert np.isfinite(estimator.score_samples(X)).all()
        assert np.isfinite(estimator.sample(10)[0]).all()
        assert estimator.lower_bound_ >= max(estimator.lower_bounds_, default=-np.inf)

    def test_verbose_tells_of_every_iteration(self, device, capsys):
        estimator = make(FlowMixtureDensity, device, verbose=2).fit(moons()[0])
        told = capsys.readouterr().out.splitlines()
        assert sum(": iteration " in line for line in told) == estimator.n_iter_
        phases = [line for line in told if ": iteration " not in line and not line[0].isdigit()]
        assert [line.partition(",")[0] for line in phases] == ["Start", "Warm-up", "Training"]
        assert any(line.endswith(": rows that are held out") for line in told)

    @every_estimator
    def test_fit_is_silent_and_writes_no_files(self, estimator_class, device, capfd, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        X, y = moons()
        estimator = make(estimator_class, device).fit(X, y)
        estimator.predict(X)
        estimator.sample(3)
        assert capfd.readouterr() == ("", "")
        assert list(tmp_path.iterdir()) == []


class TestAttributes:
    @every_estimator
    def test_fit_sets_the_attributes_of_a_fit(self, estimator_class, device):
        X, y = moons()
        estimator = make(estimator_class, device, n_components=3).fit(X, y)
        n_components = 6 if estimator_class is FlowMixtureClassifier else 3
        assert estimator.n_components_ == n_components
        assert estimator.weights_.shape == (n_components,)
        assert estimator.weights_.sum() == pytest.approx(1)
        np.testing.assert_array_equal(estimator.classes_, [0, 1])
        assert 1 <= estimator.n_iter_ <= 4
        assert len(estimator.lower_bounds_) + len(estimator.history_.warm_up.training_score) == estimator.n_iter_
        assert np.isscalar(estimator.lower_bound_)
        assert np.isfinite(estimator.lower_bound_)
        assert estimator.converged_ in (True, False)
        assert len(estimator.history_.training_score) == len(estimator.lower_bounds_)
        assert isinstance(estimator.mixture_, torch.nn.Module)
        assert estimator.n_features_in_ == 2
        assert not hasattr(estimator, "feature_names_in_")

    @unsupervised
    def test_no_labels_are_no_classes(self, estimator_class, device):
        estimator = make(estimator_class, device).fit(moons()[0])
        assert not hasattr(estimator, "classes_")
        with pytest.raises(AttributeError, match="learned labels"):
            _ = estimator.classes_

    def test_clustering_alone_has_labels_of_the_training_rows(self, device):
        X, y = moons()
        labels = make(FlowMixtureClustering, device).fit(X).labels_
        assert labels.shape == (len(X),)
        assert labels.dtype.kind == "i"
        assert not hasattr(make(FlowMixtureClassifier, device).fit(X, y), "labels_")


@pytest.mark.parametrize(
    ("recipe", "n_classes", "start"),
    [(CLUSTERING, 0, automatic), (DENSITY, 0, soft), (DENSITY, 2, automatic), (CLASSIFICATION, 2, soft)],
)
def test_only_what_needs_no_clusters_starts_softly(recipe, n_classes, start):
    assert recipe.automatic(n_classes) is start
