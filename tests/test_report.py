"""What a fit tells while it goes on."""

import re

import numpy as np
import pytest
from sklearn.datasets import make_blobs

from skflowmix import FlowMixtureClustering
from skflowmix.fitting import CLUSTERING, Settings, Table
from skflowmix.fitting.fit import fit_mixture
from skflowmix.notes import note, read_by
from skflowmix.training import Iteration, Listener, Printer, Report, report

X, _ = make_blobs(200, centers=[[0, 0], [9, 0]], random_state=0)
CHEAP = {"flow": "affine", "max_iter": 8, "random_state": 0}


class Recorder(Listener):
    def __init__(self):
        self.told = []

    def begin(self, phase, most):
        self.told.append(("begin", phase, most))

    def iterate(self, iteration):
        self.told.append(iteration)

    def end(self, phase):
        self.told.append(("end", phase))


def fit(n_components=2, **changes):
    """A fit, and what a listener heard."""
    settings = Settings.of(FlowMixtureClustering(n_components, **CHEAP | changes).get_params())
    recorder = Recorder()
    table = Table(X, None, np.ones(len(X)))
    return fit_mixture(settings, table, CLUSTERING, report=Report([recorder])), recorder.told


def phases(told):
    return [event[1] for event in told if isinstance(event, tuple) and event[0] == "begin"]


def test_phases_begin_and_end_in_turn():
    fitted, told = fit()
    assert phases(told) == ["start", "warm-up", "training"]
    borders = [event[:2] for event in told if isinstance(event, tuple)]
    assert borders == [(what, phase) for phase in phases(told) for what in ("begin", "end")]
    assert ("begin", "warm-up", 4) in told
    assert fitted.history.n_iter == sum(isinstance(event, Iteration) for event in told)


def test_an_iteration_says_which_it_is_of_how_many_and_how_it_went():
    fitted, told = fit(n_init=2)
    iterations = [event for event in told if isinstance(event, Iteration) and event.phase == "training"]
    assert [one.number for one in iterations] == list(range(1, len(iterations) + 1))
    assert {one.most for one in iterations} == {8 - len(fitted.history.warm_up.training_score)}
    assert [one.validation_score for one in iterations] == fitted.history.validation_score
    assert [one.training_score for one in iterations] == fitted.history.training_score
    assert [one.learning_rate for one in iterations] == fitted.history.learning_rate
    assert all(one.score == one.validation_score and len(one.score) == 2 for one in iterations)
    seconds = [one.seconds for one in iterations]
    assert seconds == sorted(seconds)
    assert seconds[0] > 0


def test_without_held_out_rows_the_score_is_that_of_training():
    _, told = fit(early_stopping=False)
    assert all(one.score == one.training_score for one in told if isinstance(one, Iteration))


def test_expectation_maximisation_and_pruning_report_as_well():
    fitted, told = fit(4, solver="em", weight_concentration_prior=0.01, init_params="kmeans", max_iter=30)
    assert phases(told)[:3] == ["start", "warm-up", "training"]
    assert "pruning" in phases(told)
    numbers = [one.number for one in told if isinstance(one, Iteration) and one.phase == "training"]
    assert len(fitted.history.training_score) <= len(numbers)


def test_a_phase_that_fails_has_ended():
    recorder = Recorder()
    with pytest.raises(ZeroDivisionError), Report([recorder]).phase("training", 3):
        raise ZeroDivisionError
    assert recorder.told == [("begin", "training", 3), ("end", "training")]


LINE = re.compile(
    r"(Warm-up|Training): iteration \d+ of at most \d+, score -\d\.\d{4}, step size \d\.\de-0\d, \d+\.\d s"
    r"; smaller steps or the end after \d+ without an improvement"
)
NOTE = re.compile(r"\d+\.\d s: \w.*")


def test_more_than_one_prints_every_iteration(capsys):
    with pytest.warns(match="max_iter"):
        model = FlowMixtureClustering(2, verbose=2, **CHEAP).fit(X)
    told = capsys.readouterr().out.splitlines()
    assert sum(LINE.fullmatch(line) is not None for line in told) == model.n_iter_
    notes = [line for line in told if NOTE.fullmatch(line)]
    assert any("evidence for partition" in line for line in notes)
    assert [line for line in told if not LINE.fullmatch(line) and line not in notes] == [
        "Start",
        "Warm-up, at most 4 iterations",
        f"Training, at most {8 - len(model.history_.warm_up.training_score)} iterations",
    ]


def test_one_prints_a_line_a_second_at_most(capsys, monkeypatch):
    now = [0.0]
    monkeypatch.setattr(report.time, "perf_counter", lambda: now[0])
    with Report([Printer(1)]).phase("training", 100) as told:
        for number in range(1, 101):
            now[0] += 0.03
            told.tell(number, training_score=[-1.0], validation_score=None, learning_rate=[1e-3], patience=[3])
    lines = capsys.readouterr().out.splitlines()
    assert [int(re.search(r"iteration (\d+)", line)[1]) for line in lines[1:]] == [34, 68]


def test_notes_are_for_whoever_asked_and_nobody_else():
    heard = []
    note("nobody hears this")
    with read_by(heard.append):
        note("a note")
        with pytest.raises(ZeroDivisionError), read_by(heard.clear):
            raise ZeroDivisionError
        note("another")
    note("nobody hears this either")
    assert heard == ["a note", "another"]


def test_a_start_tells_what_it_does(capsys, monkeypatch):
    """Every few seconds on many rows: here a clock that goes by a second a look shows each of the lines."""
    now = [0.0]

    def later():
        now[0] += 1.0
        return now[0]

    monkeypatch.setattr(report.time, "perf_counter", later)
    with pytest.warns(match="max_iter"):
        FlowMixtureClustering("auto", verbose=1, **CHEAP).fit(X[::3])
    told = capsys.readouterr().out
    for expected in ("density 8 of 8", "3 clusters: how", "k-means", "evidence for partition", "the component of each"):
        assert expected in told
