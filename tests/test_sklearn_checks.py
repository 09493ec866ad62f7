"""scikit-learn's own checks of the estimators, none of them expected to fail."""

import os
from unittest import SkipTest

import pytest
from sklearn.base import clone
from sklearn.utils.estimator_checks import parametrize_with_checks

from skflowmix import (
    FlowAutoencoder,
    FlowAutoencoderClassifier,
    FlowMixtureClassifier,
    FlowMixtureClustering,
    FlowMixtureDensity,
)

CHEAP = {"n_components": 2, "n_layers": 1, "hidden_layer_sizes": (8,), "max_iter": 5}
AMORTIZED = {"posterior": "amortized", "max_iter": 10}  # its network begins with no knowledge of the classes


@pytest.mark.filterwarnings("ignore:The fit still improved after max_iter:sklearn.exceptions.ConvergenceWarning")
@parametrize_with_checks(
    [
        *(
            estimator_class(**CHEAP | posterior)
            for estimator_class in (FlowMixtureClustering, FlowMixtureClassifier)
            for posterior in ({}, AMORTIZED)
        ),
        FlowMixtureDensity(**CHEAP, n_estimators=2),
        FlowMixtureDensity(**CHEAP | AMORTIZED),
        FlowMixtureClustering(**CHEAP, solver="em"),
        FlowMixtureClassifier(**CHEAP, solver="hard-em"),
        FlowAutoencoder(2, hidden_layer_sizes=(8,), max_iter=5),
        FlowAutoencoder(2, hidden_layer_sizes=(8,), max_iter=5, posterior="iaf", prior="flow-mixture", n_components=2),
        FlowAutoencoderClassifier(2, hidden_layer_sizes=(8,), max_iter=10, learning_rate_init=5e-2),
    ]
)
def test_estimator_passes_the_check(estimator, check, device):
    pytest.importorskip("pandas")
    try:
        check(clone(estimator).set_params(device=device))
    except SkipTest as reason:
        if os.environ.get("SCIPY_ARRAY_API") == "1":
            pytest.fail(f"skipped although everything that the checks need is here: {reason}")
        raise
