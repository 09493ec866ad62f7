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

from skflowmix import (
    FlowAutoencoder,
    FlowAutoencoderClassifier,
    FlowMixtureClassifier,
    FlowMixtureClustering,
    FlowMixtureDensity,
    FlowMixturePosterior,
)
from skflowmix.default_dtype import single_precision

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


@contextmanager
def default_dtype(dtype):
    torch.set_default_dtype(dtype)
    try:
        yield
        assert torch.get_default_dtype() == dtype
    finally:
        torch.set_default_dtype(torch.float32)


SMALL = {"hidden_layer_sizes": (4,), "max_iter": 2, "random_state": 0}
FITS = {
    "clusters": lambda device: FlowMixtureClustering(2, device=device, **FAST).fit(X),
    "few labels": lambda device: FlowMixtureClassifier(device=device, **FAST).fit(X, np.where(X[:, 0] > 1, Y, -1)),
    "double": lambda device: FlowMixtureDensity(2, device=device, dtype="float64", **FAST).fit(X),
    "amortized": lambda device: FlowMixtureDensity(2, device=device, posterior="amortized", **FAST).fit(X),
    "em": lambda device: FlowMixtureDensity(2, device=device, solver="em", n_estimators=1, **FAST).fit(X),
    "several flows": lambda device: FlowMixtureDensity(3, device=device, flow=["maf", "prelu", "planar"], **FAST).fit(
        X
    ),
    "posterior": lambda device: FlowMixturePosterior(2, device=device, **FAST).fit(
        lambda theta: -theta.square().sum(1), 2
    ),
    "autoencoder": lambda device: FlowAutoencoder(
        2, device=device, likelihood="normal", optimizer="adamax", **SMALL
    ).fit(X),
    "autoencoder of classes": lambda device: FlowAutoencoderClassifier(
        2, device=device, likelihood="normal", dropout=0.2, **SMALL
    ).fit(X, Y),
}


@quiet
@pytest.mark.filterwarnings("ignore:The bound still improved:sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("name", FITS)
def test_the_default_dtype_decides_nothing(name, device):
    def ask():
        model = FITS[name](device)
        rows = model.sample(20)
        probabilities = [model.predict_proba(X)] if hasattr(model, "predict_proba") else [model.score_samples(X)]
        return [*rows, *probabilities] if isinstance(rows, tuple) else [rows, *probabilities]

    expected = ask()
    for dtype in (torch.float64, torch.float16, torch.bfloat16):
        with default_dtype(dtype):
            found = ask()
        for one, other in zip(expected, found, strict=True):
            np.testing.assert_array_equal(one, other)


def test_a_log_density_has_the_callers_default_dtype(device):
    seen = set()

    def log_density(theta):
        seen.add(torch.ones(1).dtype)
        return -theta.square().sum(1)

    with default_dtype(torch.float64):
        FlowMixturePosterior(1, device=device, **FAST | {"max_iter": 200}).fit(log_density, 1)
    assert seen == {torch.float64}


@pytest.mark.parametrize(
    ("make", "dtype"),
    [
        (lambda: torch.zeros(2), torch.float32),
        (lambda: torch.tensor([[2.0]]), torch.float32),
        (lambda: torch.tensor(np.ones(2)), torch.float64),
        (lambda: torch.as_tensor(3), torch.int64),
        (lambda: torch.arange(3), torch.int64),
        (lambda: torch.arange(0.0, 1.0, 0.5), torch.float32),
        (lambda: torch.full((2,), 3), torch.int64),
        (lambda: torch.full((2,), float("nan")), torch.float32),
        (lambda: torch.ones(2, dtype=torch.float64), torch.float64),
        (lambda: torch.nn.Linear(2, 2).weight, torch.float32),
    ],
)
def test_what_has_no_dtype_is_single_for_a_while(make, dtype):
    with default_dtype(torch.float16):
        with single_precision():
            assert make().dtype == dtype
        assert torch.zeros(2).dtype == torch.float16


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
