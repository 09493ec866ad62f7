"""What a fit tells while it goes on, and who listens.

Whatever runs in iterations reports through a `Report`: `history_` is made of it, `verbose` prints it, and whoever wants
to see more is one more listener.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass


@dataclass(frozen=True)
class Iteration:
    """What happened in an iteration.

    Attributes
    ----------
    phase : str
        "start" (which has no iterations), "warm-up", "training" or "pruning".
    number, most : int
        The iteration, counted from one, and how many there are at most.
    training_score : list of float
        Each restart's mean objective per row.
    validation_score : list of float, or None
        The same of rows that are held out.
    learning_rate : list of float
        Each restart's step size.
    seconds : float
        Since the phase began.
    patience : list of int, or None
        How many iterations each restart is still given to improve before its step size is cut or it ends.
    current : callable, or None
        ``current(iteration) -> list`` of the fits that would be kept if the fit ended here; see `Report.show`.
    """

    phase: str
    number: int
    most: int
    training_score: list[float]
    validation_score: list[float] | None
    learning_rate: list[float]
    seconds: float
    patience: list[int] | None = None
    current: Callable[[Iteration], list] | None = None

    @property
    def score(self) -> list[float]:
        """That of the rows that are held out, or else the training rows."""
        return self.training_score if self.validation_score is None else self.validation_score


class Listener:
    """Who is told; all that it hears it may ignore."""

    def begin(self, phase: str, most: int) -> None:
        """A phase begins, of at most so many iterations."""

    def iterate(self, iteration: Iteration) -> bool | None:
        """An iteration has ended; whether the phase is to end with it."""

    def note(self, text: str) -> None:
        """What is being done now, where that has no iterations."""

    def end(self, phase: str) -> None:
        """A phase has ended, or was interrupted."""


class Report:
    """Passes on what is told.

    Parameters
    ----------
    listeners : sequence of Listener, default=()
    """

    def __init__(self, listeners=()):
        self.listeners = tuple(listeners)
        self.current = None

    def show(self, current):
        """Let listeners see from here on what would be kept: a function of an `Iteration` that returns fits."""
        if self.listeners:
            self.current = current

    def note(self, text):
        """Pass on what is being done."""
        for listener in self.listeners:
            listener.note(text)

    @contextmanager
    def phase(self, name: str, most: int = 0, *, history: Listener | None = None) -> Iterator[Phase]:
        """A phase of a fit, of at most so many iterations; what is told of it `history` hears, too."""
        listeners = self.listeners if history is None else (history, *self.listeners)
        for listener in listeners:
            listener.begin(name, most)
        try:
            yield Phase(name, most, listeners, self.current)
        finally:
            for listener in listeners:
                listener.end(name)


class Phase:
    """Where the iterations of a phase are told."""

    def __init__(self, name, most, listeners, current=None):
        self.name, self.most, self.listeners, self.current = name, most, listeners, current
        self.began = time.perf_counter()

    def tell(self, number, *, training_score, validation_score, learning_rate, patience=None):
        """Pass on an iteration, and return whether a listener wants it to be the last.

        Scores, step sizes and patience are lists of a number for each restart.
        """
        told = {"training_score": training_score, "validation_score": validation_score, "learning_rate": learning_rate}
        seconds = time.perf_counter() - self.began
        iteration = Iteration(
            self.name, number, self.most, **told, seconds=seconds, patience=patience, current=self.current
        )
        asked_to_end = [listener.iterate(iteration) for listener in self.listeners]
        return any(asked_to_end)


class Printer(Listener):
    """Prints a line for each iteration, or at most one a second.

    Parameters
    ----------
    verbose : int
        1 for a line a second, more for every iteration.
    """

    def __init__(self, verbose):
        self.interval = 1.0 if verbose == 1 else 0.0
        self.last, self.began = -float("inf"), time.perf_counter()

    def begin(self, phase, most):
        bound = f", at most {most} iterations" if most else ""
        print(f"{phase.capitalize()}{bound}")
        self.last = self.began = time.perf_counter()

    def note(self, text):
        now = time.perf_counter()
        if now - self.last >= self.interval:
            self.last = now
            print(f"{now - self.began:.1f} s: {text}")

    def iterate(self, iteration):
        now = time.perf_counter()
        if now - self.last < self.interval:
            return
        self.last = now
        print(
            f"{iteration.phase.capitalize()}: iteration {iteration.number} of at most {iteration.most}, "
            f"score {_listed(iteration.score, '.4f')}, step size {_listed(iteration.learning_rate, '.1e')}, "
            f"{iteration.seconds:.1f} s{_what_comes(iteration)}"
        )


def _listed(numbers, form):
    return ", ".join(format(number, form) for number in numbers)


def _what_comes(iteration):
    """How long the restart that is given the most will go on as it is."""
    if iteration.patience is None:
        return ""
    left = max(iteration.patience)
    return f"; smaller steps or the end after {left} without an improvement"
