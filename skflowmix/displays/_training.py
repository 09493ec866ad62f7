"""How a fit went: scores and step sizes, iteration by iteration."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ..training import History
from ..training.em import PASSES
from ._panels import check_offers, pyplot

if TYPE_CHECKING:
    from typing_extensions import Self


@dataclass(frozen=True)
class Stretch:
    """A part of a fit in which one objective was maximised.

    Attributes
    ----------
    phase : str
        "warm-up" or "training".
    iteration : ndarray of shape (n,)
        Counted from the beginning of the fit.
    training_score : ndarray of shape (n, R)
        Of the rows that are learned from, for each restart.
    validation_score : ndarray of shape (n, R), or None
        Of the rows that are held out.
    learning_rate : ndarray of shape (n, R)
    """

    phase: str
    iteration: np.ndarray
    training_score: np.ndarray
    validation_score: np.ndarray | None
    learning_rate: np.ndarray


class TrainingDisplay:
    """Scores of a fit, iteration by iteration, with its warm-up and the cuts of its step size.

    It is recommended to use `from_estimator`.

    Parameters
    ----------
    members : list of list of Stretch
        Of each fit, of which an average has several, its parts one after the other.

    Attributes
    ----------
    ax_ : Axes
    figure_ : Figure
    lines_ : list of Line2D
        Of the scores.

    Examples
    --------
    >>> import matplotlib
    >>> matplotlib.use("Agg")
    >>> from sklearn.datasets import make_moons
    >>> from skflowmix import FlowMixtureDensity
    >>> from skflowmix.displays import TrainingDisplay
    >>> X, _ = make_moons(200, noise=0.1, random_state=0)
    >>> model = FlowMixtureDensity(2, flow="affine", random_state=0).fit(X)
    >>> display = TrainingDisplay.from_estimator(model)
    >>> [stretch.phase for stretch in display.members[0]]
    ['warm-up', 'training']
    """

    def __init__(self, members: list[list[Stretch]]) -> None:
        self.members = members

    @classmethod
    def from_estimator(cls, estimator: Any, *, ax: Any = None, **line_parameters: Any) -> Self:
        """Draw how the fit of an estimator went.

        Parameters
        ----------
        estimator : object
            Fitted, with `history_`.
        ax : Axes, default=None
        **line_parameters
            Of matplotlib's `plot`.

        Returns
        -------
        TrainingDisplay

        Raises
        ------
        TypeError
            If the estimator tells nothing of its fit.
        """
        check_offers(estimator, "history_", instead="the estimators of this package do, once they are fitted")
        return cls.from_history(estimator.history_, ax=ax, **line_parameters)

    @classmethod
    def from_history(cls, history: History, *, ax: Any = None, **line_parameters: Any) -> Self:
        """Draw what a `History` tells; parameters as of `from_estimator`."""
        return cls([_stretches(member) for member in history.members or [history]]).plot(ax, **line_parameters)

    def plot(self, ax: Any = None, **line_parameters: Any) -> Self:
        """Draw the scores: those of held-out rows as lines, those of training as dashes.

        Parameters
        ----------
        ax : Axes, default=None
            None draws on a new figure.
        **line_parameters
            Of matplotlib's `plot`.

        Returns
        -------
        self : object
        """
        self.ax_ = pyplot().subplots(layout="constrained")[1] if ax is None else ax
        self.figure_ = self.ax_.figure
        self.lines_: list = []
        for number, member in enumerate(self.members):
            for stretch in member:
                self._draw(stretch, f"C{number % 10}", line_parameters)
        self._draw_phases()
        self.ax_.set(xlabel="iteration", ylabel="mean score of a row, in nats", ylim=self._heights())
        if self.lines_:
            self.ax_.legend(loc="lower right")
        return self

    def _draw(self, stretch, color, parameters):
        thin = {"linewidth": 0.8, "alpha": 0.6, "linestyle": "--"}
        drawn = [(stretch.training_score, "training", thin)]
        if stretch.validation_score is not None:
            drawn.append((stretch.validation_score, "validation", {"linewidth": 1.5}))
        for scores, name, how in drawn:
            lines = self.ax_.plot(stretch.iteration, scores, **{"color": color} | how | parameters)
            if all(line.get_label() != name for line in self.lines_):
                lines[0].set_label(name)
            self.lines_ += lines

    def _draw_phases(self):
        """Warm-up and cuts, where there is one fit, so that they are the same for all lines."""
        if len(self.members) > 1:
            return
        for stretch in self.members[0]:
            if stretch.phase == "warm-up":
                self.ax_.axvspan(0, stretch.iteration[-1], color="0.93", zorder=0, label="warm-up")
            if stretch.learning_rate.shape[1] == 1:
                cuts = stretch.iteration[1:][np.diff(stretch.learning_rate[:, 0]) < 0]
                for place, cut in enumerate(cuts):
                    label = "smaller step size" if place == 0 and stretch.phase == "training" else None
                    self.ax_.axvline(cut, color="0.5", linewidth=0.8, linestyle=":", label=label)

    def _heights(self):
        """From where to where: all but the first quarter of each part, since first scores may be far below."""
        shown = [np.ravel(scores[len(scores) // 4 :]) for member in self.members for scores in _scores(member)]
        values = np.concatenate(shown) if shown else np.zeros(1)
        values = values[np.isfinite(values)]
        low, high = (values.min(), values.max()) if len(values) else (-1.0, 0.0)
        margin = 0.05 * (high - low) or 0.5
        return low - margin, high + margin


def _scores(member):
    for stretch in member:
        yield stretch.training_score
        if stretch.validation_score is not None:
            yield stretch.validation_score


def _stretches(history):
    """Parts of a fit that have iterations."""
    parts, first, n_restarts = [], 0, len((history.training_score or [[0.0]])[0])
    for phase, part in (("warm-up", history.warm_up), ("training", history)):
        if part is None or not part.training_score:
            continue
        numbers = np.arange(1, len(part.training_score) + 1)
        if part.m_steps is not None:
            numbers = np.minimum(PASSES * numbers, part.m_steps.n_iter)
        validation = _of_restarts(part.validation_score, n_restarts) if part.validation_score else None
        training = _of_restarts(part.training_score, n_restarts)
        parts.append(Stretch(phase, first + numbers, training, validation, np.array(part.learning_rate)))
        first += int(numbers[-1])
    return parts


def _of_restarts(scores, n_restarts):
    """Scores (n, R); where each component has its own, as in the warm-up of expectation-maximisation, their sum."""
    return np.array(scores).reshape(len(scores), n_restarts, -1).sum(2)
