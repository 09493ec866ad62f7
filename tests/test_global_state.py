"""What is global to a program, torch, numpy or warnings, neither decides a fit nor is changed by one."""

import threading
import warnings
from contextlib import contextmanager

import numpy as np
import pytest
import torch
from sklearn.datasets import make_moons
from sklearn.exceptions import ConvergenceWarning
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skflowmix import FlowMixtureClassifier, FlowMixtureClustering, FlowMixtureDensity

X, Y = make_moons(120, noise=0.07, random_state=0)
FAST = {"n_layers": 1, "hidden_layer_sizes": (4,), "max_iter": 3, "random_state": 0}
every_estimator = pytest.mark.parametrize(
    "estimator_class", [FlowMixtureClustering, FlowMixtureDensity, FlowMixtureClassifier]
)
quiet = pytest.mark.filterwarnings("ignore:The fit still improved:sklearn.exceptions.ConvergenceWarning")


@contextmanager
def no_gradients_at_all():
    torch.set_grad_enabled(False)
    yield
    torch.set_grad_enabled(True)


@contextmanager
def default_device():
    torch.set_default_device("meta")
    yield
    torch.set_default_device(None)


STATES = {
    "no_grad": torch.no_grad,
    "inference_mode": torch.inference_mode,
    "set_grad_enabled": no_gradients_at_all,
    "autocast": lambda: torch.autocast("cpu", dtype=torch.bfloat16),
    "default device": default_device,
    "numpy errors": lambda: np.errstate(all="raise"),
}


def fit_and_ask(estimator_class, device, **parameters):
    model = estimator_class(2, device=device, **FAST | parameters).fit(X, Y)
    return [model.score_samples(X), model.predict_proba(X), *model.sample(20), model.component_log_prob(X)]


def assert_same_in(state, *fit, **parameters):
    expected = fit_and_ask(*fit, **parameters)
    with state():
        found = fit_and_ask(*fit, **parameters)
    for one, other in zip(expected, found, strict=True):
        np.testing.assert_array_equal(one, other)


@quiet
@every_estimator
@pytest.mark.parametrize("name", STATES)
def test_the_callers_state_decides_nothing(estimator_class, name, device):
    assert_same_in(STATES[name], estimator_class, device)


@quiet
@pytest.mark.parametrize("name", ["inference_mode", "autocast", "default device"])
@pytest.mark.parametrize("parameters", [{"solver": "em"}, {"posterior": "amortized"}, {"flow": "maf"}], ids=str)
def test_the_callers_state_decides_nothing_of_other_fits(parameters, name, device):
    assert_same_in(STATES[name], FlowMixtureDensity, device, **parameters)


@quiet
@every_estimator
def test_the_default_dtype_decides_no_more_than_the_last_digits(estimator_class, device):
    expected = fit_and_ask(estimator_class, device)
    torch.set_default_dtype(torch.float64)
    try:
        found = fit_and_ask(estimator_class, device)
    finally:
        torch.set_default_dtype(torch.float32)
    for one, other in zip(expected, found, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-3, atol=1e-3)


@quiet
def test_the_callers_state_is_left_as_found(device):
    with torch.no_grad(), torch.autocast("cpu"), np.errstate(over="raise", under="call"):
        before = np.geterr(), torch.is_grad_enabled(), torch.is_autocast_enabled("cpu"), torch.get_rng_state().tolist()
        fit_and_ask(FlowMixtureDensity, device)
        after = np.geterr(), torch.is_grad_enabled(), torch.is_autocast_enabled("cpu"), torch.get_rng_state().tolist()
    assert before == after


def filters_of_warnings():
    """The filters by their contents; scikit-learn compiles the patterns of some."""

    def pattern(text):
        return getattr(text, "pattern", text)

    return {(how, pattern(text), kind, pattern(module), line) for how, text, kind, module, line in warnings.filters}


def in_threads(function, n_threads=4):
    errors = []

    def run(i):
        try:
            function(i)
        except Exception as error:
            errors.append(error)

    threads = [threading.Thread(target=run, args=(i,)) for i in range(n_threads)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []


@quiet
def test_filters_of_warnings_are_left_as_found_by_fits_that_overlap(device):
    """Contexts that set the filters back are not safe here: one thread's end restores what another one had set.

    scikit-learn's checks of arrays and labels have such contexts, which make errors of a few warnings.
    """
    before, n_threads = filters_of_warnings(), torch.get_num_threads()

    def fit(i):
        FlowMixtureClustering("auto" if i == 0 else 2, device=device, **FAST | {"random_state": i}).fit(X)
        FlowMixtureClassifier(2, device=device, **FAST | {"random_state": i}).fit(
            X, np.where(np.arange(120) < 9, Y, -1)
        )

    in_threads(fit)
    after = filters_of_warnings()
    assert {action for action, *_ in after - before} <= {"error"}
    assert before <= after
    assert torch.get_num_threads() == n_threads


@every_estimator
@pytest.mark.parametrize("wrap", [lambda model: model, lambda model: make_pipeline(StandardScaler(), model)])
def test_a_warning_comes_once_and_points_at_the_users_line(estimator_class, wrap, device):
    model = wrap(estimator_class(2, device=device, **FAST | {"max_iter": 1}))
    with pytest.warns(ConvergenceWarning) as caught:
        model.fit(X, Y)
    assert [warning.filename for warning in caught] == [__file__]
    assert "max_iter" in str(caught[0].message)
