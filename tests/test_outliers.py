"""Outliers by their density, and rows of one component or class."""

import numpy as np
import pytest
from sklearn.datasets import make_blobs
from sklearn.metrics import roc_auc_score

from skflowmix import FlowMixtureClassifier, FlowMixtureClustering, FlowMixtureDensity

X, Y = make_blobs(100, centers=[[0, 0], [9, 0], [0, 9]], random_state=0)
QUICK = {"flow": "affine", "max_iter": 3, "random_state": 0}
pytestmark = pytest.mark.filterwarnings("ignore:The fit still improved:sklearn.exceptions.ConvergenceWarning")


@pytest.mark.parametrize("contamination", [0.01, 0.1, 0.5])
def test_that_share_of_the_training_rows_is_outlying(contamination, device):
    model = FlowMixtureDensity(3, contamination=contamination, device=device, **QUICK).fit(X)
    assert (model.predict_outliers(X) == -1).sum() == 100 * contamination
    np.testing.assert_array_equal(model.decision_function(X), model.score_samples(X) - model.offset_)
    np.testing.assert_array_equal(model.predict_outliers(X), np.where(model.decision_function(X) < 0, -1, 1))
    assert set(model.predict(X)) <= set(range(model.n_components_))  # as ever, components


def test_far_rows_are_outliers(device):
    model = FlowMixtureDensity(3, contamination=0.05, device=device, **QUICK).fit(X)
    assert model.predict_outliers([[50.0, 50.0], [9.0, 0.0]]).tolist() == [-1, 1]
    far = np.random.RandomState(0).uniform(-20, 30, size=(100, 2))
    assert roc_auc_score(np.repeat([1, 0], 100), model.decision_function(np.vstack([X, far]))) > 0.95


def test_a_weight_is_a_repetition(device):
    weight = np.where(np.arange(100) < 10, 3, 1)
    models = (
        FlowMixtureDensity(3, n_estimators=1, contamination=0.2, device=device, **QUICK).fit(X, sample_weight=weight),
        FlowMixtureDensity(3, n_estimators=1, contamination=0.2, device=device, **QUICK).fit(
            np.repeat(X, weight, axis=0)
        ),
    )
    assert models[0].offset_ == pytest.approx(models[1].offset_, abs=1e-12)


def test_without_a_share_there_are_none(device):
    model = FlowMixtureDensity(1, device=device, **QUICK).fit(X)
    assert not hasattr(model, "decision_function")
    assert not hasattr(model, "predict_outliers")
    for name in ("decision_function", "predict_outliers"):
        with pytest.raises(AttributeError, match=rf"{name} takes contamination, .*Density\(contamination=0.05\)"):
            getattr(model, name)
    with pytest.raises(AttributeError, match="contamination"):
        model.offset_  # noqa: B018
    with pytest.raises(AttributeError, match="after a fit with contamination"):
        model.set_params(contamination=0.1).predict_outliers(X)
    with pytest.raises(ValueError, match="'contamination' parameter"):
        FlowMixtureDensity(contamination=0.6).fit(X)


@pytest.mark.parametrize("parameters", [{}, {"n_shared_layers": 1, "flow": "realnvp", "n_layers": 1}])
@pytest.mark.parametrize("estimator", [FlowMixtureDensity, FlowMixtureClustering])
def test_rows_of_one_component(estimator, parameters, device):
    model = estimator(3, device=device, **QUICK | parameters).fit(X)
    drawn, component = model.sample(200, random_state=1, component=2)
    assert (component == 2).all()
    typical = np.exp(model.component_log_prob(drawn)[:, 2]) > 1e-6
    assert typical.all()
    again, _ = model.sample(200, random_state=1, component=np.int64(2))
    np.testing.assert_array_equal(drawn, again)


def test_rows_of_one_class(device):
    names = np.array(["a", "b", "c"])[Y]
    model = FlowMixtureClassifier(2, device=device, **QUICK).fit(X, names)
    drawn, label = model.sample(50, y="b")
    assert (label == "b").all()
    assert (model.predict(drawn) == "b").all()
    with pytest.raises(ValueError, match=r"one of the classes \['a', 'b', 'c'\], or None; got 'd'"):
        model.sample(y="d")


@pytest.mark.parametrize("component", [3, -1, "a", True, 0.0])
def test_components_that_there_are_not_are_an_error(component, device):
    model = FlowMixtureClustering(3, device=device, **QUICK).fit(X)
    with pytest.raises(ValueError, match="component"):
        model.sample(component=component)


@pytest.mark.parametrize("estimator", [FlowMixtureDensity, FlowMixtureClassifier])
def test_the_display_links_to_the_site(estimator):
    link = f"https://skflowmix.readthedocs.io/en/latest/api/skflowmix.{estimator.__name__}.html"
    assert link in estimator()._repr_html_()
