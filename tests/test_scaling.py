"""The units of the features: exact, and neither ruled by a few rows nor by an offset."""

import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.datasets import make_blobs

from skflowmix import FlowMixtureClustering, FlowMixtureDensity
from skflowmix.fitting.scaling import FeatureScaler

CHEAP = {"flow": "realnvp", "n_layers": 2, "hidden_layer_sizes": (8,), "max_iter": 10, "random_state": 0}
BLOBS, OF_BLOB = make_blobs(300, centers=[[0, 0], [8, 0]], random_state=0)
pytestmark = pytest.mark.filterwarnings("ignore:The fit still improved:sklearn.exceptions.ConvergenceWarning")


def draw(n_rows=500, n_features=2, seed=0):
    return np.random.RandomState(seed).standard_normal((n_rows, n_features))


def scaled(X, weight=None):
    return FeatureScaler.of(X, np.ones(len(X)) if weight is None else weight).transform(X)


class TestMap:
    def test_without_outlying_rows_it_is_standardisation(self):
        X = draw() * [3, 1e-4] + [7, 2]
        np.testing.assert_allclose(scaled(X), (X - X.mean(0)) / X.std(0), rtol=1e-9, atol=1e-9)

    def test_what_models_make_of_a_constant_feature_stays_near(self):
        """Draws of a model have noise there, too: a unit of it is one, and not a power of ten."""
        scaler = FeatureScaler.of(np.full((20, 1), 3.0), np.ones(20))
        np.testing.assert_allclose(
            scaler.inverse_transform(np.array([[-9.0], [0.0], [2.0], [5.0]])).ravel(), [-6, 3, 5, 8]
        )
        np.testing.assert_allclose(scaler.transform(np.array([[3.0], [8.0]])).ravel(), [0, 5])

    def test_weight_is_repetition(self):
        X, times = draw(60), np.random.RandomState(1).randint(1, 4, 60)
        repeated = FeatureScaler.of(np.repeat(X, times, axis=0), np.ones(times.sum()))
        np.testing.assert_allclose(scaled(X, times.astype(float)), repeated.transform(X), rtol=1e-12, atol=1e-12)

    @pytest.mark.parametrize("far", [1e2, 1e4, 1e8, 1e100, 1e300])
    @pytest.mark.parametrize("share", [1 / 501, 0.1, 0.19])
    def test_outlying_rows_count_as_if_they_were_near(self, far, share):
        X = draw(500, 1)
        n_far = round(500 * share / (1 - share))
        with_far = scaled(np.vstack([X, np.full((n_far, 1), far)]))
        with_near = scaled(np.vstack([X, np.full((n_far, 1), 90.0)]))
        np.testing.assert_allclose(with_far[:500], with_near[:500], rtol=1e-9, atol=1e-9)
        assert with_far[:500].std() > 0.05
        assert np.isfinite(with_far).all()
        assert (with_far[500:] > with_far[:500].max()).all()

    @given(log_unit=st.integers(-299, 290), seed=st.integers(0, 100), heavy=st.booleans())
    @settings(deadline=None, max_examples=60)
    def test_units_do_not_matter(self, log_unit, seed, heavy):
        rng = np.random.RandomState(seed)
        X = (rng.standard_cauchy((100, 1)) if heavy else rng.standard_normal((100, 1))) * 0.5**20
        unit = 2.0 ** round(log_unit * np.log2(10))
        np.testing.assert_allclose(scaled(X * unit), scaled(X), rtol=1e-10, atol=1e-10)

    @pytest.mark.parametrize(("offset", "spread"), [(1.7e9, 1e-4), (2.46e6, 1e-6), (-1e15, 3.0), (1e300, 1e290)])
    def test_offsets_do_not_matter(self, offset, spread):
        X = offset + spread * draw(500, 1)
        assert scaled(X).std() == pytest.approx(1, rel=1e-6)
        assert abs(scaled(X).mean()) < 1e-6

    @pytest.mark.parametrize("column", [np.full(50, 3.0), np.full(50, 1e-320), np.zeros(50)])
    def test_constant_column_is_nought(self, column):
        assert (scaled(column[:, None]) == 0).all()

    def test_what_hardly_any_weight_deviates_is_not_infinitely_far(self):
        X = draw(3, 2)
        assert np.abs(scaled(X, np.array([1e-10, 1e-10, 1e13]))).max() < 1e5

    @pytest.mark.parametrize("other", [1 + 1e-15, 0.0, 1e-165, 1e200])
    def test_two_values_have_unit_variance(self, other):
        column = np.where(np.arange(40) % 4 == 0, other, 1.0)
        assert scaled(column[:, None]).std() == pytest.approx(1, rel=1e-6)

    @pytest.mark.parametrize(
        "column", [np.array([-1.7e308, 1.7e308] * 20), 1e-320 * np.arange(40.0), np.tile([-9e307, 0, 0.1, 9e307], 10)]
    )
    def test_what_double_precision_cannot_hold_names_the_column(self, column):
        with pytest.raises(ValueError, match="Feature 1 of X"):
            scaled(np.column_stack([np.arange(40.0), column]))

    @given(seed=st.integers(0, 100), exponent=st.floats(-3, 30))
    @settings(deadline=None, max_examples=40)
    def test_inverse_and_determinant(self, seed, exponent):
        rng = np.random.RandomState(seed)
        X = rng.standard_cauchy((200, 3)) * [1, 10, 1e-3]
        scaler = FeatureScaler.of(X, np.ones(200))
        new = rng.standard_cauchy((50, 3)) * 10**exponent
        Z, log_det = scaler.transform_and_log_det(new)
        np.testing.assert_allclose(scaler.inverse_transform(Z), new, rtol=1e-9, atol=1e-9 * 10**exponent)
        step = 1e-6 * np.abs(new) + 1e-12
        slopes = (scaler.transform(new + step) - scaler.transform(new - step)) / (2 * step)
        np.testing.assert_allclose(np.log(slopes).sum(1), log_det, rtol=1e-3, atol=2e-3)

    def test_is_increasing_as_far_as_numbers_go(self):
        scaler = FeatureScaler.of(draw(100, 1), np.ones(100))
        line = np.concatenate([-np.logspace(300, -3, 200), np.logspace(-3, 300, 200)])[:, None]
        Z = scaler.transform(line)
        assert np.isfinite(Z).all()
        assert (np.diff(Z[:, 0]) > 0).all()


