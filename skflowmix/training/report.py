"""What a fit tells while it goes on, and who listens.

Whatever runs in iterations reports through a `Report`: `history_` is made of it, `verbose` prints it, and whoever wants
to see more is one more listener.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
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
    """

    phase: str
    number: int
    most: int
    training_score: list[float]
    validation_score: list[float] | None
    learning_rate: list[float]
    seconds: float

    @property
    def score(self) -> list[float]:
        """That of the rows that are held out, or else the training rows."""
        return self.training_score if self.validation_score is None else self.validation_score


class Listener:
    """Who is told; all that it hears it may ignore."""

    def begin(self, phase: str, most: int) -> None:
        """A phase begins, of at most so many iterations."""

    def iterate(self, iteration: Iteration) -> None:
        """An iteration has ended."""

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

    @contextmanager
    def phase(self, name: str, most: int = 0, *, history: Listener | None = None) -> Iterator[Phase]:
        """A phase of a fit, of at most so many iterations; what is told of it `history` hears, too."""
        listeners = self.listeners if history is None else (history, *self.listeners)
        for listener in listeners:
            listener.begin(name, most)
        try:
            yield Phase(name, most, listeners)
        finally:
            for listener in listeners:
                listener.end(name)


class Phase:
    """Where the iterations of a phase are told."""

    def __init__(self, name, most, listeners):
        self.name, self.most, self.listeners = name, most, listeners
        self.began = time.perf_counter()

    def tell(self, number, *, training_score, validation_score, learning_rate):
        """Pass on an iteration; scores and step sizes are lists of a number for each restart."""
        seconds = time.perf_counter() - self.began
        iteration = Iteration(self.name, number, self.most, training_score, validation_score, learning_rate, seconds)
        for listener in self.listeners:
            listener.iterate(iteration)


class Printer(Listener):
    """Prints a line for each iteration, or at most one a second.

    Parameters
    ----------
    verbose : int
        1 for a line a second, more for every iteration.
    """

    def __init__(self, verbose):
        self.interval = 1.0 if verbose == 1 else 0.0
        self.last = -float("inf")

    def begin(self, phase, most):
        bound = f", at most {most} iterations" if most else ""
        print(f"{phase.capitalize()}{bound}")
        self.last = time.perf_counter()

    def iterate(self, iteration):
        now = time.perf_counter()
        if now - self.last < self.interval:
            return
        self.last = now
        scores = ", ".join(f"{score:.4f}" for score in iteration.score)
        sizes = ", ".join(f"{size:.1e}" for size in iteration.learning_rate)
        print(
            f"{iteration.phase.capitalize()}: iteration {iteration.number} of at most {iteration.most}, "
            f"score {scores}, step size {sizes}, {iteration.seconds:.1f} s"
        )
