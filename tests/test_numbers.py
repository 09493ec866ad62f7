"""Where numbers are asked for, what is none is said to be none, by its name."""

import numpy as np
import pytest
from sklearn.utils._param_validation import Interval

from skflowmix import (
    FlowAutoencoder,
    FlowAutoencoderClassifier,
    FlowMixtureClassifier,
    FlowMixtureClustering,
    FlowMixtureDensity,
    FlowMixturePosterior,
)
from skflowmix.fitting.numbers import as_floats

X = np.random.RandomState(0).standard_normal((30, 2))
FAST = {"n_layers": 1, "hidden_layer_sizes": (4,), "max_iter": 1, "random_state": 0}
ROWS = X, np.arange(30) % 2
ESTIMATORS = {
    FlowAutoencoder: ROWS,
    FlowAutoencoderClassifier: ROWS,
    FlowMixtureClassifier: ROWS,
    FlowMixtureClustering: ROWS,
    FlowMixtureDensity: ROWS,
    FlowMixturePosterior: (lambda theta: -theta.square().sum(1), 2),
}
NUMBERS = [
    (estimator_class, name)
    for estimator_class in ESTIMATORS
    for name, constraints in estimator_class._parameter_constraints.items()
    if any(isinstance(constraint, Interval) for constraint in constraints)
]
NO_NUMBERS = {
    "strings": "a",
    "digits": "1",
    "objects": object(),
    "complex numbers": 1j,
    "dates": np.datetime64("2026-01-01"),
}


@pytest.mark.parametrize(("estimator_class", "name"), NUMBERS)
def test_a_boolean_is_no_number(estimator_class, name):
    with pytest.raises(ValueError, match=f"{name}.* must be a (number|float).*True"):
        estimator_class(**{name: True}).fit(*ESTIMATORS[estimator_class])


@pytest.mark.parametrize("estimator_class", ESTIMATORS)
@pytest.mark.parametrize("sizes", [(10**9,), (10**5, 10**5), (np.int64(2**40),)])
def test_networks_that_no_memory_holds_are_not_begun(estimator_class, sizes):
    with pytest.raises(ValueError, match=r"hidden_layer_sizes=.* weights or more; 1e\+09 in all are allowed"):
        estimator_class(hidden_layer_sizes=sizes).fit(*ESTIMATORS[estimator_class])


@pytest.mark.parametrize("kind", NO_NUMBERS)
@pytest.mark.parametrize("estimator_class", [FlowMixtureClustering, FlowMixtureClassifier, FlowAutoencoderClassifier])
def test_weights_that_are_no_numbers(estimator_class, kind):
    with pytest.raises(ValueError, match="sample_weight must hold real numbers"):
        estimator_class().fit(*ROWS, sample_weight=[NO_NUMBERS[kind]] * 30)


@pytest.mark.parametrize("kind", NO_NUMBERS)
def test_responsibilities_that_are_no_numbers(kind, device):
    given = [[NO_NUMBERS[kind]] * 2] * 30
    for init_params in (given, lambda *_: given):
        with pytest.raises(ValueError, match=r"init_params.* must hold real numbers|array-like"):
            FlowMixtureClustering(2, init_params=init_params, device=device, **FAST).fit(X)


@pytest.mark.parametrize(
    "returned", [None, 1.0, [1.0, 2.0], np.ones(30), np.ones((30, 2, 1)), np.ones((0, 2)), np.full((30, 2), np.nan)]
)
def test_responsibilities_of_another_shape(returned, device):
    with pytest.raises(ValueError, match=r"init_params as a callable must return .* \(30, 2\); got shape"):
        FlowMixtureClustering(2, init_params=lambda *_: returned, device=device, **FAST).fit(X)


def test_numbers_of_any_kind_are_numbers():
    for values in ([1, 2], [True, False], np.float16([1, 2]), np.array([1, 2.5], dtype=object)):
        assert as_floats(values, "x").dtype == np.float64