class TestFits:
    @pytest.mark.parametrize("distance", [100, 1e4, 1e6, 1e12, 1e300])
    @pytest.mark.parametrize("where", [(1, 1), (1, 0), (0, -1)])
    def test_a_far_row_hides_no_cluster_and_lowers_no_density(self, distance, where, device):
        X = np.vstack([BLOBS, distance * np.array(where)])
        density = FlowMixtureDensity(2, device=device, **CHEAP)
        alone = density.fit(BLOBS).score_samples(BLOBS).mean()
        assert abs(density.fit(X).score_samples(BLOBS).mean() - alone) < 0.2
        labels = FlowMixtureClustering(2, device=device, **CHEAP).fit(X).labels_[:300]
        assert np.mean((labels == labels[0]) == (OF_BLOB[0] == OF_BLOB)) > 0.98

    @pytest.mark.parametrize("code", [-9999.0, 1e6])
    def test_codes_for_missing_values_hide_no_cluster(self, code, device):
        X = BLOBS.copy()
        X[::10, 1] = code
        labels = FlowMixtureClustering(3, device=device, **CHEAP).fit(X).labels_
        whole = X[:, 1] != code
        assert np.mean((labels == labels[whole][0])[whole] == (OF_BLOB[whole][0] == OF_BLOB)[whole]) > 0.98

    @pytest.mark.parametrize(
        ("offset", "unit"), [(1.7e9, 1e-4), (2.46e6, 1e-3), (0.0, 1e-165), (0.0, 1e200), (0.0, 1e-290)]
    )
    def test_density_is_equivariant(self, offset, unit, device):
        density = FlowMixtureDensity(2, device=device, **CHEAP)
        X = BLOBS * unit + offset
        rows = (X - offset) / unit  # as they were recorded: rounding may change their order, and so which are held out
        plain = density.fit(rows).score_samples(rows)
        found = density.fit(X).score_samples(X) + 2 * np.log(unit)
        np.testing.assert_allclose(found, plain, atol=0.05)
        assert np.abs(density.sample(100)[0] - offset).max() < 50 * unit

    def test_density_with_heavy_tails_integrates_to_one(self, device):
        X = np.random.RandomState(0).standard_cauchy((400, 1))
        density = FlowMixtureDensity(2, device=device, **CHEAP).fit(X)
        grid = np.sinh(np.linspace(-40, 40, 40_001))
        assert np.trapezoid(np.exp(density.score_samples(grid[:, None])), grid) == pytest.approx(1, abs=1e-3)

    def test_scores_are_in_the_units_of_the_rows_that_have_been_scored(self, device):
        X = np.random.RandomState(0).standard_cauchy((300, 2)) * 1e3
        density = FlowMixtureDensity(2, device=device, early_stopping=False, **CHEAP | {"max_iter": 3})
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            density.fit(X)
        assert density.lower_bound_ == pytest.approx(density.score(X), abs=0.5)
