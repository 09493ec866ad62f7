"""Densities: contours that contain known shares of the rows, exact or by draws."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike
from scipy.ndimage import gaussian_filter

from ._panels import Panels, as_rows, check_offers, feature_names, like_rows, pyplot

if TYPE_CHECKING:
    from typing_extensions import Self

_SHARES = (0.999, 0.99, 0.97, 0.94, 0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3, 0.2, 0.1)
_CELLS = {1: 120, 2: 70}
_MARGIN = 0.12
_OUTER = 0.001
_LIGHTEST, _DARKEST = 0.12, 0.8


@dataclass(frozen=True)
class Marginal:
    """Density of one feature or of two, on a grid.

    Attributes
    ----------
    features : tuple of int
    grid : tuple of ndarray
        Values of each of the features.
    density : ndarray of shape (n,) or (n_vertical, n_horizontal)
        In the units of the rows.
    """

    features: tuple[int, ...]
    grid: tuple[np.ndarray, ...]
    density: np.ndarray

    def level_of(self, share: float) -> float:
        """The density above which there is such a share of what is on the grid."""
        values = np.sort(self.density.ravel())[::-1]
        reached = np.cumsum(values) / values.sum()
        return float(values[min(int(np.searchsorted(reached, share)), len(values) - 1)])


class DensityDisplay:
    """Density of one feature or two, of pairs of features, or of all in a corner plot.

    It is recommended to use `from_estimator`. Any estimator with `score_samples` and `sample` can be drawn,
    `sklearn.mixture.GaussianMixture` and `FlowMixturePosterior` among them.

    Parameters
    ----------
    marginals : list of Marginal
        What each panel shows.
    panels : Panels
        Which features are in which panel.

    Attributes
    ----------
    ax_ : Axes, or ndarray of Axes
        Of a single panel its Axes; else an array of them, None where a corner plot has none.
    figure_ : Figure
    contours_ : list
        What matplotlib's `contourf`, or `plot` for one feature, returned for each panel.

    See Also
    --------
    AssignmentDisplay : Rows by component, to be drawn over it.

    Examples
    --------
    >>> import matplotlib
    >>> matplotlib.use("Agg")
    >>> from sklearn.datasets import make_moons
    >>> from skflowmix import FlowMixtureDensity
    >>> from skflowmix.displays import DensityDisplay
    >>> X, _ = make_moons(200, noise=0.1, random_state=0)
    >>> model = FlowMixtureDensity(4, flow="affine", random_state=0).fit(X)
    >>> display = DensityDisplay.from_estimator(model, X)
    >>> display.marginals[0].density.shape
    (100, 100)
    """

    def __init__(self, marginals: list[Marginal], panels: Panels) -> None:
        self.marginals = marginals
        self.panels = panels

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: ArrayLike | None = None,
        *,
        features: Sequence[Any] | None = None,
        grid_resolution: int = 100,
        n_samples: int = 20_000,
        random_state: int | np.random.RandomState | None = None,
        ax: Any = None,
        **plot_parameters: Any,
    ) -> Self:
        """Evaluate the density of a fitted estimator, and draw it.

        Where all features are drawn together, the density is the estimator's own. A part of them has a marginal
        density, which is known by draws: they are counted on a coarse grid, and smoothed by one of its cells.

        Parameters
        ----------
        estimator : object
            Fitted.
        X : array-like of shape (n_samples, n_features), default=None
            Rows that the picture has room for; None takes draws.
        features : list of int or str, or list of pairs of them, default=None
            One feature or two are one panel, more are a corner plot, pairs are a row of panels. None takes all, of
            which there may be ten.
        grid_resolution : int, default=100
            Points in each direction of an exact density.
        n_samples : int, default=20_000
            Draws.
        random_state : int, RandomState instance or None, default=None
            Of the draws, where the estimator's `sample` takes it.
        ax : Axes or ndarray of Axes, default=None
            As of `plot`.
        **plot_parameters
            Further ones of `plot`.

        Returns
        -------
        DensityDisplay

        Raises
        ------
        TypeError
            If the estimator has no densities, or no draws where there have to be some.
        ValueError
            If there are no such features, or fewer than two points in each direction.
        """
        _check_resolution(grid_resolution)
        draws = None if X is not None else _draw(estimator, n_samples, random_state)
        rows: Any = draws if X is None else as_rows(X)
        n_features = rows.shape[1]
        panels = Panels.choose(features, feature_names(estimator, X, n_features))
        is_exact = [len(own) == n_features for own in panels.features]
        if draws is None and not all(is_exact):
            draws = _draw(estimator, n_samples, random_state)
        spans = [_span(column) for column in rows.T]
        marginals = [
            _evaluate(estimator, X, own, [spans[i] for i in own], grid_resolution)
            if exact
            else _count(draws, own, [spans[i] for i in own])
            for own, exact in zip(panels.features, is_exact, strict=True)
        ]
        return cls(marginals, panels).plot(ax, **plot_parameters)

    def plot(
        self, ax: Any = None, *, shares: ArrayLike = _SHARES, cmap: Any = "Greys", **contour_parameters: Any
    ) -> Self:
        """Draw the density.

        Parameters
        ----------
        ax : Axes or ndarray of Axes, default=None
            Several panels share the place of one Axes; an array is the `ax_` of an earlier picture of the same panels.
            None draws on a new figure.
        shares : array-like of float, default=(0.999, 0.99, 0.97, 0.94, 0.9, 0.8, ..., 0.1)
            Shares of the probability, each of which is within one contour.
        cmap : str or Colormap, default="Greys"
        **contour_parameters
            Of matplotlib's `contourf`.

        Returns
        -------
        self : object
        """
        shares = np.sort(np.asarray(shares, dtype=float))[::-1]
        if not len(shares) or shares[0] >= 1 or shares[-1] <= 0:
            raise ValueError(f"shares must hold numbers between 0 and 1; got {shares.tolist()}.")
        self.figure_, self.ax_ = self.panels.axes(ax)
        self.contours_ = []
        for marginal, (features, axis) in zip(self.marginals, self.panels.each(self.ax_), strict=True):
            if len(features) == 1:
                (drawn,) = axis.plot(marginal.grid[0], marginal.density, color="0.2")
                axis.set_ylim(bottom=0, auto=True)
            else:
                drawn = _draw_contours(axis, marginal, shares, cmap, contour_parameters)
            self.contours_.append(drawn)
        return self


def _draw_contours(axis, marginal, shares, cmap, parameters):
    levels = np.unique([marginal.level_of(share) for share in shares])
    top = marginal.density.max()
    levels = np.append(levels[levels < top], np.nextafter(top, np.inf))
    n_bands = len(levels) - 1
    colors = pyplot().get_cmap(cmap)(np.linspace(_LIGHTEST, _DARKEST, n_bands))
    return axis.contourf(*marginal.grid, marginal.density, levels=levels, **{"colors": colors} | parameters)


def _check_resolution(resolution):
    if isinstance(resolution, bool) or not isinstance(resolution, (int, np.integer)) or resolution < 2:
        raise ValueError(f"grid_resolution must be an integer of at least 2; got {resolution!r}.")


def _draw(estimator, n_samples, random_state):
    check_offers(estimator, "sample", instead="a part of the features, or all without X, is drawn by samples")
    takes = inspect.signature(estimator.sample).parameters
    drawn = estimator.sample(n_samples, **({"random_state": random_state} if "random_state" in takes else {}))
    return np.asarray(drawn[0] if isinstance(drawn, tuple) else drawn, dtype=float)


def _span(column):
    """From where to where a feature is drawn: all rows but the outermost, and a margin."""
    low, high = np.quantile(column, [_OUTER, 1 - _OUTER])
    margin = _MARGIN * (high - low) or 0.5
    return low - margin, high + margin


def _evaluate(estimator, X, features, spans, resolution):
    """The estimator's own density, of all its features."""
    check_offers(estimator, "score_samples", instead="a density is drawn of what has score_samples")
    grid = tuple(np.linspace(low, high, resolution) for low, high in spans)
    points = np.stack([axis.ravel() for axis in np.meshgrid(*grid)], 1)
    points = like_rows(points[:, np.argsort(features)], estimator, X)
    log_density = np.asarray(estimator.score_samples(points)).reshape([resolution] * len(grid))
    return Marginal(features, grid, np.exp(log_density))


def _count(draws, features, spans):
    """A marginal density by draws."""
    n_cells = _CELLS[len(features)]
    edges = [np.linspace(low, high, n_cells + 1) for low, high in spans]
    counts, _ = np.histogramdd(draws[:, list(features)], bins=edges)
    volume = np.prod([edge[1] - edge[0] for edge in edges])
    density = gaussian_filter(counts, 1, mode="constant") / (len(draws) * volume)
    return Marginal(features, tuple((edge[1:] + edge[:-1]) / 2 for edge in edges), density.T)
