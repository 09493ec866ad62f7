"""Ctrl-C: the best state is kept where there is one, the interruption goes on, and no other step is taken."""

import numpy as np
import pytest
from sklearn.datasets import make_blobs
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV

from skflowmix import FlowMixtureClassifier, FlowMixtureClustering, FlowMixtureDensity
from skflowmix.fitting import choice
from skflowmix.training.loop import Run

X, Y = make_blobs(120, centers=[(0, 0), (6, 0)], random_state=0)
FAST = {"n_components": 3, "n_layers": 1, "hidden_layer_sizes": (4,), "max_iter": 20, "random_state": 0}
FITS = {
    "clusters": (FlowMixtureClustering, {}),
    "density": (FlowMixtureDensity, {"init_params": "random_from_data", "n_init": 2}),
    "em": (FlowMixtureClustering, {"solver": "em"}),
    "hard em": (FlowMixtureDensity, {"solver": "hard-em", "init_params": "random_from_data"}),
    "amortized": (FlowMixtureClustering, {"posterior": "amortized"}),
    "pruning": (FlowMixtureDensity, {"weight_concentration_prior": 0.1, "n_components": 5, "init_params": "kmeans"}),
    "classes": (FlowMixtureClassifier, {"n_components": 2}),
}
each_fit = pytest.mark.parametrize("name", FITS)


def make(name, device):
    estimator_class, parameters = FITS[name]
    return estimator_class(**FAST | parameters, device=device)


def count_iterations(monkeypatch, interrupted_one=None):
    """Count the iterations of all phases from now on; the chosen one is interrupted."""
    begun, iterate = [], Run.iterate

    def counted(run):
        begun.append(run)
        if len(begun) == interrupted_one:
            raise KeyboardInterrupt
        return iterate(run)

    monkeypatch.setattr(Run, "iterate", counted)
    return begun


@pytest.mark.filterwarnings("ignore:The fit still improved:sklearn.exceptions.ConvergenceWarning")
@each_fit
def test_every_phase_stops_at_once_and_keeps_its_best_state(name, device):
    with pytest.MonkeyPatch.context() as patch:
        begun = count_iterations(patch)
        make(name, device).fit(X, Y)
    n_iterations = len(begun)
    for share in (0, 0.25, 0.5, 0.75, 1):
        interrupted = max(round(share * n_iterations), 1)
        model = make(name, device)
        with pytest.MonkeyPatch.context() as patch:
            begun = count_iterations(patch, interrupted)
            with pytest.raises(KeyboardInterrupt):
                model.fit(X, Y)
        assert len(begun) == interrupted
        assert model.history_.interrupted
        assert np.isfinite(model.score_samples(X)).all()
        assert np.isfinite(model.sample(10)[0]).all()


def interrupt(*args, **kwargs):
    raise KeyboardInterrupt


@each_fit
def test_before_there_is_a_state_nothing_is_kept(name, device, monkeypatch):
    model = make(name, device)
    monkeypatch.setattr("skflowmix.fitting.fit.new_mixture", interrupt)
    with pytest.raises(KeyboardInterrupt):
        model.fit(X, Y)
    with pytest.raises(NotFittedError):
        model.predict(X)


def test_the_choice_of_a_state_stops_too(device, monkeypatch):
    monkeypatch.setattr(choice, "weigh", interrupt)
    model = make("clusters", device)
    with pytest.raises(KeyboardInterrupt):
        model.fit(X)
    assert model.history_.interrupted
    assert np.isfinite(model.score_samples(X)).all()


def test_a_search_ends(device, monkeypatch):
    """Where `fit` kept the interruption to itself, a search went on and scored what was cut off."""
    begun = count_iterations(monkeypatch, 2)
    search = GridSearchCV(make("density", device), {"n_components": [1, 2, 3]}, cv=2)
    with pytest.raises(KeyboardInterrupt):
        search.fit(X)
    assert len(begun) == 2
    assert not hasattr(search, "best_estimator_")
