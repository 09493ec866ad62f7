"""A fit happens at once or not at all: one that fails leaves the estimator as it was."""

import threading

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.datasets import make_moons

from skflowmix import FlowMixtureClassifier, FlowMixtureClustering, FlowMixtureDensity
from skflowmix.training.loop import Run

pytestmark = pytest.mark.filterwarnings("ignore:The fit still improved:sklearn.exceptions.ConvergenceWarning")
every_estimator = pytest.mark.parametrize(
    "estimator_class", [FlowMixtureClustering, FlowMixtureDensity, FlowMixtureClassifier]
)

X, Y = make_moons(60, noise=0.1, random_state=0)
FRAME = pd.DataFrame(X, columns=["width", "height"])


def fitted(estimator_class, device):
    model = estimator_class(
        3, flow="realnvp", n_layers=1, hidden_layer_sizes=(4,), max_iter=2, device=device, random_state=0
    )
    if estimator_class is not FlowMixtureClassifier:
        model.set_params(labels="all")
    return model.fit(FRAME, Y)


def interrupt(*args):
    raise KeyboardInterrupt


def fail(*args):
    raise ZeroDivisionError


# What is set before the refit, what it is given, and what it raises.
FAILURES = {
    "NaN": ({}, (np.where(X > 1, np.nan, X), Y), ValueError),
    "one row": ({}, (X[:1], Y[:1]), ValueError),
    "one distinct row": ({}, (np.ones((5, 2)), np.zeros(5)), ValueError),
    "one dimension": ({}, (X[:, 0], Y), ValueError),
    "y of another length": ({}, (X, Y[1:]), ValueError),
    "continuous y": ({}, (X, X[:, 0]), ValueError),
    "y of mixed types": ({}, (X, np.array([0, "a"] * 30, dtype=object)), ValueError),
    "negative weights": ({}, (X, Y, -np.ones(60)), ValueError),
    "no positive weight": ({}, (X, Y, np.zeros(60)), ValueError),
    "more classes than flows": ({"flow": ["nsf"] * 3}, (X, np.arange(60) % 5), ValueError),
    "a spread beyond double precision": ({}, (X * 8e307, Y), ValueError),
    "unknown flow": ({"flow": "nonsense"}, (X, Y), ValueError),
    "a list of too many flows": ({"flow": ["nsf"] * 9}, (X, Y), ValueError),
    "a flow that is none": ({"flow": lambda n_components, n_features: torch.nn.Identity()}, (X, Y), ValueError),
    "a flow that raises": ({"flow": fail}, (X, Y), ZeroDivisionError),
    "solver and posterior": ({"solver": "em", "posterior": "amortized"}, (X, Y), ValueError),
    "weights_init": ({"weights_init": [1.0]}, (X, Y), ValueError),
    "init_params of another shape": ({"init_params": np.ones((3, 2))}, (X, Y), ValueError),
    "init_params that return another shape": ({"init_params": lambda *_: np.ones(3)}, (X, Y), ValueError),
    "init_params that raise": ({"init_params": fail}, (X, Y), ZeroDivisionError),
    "Ctrl-C in the start": ({"init_params": interrupt}, (X, Y), KeyboardInterrupt),
    "device": ({"device": "cuda:99"}, (X, Y), ValueError),
    "warm start of other width": ({"warm_start": True}, (X[:, :1], Y), ValueError),
    "warm start of other components": ({"warm_start": True, "n_components": 4}, (X, Y), ValueError),
    "warm start of other layers": ({"warm_start": True, "n_layers": 2}, (X, Y), ValueError),
    "warm start of more classes": ({"warm_start": True}, (X, np.arange(60) % 5), ValueError),
}


def state(model):
    """All fitted attributes, as objects and by their contents, and predictions."""
    fitted_names = [name for name in dir(model) if name.endswith("_") and not name.startswith("_")]
    attributes = {name: getattr(model, name) for name in fitted_names if hasattr(model, name)}
    own = {name: id(value) for name, value in vars(model).items() if name not in model.get_params()}
    contents = {name: str(vars(value) if name == "history_" else value) for name, value in attributes.items()}
    tensors = torch.cat([tensor.flatten() for tensor in model.mixture_.state_dict().values()]).cpu().numpy()
    answers = [model.predict(FRAME), model.predict_proba(FRAME), model.score_samples(FRAME), *model.sample(5)]
    return own, contents, [tensors, *answers]


def assert_same(before, after):
    assert before[:2] == after[:2]
    for one, other in zip(before[2], after[2], strict=True):
        np.testing.assert_array_equal(one, other)


@every_estimator
@pytest.mark.parametrize("failure", FAILURES)
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_refit_that_fails_changes_nothing(estimator_class, failure, device):
    changes, arguments, error = FAILURES[failure]
    model = fitted(estimator_class, device)
    before = state(model)
    with pytest.raises(error):
        model.set_params(**changes).fit(*arguments)
    assert_same(before, state(model))


@every_estimator
@pytest.mark.parametrize("step", ["iterate", "finish"])
def test_refit_that_fails_in_training_changes_nothing(estimator_class, step, device, monkeypatch):
    model = fitted(estimator_class, device)
    before = state(model)
    monkeypatch.setattr(Run, step, fail)
    with pytest.raises(ZeroDivisionError):
        model.fit(X + 5, Y)
    assert_same(before, state(model))


@every_estimator
@pytest.mark.parametrize("failure", [name for name in FAILURES if "warm start" not in name])
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_first_fit_that_fails_leaves_no_trace(estimator_class, failure, device):
    changes, arguments, error = FAILURES[failure]
    any_labels = {} if estimator_class is FlowMixtureClassifier else {"labels": "all"}
    model = estimator_class(3, max_iter=1, random_state=0).set_params(**{"device": device, **any_labels, **changes})
    before = dict(vars(model))
    with pytest.raises(error):
        model.fit(*arguments)
    assert vars(model) == before


@every_estimator
def test_refit_leaves_nothing_of_the_fit_before(estimator_class, device):
    model = fitted(estimator_class, device).set_params(n_components="auto")
    model.fit(FRAME, Y)
    assert hasattr(model, "n_components_scores_")
    model.set_params(n_components=2).fit(X, Y)
    assert not hasattr(model, "feature_names_in_")
    assert not hasattr(model, "n_components_scores_")


def test_what_others_keep_on_an_estimator_outlives_a_fit(device):
    model = fitted(FlowMixtureDensity, device)
    model._note = "of a metaestimator"
    model.fit(X)
    assert model._note == "of a metaestimator"


def test_a_thread_that_predicts_during_refits_sees_one_fit_or_the_other(device):
    """Refits by turns on rows of two widths and scales: no answer is of neither, and none is raw."""
    narrow, wide = X, np.column_stack([1000 * X, X]) + 5
    model = fitted(FlowMixtureClassifier, device)
    answers = []
    for rows in (narrow, wide):
        model.fit(rows, Y)
        answers.append(model.predict_proba(rows))
    wrong, done = [], threading.Event()

    def predict():
        while not done.is_set():
            for rows, answer in zip((narrow, wide), answers, strict=True):
                try:
                    found = model.predict_proba(rows)
                except ValueError as error:
                    if "features as input" not in str(error):
                        wrong.append(str(error))
                else:
                    if not np.array_equal(found, answer):
                        wrong.append(found)

    threads = [threading.Thread(target=predict) for _ in range(2)]
    for thread in threads:
        thread.start()
    for turn in range(6):
        model.fit((narrow, wide)[turn % 2], Y)
    done.set()
    for thread in threads:
        thread.join()
    assert wrong == []
