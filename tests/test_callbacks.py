"""scikit-learn's callbacks hear of every fit, may end it, and change nothing of it."""

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.datasets import make_moons
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skflowmix import (
    FlowAutoencoder,
    FlowMixtureClassifier,
    FlowMixtureClustering,
    FlowMixtureDensity,
    FlowMixturePosterior,
)

callback = pytest.importorskip("sklearn.callback", reason="scikit-learn has callbacks from 1.9 on")
X, Y = make_moons(60, noise=0.1, random_state=0)
QUICK = {"n_layers": 1, "hidden_layer_sizes": (4,), "max_iter": 4, "random_state": 0}
pytestmark = [
    pytest.mark.filterwarnings("ignore:The fit still improved:sklearn.exceptions.ConvergenceWarning"),
    pytest.mark.filterwarnings("ignore:The bound still improved:sklearn.exceptions.ConvergenceWarning"),
    pytest.mark.filterwarnings("ignore:The mixture misses parts:UserWarning"),
]


class Recorder:
    """Writes down the tasks that begin and end, as (event, estimator's name, task's name)."""

    def __init__(self, stop_at=()):
        self.events, self.stop_at = [], stop_at

    def setup(self, estimator, context):
        self.events.append(("setup", context.estimator_name, context.task_name))

    def teardown(self, estimator, context):
        self.events.append(("teardown", context.estimator_name, context.task_name))

    def on_fit_task_begin(self, estimator, context):
        self.events.append(("begin", context.estimator_name, context.task_name))

    def on_fit_task_end(self, estimator, context):
        self.events.append(("end", context.estimator_name, context.task_name))
        return context.parent is not None and context.parent.task_name in self.stop_at

    def tasks(self, name):
        """What has ended of the estimators of a name, without repetitions that follow each other."""
        ended = [task for event, estimator, task in self.events if (event, estimator) == ("end", name)]
        return [task for i, task in enumerate(ended) if i == 0 or ended[i - 1] != task]


class PropagatedRecorder(Recorder):
    max_propagation_depth = None


class Scores(Recorder):
    """Asks for the estimator as it is after every iteration."""

    def __init__(self):
        super().__init__()
        self.scores = []

    def on_fit_task_end(self, estimator, context, *, X=None, fitted_estimator=None):
        if fitted_estimator is not None:
            self.scores.append(float(np.mean(fitted_estimator.score_samples(X))))


PHASES = ["start", "iteration", "warm-up", "iteration", "training", "fit"]


def test_a_pipeline_passes_them_on(device):
    model = make_pipeline(StandardScaler(), FlowMixtureClustering(2, device=device, **QUICK))
    recorder = PropagatedRecorder()
    model.set_callbacks(recorder).fit(X)
    assert recorder.tasks("FlowMixtureClustering") == PHASES
    n_iterations = recorder.events.count(("end", "FlowMixtureClustering", "iteration"))
    assert n_iterations == model[-1].n_iter_
    assert [event for event, _, _ in recorder.events].count("setup") == 1
    assert not hasattr(model[-1], "_skl_callbacks")
    begun, ended = ([task for event, *task in recorder.events if event == what] for what in ("begin", "end"))
    assert sorted(begun) == sorted(ended)


def test_a_search_passes_them_on(device):
    search = GridSearchCV(FlowMixtureDensity(n_estimators=1, device=device, **QUICK), {"n_components": [1, 2]}, cv=2)
    recorder = PropagatedRecorder()
    search.set_callbacks(recorder).fit(X)
    fits = recorder.events.count(("end", "FlowMixtureDensity", "fit"))
    assert fits == 2 * 2 + 1
    assert recorder.events.count(("end", "FlowMixtureDensity", "training")) == fits


