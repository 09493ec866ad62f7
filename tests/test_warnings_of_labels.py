"""What is said of labels is said once, at the user's line, where a user can do something about it."""

import warnings

import numpy as np
import pandas as pd
import pytest
from sklearn.exceptions import ConvergenceWarning, DataConversionWarning
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skflowmix import FlowAutoencoderClassifier, FlowMixtureClassifier, FlowMixtureClustering, FlowMixtureDensity

X = np.random.RandomState(0).standard_normal((30, 2))
FAST = {"n_layers": 1, "hidden_layer_sizes": (4,), "max_iter": 1, "random_state": 0}
SMALL = {"hidden_layer_sizes": (4,), "max_iter": 1, "random_state": 0}
pytestmark = pytest.mark.filterwarnings("ignore:The fit still improved:sklearn.exceptions.ConvergenceWarning")
classifiers = pytest.mark.parametrize(
    "make",
    [
        lambda device: FlowMixtureClassifier(device=device, **FAST),
        lambda device: make_pipeline(StandardScaler(), FlowMixtureClassifier(device=device, **FAST)),
        lambda device: FlowAutoencoderClassifier(1, device=device, likelihood="normal", **SMALL),
    ],
)


def places_of(caught):
    return [warning.filename for warning in caught if not issubclass(warning.category, ConvergenceWarning)]


@classifiers
def test_a_target_of_regression_is_doubted_once(make, device):
    with pytest.warns(UserWarning, match="y names 20 classes in 30 rows; if it is a target of regression") as caught:
        make(device).fit(X, np.arange(30) % 20)
    assert places_of(caught) == [__file__]


@pytest.mark.parametrize("estimator_class", [FlowMixtureClustering, FlowMixtureDensity, FlowMixtureClassifier])
def test_few_labels_are_no_target_of_regression(estimator_class, device):
    rows = np.random.RandomState(0).standard_normal((60, 2))
    with warnings.catch_warnings():
        warnings.filterwarnings("error", category=UserWarning)
        warnings.filterwarnings("ignore", "The fit still improved")
        estimator_class(24, device=device, **FAST).fit(rows, np.where(np.arange(60) < 24, np.arange(60), -1))


@classifiers
@pytest.mark.parametrize("column", [lambda y: y[:, None], lambda y: pd.DataFrame({"y": y})])
def test_a_column_of_labels_is_told_once(make, column, device):
    with pytest.warns(DataConversionWarning, match="column-vector") as caught:
        model = make(device).fit(X, column(np.arange(30) % 2))
    assert places_of(caught) == [__file__]
    assert model.predict(X).shape == (30,)
