"""Weights of rows, whatever their unit."""

import numpy as np
import pytest
from sklearn.datasets import make_blobs, make_moons

from skflowmix import FlowMixtureClassifier, FlowMixtureClustering, FlowMixtureDensity
from skflowmix.fitting.rows import effective_weights

X, Y = make_moons(100, noise=0.1, random_state=0)
FAST = {"n_layers": 1, "hidden_layer_sizes": (4,), "max_iter": 5, "random_state": 0}
WEIGHT = np.random.RandomState(0).randint(1, 4, 100).astype(float)
FITS = [
    (FlowMixtureClustering, {}),
    (FlowMixtureClustering, {"n_components": "auto"}),
    (FlowMixtureDensity, {"solver": "em"}),
    (FlowMixtureDensity, {"posterior": "amortized"}),
    (FlowMixtureDensity, {"weight_concentration_prior": 0.1, "n_components": 5}),
    (FlowMixtureClassifier, {}),
]
pytestmark = pytest.mark.filterwarnings("ignore:The fit still improved:sklearn.exceptions.ConvergenceWarning")


@pytest.mark.parametrize(("estimator_class", "parameters"), FITS)
@pytest.mark.parametrize("unit", [2.0**-30, 2.0**-7, 2.0**20])
def test_the_unit_of_the_weights_decides_nothing(estimator_class, parameters, unit, device):
    model = estimator_class(**{"n_components": 2, **FAST, **parameters}, device=device)
    expected = model.fit(X, Y, sample_weight=WEIGHT).score_samples(X)
    np.testing.assert_array_equal(model.fit(X, Y, sample_weight=unit * WEIGHT).score_samples(X), expected)


def test_weights_that_sum_to_one_are_pruned_as_others(device):
    X, _ = make_blobs(300, centers=3, cluster_std=0.6, random_state=2)
    model = FlowMixtureDensity(6, weight_concentration_prior=0.1, device=device, random_state=0, max_iter=60)
    plain = model.fit(X)
    n_components, score = plain.n_components_, plain.score(X)
    weighted = model.fit(X, sample_weight=np.full(300, 1 / 300))
    assert weighted.n_components_ == n_components
    assert weighted.score(X) == pytest.approx(score, abs=1e-3)


@pytest.mark.parametrize(
    "weight", [np.full(100, 1e38), np.full(100, 1e-46), np.where(np.arange(100) == 0, 1e300, 1.0)], ids=str
)
@pytest.mark.parametrize("estimator_class", [FlowMixtureClustering, FlowMixtureDensity, FlowMixtureClassifier])
def test_absurd_weights_are_an_error(estimator_class, weight, device):
    with pytest.raises(ValueError, match="sample_weight must hold"):
        estimator_class(2, device=device, **FAST).fit(X, Y, sample_weight=weight)


@pytest.mark.parametrize("unit", [1e-9, 1.0, 1e9])
def test_effective_weights_sum_to_the_number_of_equal_rows_that_tell_as_much(unit):
    assert effective_weights(np.full(7, unit)).sum() == pytest.approx(7)
    assert effective_weights(unit * np.array([1.0, 1.0, 1e-9])).sum() == pytest.approx(2)
    weight = unit * np.array([1.0, 2.0, 3.0])
    assert effective_weights(weight).sum() == pytest.approx(36 / 14)
    np.testing.assert_allclose(effective_weights(weight) / effective_weights(weight)[0], [1, 2, 3])


@pytest.mark.parametrize("weights_init", [[1e308, 1e308], [1e-308, 1e308], [1.0, 3.0]])
def test_initial_weights_of_any_size(weights_init, device):
    model = FlowMixtureDensity(2, weights_init=weights_init, device=device, **FAST).fit(X)
    assert np.isfinite(model.weights_).all()
    assert np.isfinite(model.score_samples(X)).all()
