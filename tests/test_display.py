"""scikit-learn's plots of decision boundaries."""

import matplotlib as mpl
import numpy as np
import pytest
from sklearn.datasets import make_moons
from sklearn.inspection import DecisionBoundaryDisplay
from sklearn.mixture import GaussianMixture

from skflowmix import FlowMixtureClassifier, FlowMixtureClustering, FlowMixtureDensity

mpl.use("Agg")
X, Y = make_moons(60, noise=0.1, random_state=0)
FAST = {"n_layers": 1, "hidden_layer_sizes": (4,), "max_iter": 3, "random_state": 0}
pytestmark = pytest.mark.filterwarnings("ignore:The fit still improved:sklearn.exceptions.ConvergenceWarning")


@pytest.fixture(autouse=True)
def closed_figures():
    import matplotlib.pyplot as plt

    yield
    plt.close("all")


def draw(model, response_method):
    return DecisionBoundaryDisplay.from_estimator(model, X, response_method=response_method, grid_resolution=8)


@pytest.mark.parametrize("response_method", ["auto", "predict", "predict_proba"])
@pytest.mark.parametrize("estimator_class", [FlowMixtureClustering, FlowMixtureClassifier])
def test_boundaries_are_drawn(estimator_class, response_method, device):
    display = draw(estimator_class(3, device=device, **FAST).fit(X, Y), response_method)
    assert np.isfinite(display.response).all()
    assert display.response.shape[:2] == (8, 8)


def test_the_boundary_between_two_clusters_is_drawn(device):
    model = FlowMixtureClustering(2, device=device, **FAST).fit(X)
    assert set(draw(model, "predict").response.ravel()) <= {0, 1}


def test_boundaries_between_components_of_a_density_are_drawn(device):
    model = FlowMixtureDensity(3, n_estimators=1, device=device, **FAST).fit(X)
    assert set(draw(model, "predict").response.ravel()) <= {0, 1, 2}


@pytest.mark.parametrize("response_method", ["auto", "predict_proba"])
def test_of_a_density_scikit_learn_draws_no_probabilities(response_method, device):
    """As of its own mixtures: it knows the number of columns of classifiers and clusterers alone."""
    models = GaussianMixture(3, random_state=0).fit(X), FlowMixtureDensity(3, device=device, **FAST).fit(X)
    for model in models:
        with pytest.raises(ValueError, match="cannot be inferred"):
            draw(model, response_method)


@pytest.mark.parametrize("estimator_class", [FlowMixtureClustering, FlowMixtureDensity, FlowMixtureClassifier])
def test_what_there_is_not_is_said_so(estimator_class, device):
    with pytest.raises(AttributeError, match="decision_function"):
        draw(estimator_class(2, device=device, **FAST).fit(X, Y), "decision_function")
