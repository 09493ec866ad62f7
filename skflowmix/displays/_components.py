"""How many components: the score of every number that was tried."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ._panels import check_offers, pyplot

if TYPE_CHECKING:
    from typing_extensions import Self


class ComponentsDisplay:
    """How well each number of components does, as a fit with ``n_components="auto"`` has found.

    It is recommended to use `from_estimator`.

    Parameters
    ----------
    scores : list of dict of int to float
        Score of each number, for each class of a classifier.
    names : list of str
        What each of them is called; one of them alone is not named.

    Attributes
    ----------
    best : list of int
        Number with the highest score in each.
    ax_ : Axes
    figure_ : Figure
    lines_ : list of Line2D

    Examples
    --------
    >>> import matplotlib
    >>> matplotlib.use("Agg")
    >>> from skflowmix.displays import ComponentsDisplay
    >>> display = ComponentsDisplay([{1: 0.2, 2: 0.9, 3: 0.6}]).plot()
    >>> display.best
    [2]
    """

    def __init__(self, scores: Sequence[Mapping[int, float]], names: Sequence[str] = ("",)) -> None:
        self.scores = list(scores)
        self.names = list(names)
        self.best = [max(of, key=of.__getitem__) for of in self.scores]

    @classmethod
    def from_estimator(cls, estimator: Any, *, ax: Any = None, **line_parameters: Any) -> Self:
        """Draw the scores of a fitted estimator.

        Parameters
        ----------
        estimator : object
            Fitted with ``n_components="auto"``.
        ax : Axes, default=None
        **line_parameters
            Of matplotlib's `plot`.

        Returns
        -------
        ComponentsDisplay

        Raises
        ------
        TypeError
            If the estimator is none that counts clusters.
        AttributeError
            If its fit did not.
        """
        instead = "those of mixtures of this package do, after a fit with n_components='auto'"
        check_offers(estimator, "n_components_scores_", instead=instead)
        scores = estimator.n_components_scores_
        if isinstance(scores, Mapping):
            return cls([scores]).plot(ax, **line_parameters)
        return cls(scores, [f"class {name}" for name in estimator.classes_]).plot(ax, **line_parameters)

    def plot(self, ax: Any = None, **line_parameters: Any) -> Self:
        """Draw the scores; the best numbers are filled.

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
        self.figure_, self.lines_ = self.ax_.figure, []
        for scores, name, best in zip(self.scores, self.names, self.best, strict=True):
            numbers, heights = np.array(sorted(scores.items()), dtype=float).T
            how = {"marker": "o", "markerfacecolor": "white"} | line_parameters
            (line,) = self.ax_.plot(numbers, heights, **how)
            self.ax_.plot(best, scores[best], "o", color=line.get_color(), markersize=line.get_markersize() + 3)
            line.set_label(f"{name}: {best}" if name else f"{best} components")
            self.lines_.append(line)
        self.ax_.xaxis.get_major_locator().set_params(integer=True)
        self.ax_.set(xlabel="number of components", ylabel="score, the highest decides")
        self.ax_.legend()
        return self
