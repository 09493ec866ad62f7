"""Fitted estimators in other processes, however those are started."""

import multiprocessing

import numpy as np
import pytest
from sklearn.datasets import make_moons

from skflowmix import FlowMixtureClassifier, FlowMixtureClustering

X, Y = make_moons(400, noise=0.07, random_state=0)
FAST = {"n_layers": 1, "hidden_layer_sizes": (4,), "max_iter": 3, "random_state": 0, "device": "cpu"}
PATIENCE = 900  # seconds: a child that hangs is an error, not a wait
METHODS = [name for name in ("fork", "spawn", "forkserver") if name in multiprocessing.get_all_start_methods()]
pytestmark = [
    pytest.mark.filterwarnings("ignore:The fit still improved:sklearn.exceptions.ConvergenceWarning"),
    pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning"),  # Python 3.12 on fork
]


def predict(task):
    estimator, rows = task
    return estimator.predict_proba(rows)


def fit(seed):
    model = FlowMixtureClustering(
        2, **FAST | {"max_iter": 200, "n_iter_no_change": 1, "tol": 1.0, "random_state": seed}
    )
    return model.fit(X).score_samples(X)


def send_back(estimator, rows, queue):
    queue.put(estimator.predict_proba(rows))


@pytest.fixture(scope="module")
def many_rows():
    return np.tile(X, (100, 1))


@pytest.fixture
def fitted(many_rows):
    """Estimators that have fitted and predicted here, so that torch has done all that it does in this process."""
    models = FlowMixtureClustering(2, **FAST).fit(X), FlowMixtureClassifier(1, **FAST).fit(X, Y)
    for model in models:
        model.predict(many_rows)
    return models


@pytest.mark.parametrize("method", METHODS)
def test_children_of_a_pool_predict_and_fit(method, fitted, many_rows):
    with multiprocessing.get_context(method).Pool(2) as pool:
        answers = pool.map_async(predict, [(model, many_rows) for model in fitted]).get(PATIENCE)
        fits = pool.map_async(fit, [0, 1]).get(PATIENCE)
    for model, answer in zip(fitted, answers, strict=True):
        np.testing.assert_array_equal(answer, model.predict_proba(many_rows))
    for seed, scores in enumerate(fits):
        np.testing.assert_array_equal(scores, fit(seed))


@pytest.mark.parametrize("method", METHODS)
def test_an_estimator_is_an_argument_of_a_process(method, fitted):
    context = multiprocessing.get_context(method)
    queue = context.Queue()
    child = context.Process(target=send_back, args=(fitted[0], X, queue))
    child.start()
    answer = queue.get(timeout=PATIENCE)
    child.join(PATIENCE)
    assert child.exitcode == 0
    np.testing.assert_array_equal(answer, fitted[0].predict_proba(X))