@pytest.mark.parametrize(
    ("estimator", "parameters"),
    [
        (FlowMixtureClustering, {}),
        (FlowMixtureDensity, {"n_estimators": 2}),
        (FlowMixtureDensity, {"solver": "em", "n_init": 2}),
        (FlowMixtureClassifier, {"posterior": "amortized"}),
    ],
)
def test_a_fit_is_the_same_with_them(estimator, parameters, device):
    plain = estimator(2, device=device, **QUICK | parameters).fit(X, Y)
    scores = Scores()
    told = clone(plain).set_callbacks(scores).fit(X, Y)
    np.testing.assert_array_equal(told.score_samples(X), plain.score_samples(X))
    assert told.history_ == plain.history_
    assert len(scores.scores) > 2
    assert np.isfinite(scores.scores).all()
    assert vars(told).keys() - vars(plain).keys() == {"_skl_callbacks"}


def test_the_estimator_at_the_last_iteration_is_the_one_that_is_kept(device):
    """Where that was the best state, and no other phase follows."""
    scores = Scores()
    model = FlowMixtureDensity(1, n_estimators=1, device=device, **QUICK).set_callbacks(scores).fit(X)
    kept = int(np.argmax(np.ravel(model.history_.validation_score)))
    assert scores.scores[kept] == pytest.approx(model.score(X), abs=1e-6)


def test_autoencoders_and_posteriors_tell_as_well(device):
    scores, recorder = Scores(), Recorder()
    FlowAutoencoder(1, hidden_layer_sizes=(4,), max_iter=2, device=device).set_callbacks(scores).fit(X)
    assert len(scores.scores) == 2
    posterior = FlowMixturePosterior(1, flow="affine", n_draws=16, max_iter=2, random_state=0, device=device)
    posterior.set_callbacks(recorder).fit(lambda theta: -theta.square().sum(1), 2)
    assert recorder.tasks("FlowMixturePosterior") == ["start", "iteration", "training", "fit"]


@pytest.mark.parametrize("solver", ["gradient", "em"])
def test_they_may_end_a_fit_which_keeps_what_it_has(solver, device):
    recorder = Recorder(stop_at=("warm-up", "training"))
    model = FlowMixtureDensity(2, solver=solver, device=device, **QUICK | {"max_iter": 50})
    model.set_callbacks(recorder).fit(X)  # without a warning that it still improved
    assert recorder.events.count(("end", "FlowMixtureDensity", "iteration")) == 2
    assert model.history_.stopped
    assert not model.converged_
    assert np.isfinite(model.score(X))


def test_an_error_of_theirs_leaves_the_estimator_as_it_was(device):
    class Failing(Recorder):
        def on_fit_task_begin(self, estimator, context):
            if context.task_name == "iteration":
                raise ZeroDivisionError

    model = FlowMixtureDensity(1, n_estimators=1, device=device, **QUICK).fit(X)
    before = model.score_samples(X)
    failing = Failing()
    with pytest.raises(ZeroDivisionError):
        model.set_callbacks(failing).fit(X + 5)
    np.testing.assert_array_equal(model.score_samples(X), before)
    assert failing.events[-1][0] == "teardown"
    assert vars(model).keys() == vars(clone(model).set_callbacks().fit(X)).keys() | {"_skl_callbacks"}


def test_the_score_of_every_iteration_is_monitored(device):
    monitor = callback.ScoringMonitor(scoring="accuracy")
    model = FlowMixtureClassifier(1, device=device, **QUICK).set_callbacks(monitor).fit(X, Y)
    logs = monitor.get_logs()
    assert [row["task_name"] for row in logs.data] == ["iteration"] * model.n_iter_
    assert all(0.5 < row["accuracy"] <= 1 for row in logs.data)


def test_progress_bars_are_drawn(device, capsys):
    pytest.importorskip("rich")
    model = make_pipeline(StandardScaler(), FlowMixtureClustering(2, device=device, **QUICK))
    model.set_callbacks(callback.ProgressBar()).fit(X)
    drawn = capsys.readouterr().out
    assert all(phase in drawn for phase in ("warm-up", "training", "FlowMixtureClustering"))
