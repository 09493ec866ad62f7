"""Rows coloured by the component, cluster or class that a model gives them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from ._panels import Panels, as_rows, check_offers, feature_names, pyplot

if TYPE_CHECKING:
    from typing_extensions import Self

_COLORS, _LISTED = 10, 20  # what "tab10" has, and the most that such lists of colours have
_FAINTEST = 0.2
_NOBODY = (0.6, 0.6, 0.6, 1.0)
_SIZE = 8.0


class AssignmentDisplay:
    """Rows coloured by the component, cluster or class that they belong to, the fainter the more doubtful it is.

    It is recommended to use `from_estimator` or `from_labels`.

    Parameters
    ----------
    X : ndarray of shape (n_samples, n_features)
    labels : ndarray of shape (n_samples,)
        -1 is drawn in grey, where it is not one of the `names`.
    names : list
        All labels that there may be, in the order of the colours.
    certainty : ndarray of shape (n_samples,)
        Probability of each row's label.
    panels : Panels
        Which features are in which panel.

    Attributes
    ----------
    ax_ : Axes, or ndarray of Axes
        Of a single panel its Axes; else an array of them, None where a corner plot has none.
    figure_ : Figure

    See Also
    --------
    DensityDisplay : The density, to be drawn below it.
    sklearn.inspection.DecisionBoundaryDisplay : What new rows would belong to, as regions.

    Examples
    --------
    >>> import matplotlib
    >>> matplotlib.use("Agg")
    >>> from sklearn.datasets import make_moons
    >>> from skflowmix import FlowMixtureClustering
    >>> from skflowmix.displays import AssignmentDisplay
    >>> X, _ = make_moons(200, noise=0.1, random_state=0)
    >>> model = FlowMixtureClustering(2, flow="affine", random_state=0).fit(X)
    >>> display = AssignmentDisplay.from_estimator(model, X)
    >>> display.names
    [0, 1]
    """

    def __init__(self, X: np.ndarray, labels: np.ndarray, names: list, certainty: np.ndarray, panels: Panels) -> None:
        self.X = X
        self.labels = labels
        self.names = names
        self.certainty = certainty
        self.panels = panels

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: ArrayLike,
        *,
        features: Sequence[Any] | None = None,
        ax: Any = None,
        **plot_parameters: Any,
    ) -> Self:
        """Ask a fitted estimator what rows belong to, and draw them.

        Parameters
        ----------
        estimator : object
            Fitted, with `predict`; where it has `predict_proba` as well, it says how certain it is.
        X : array-like of shape (n_samples, n_features)
        features : list of int or str, or list of pairs of them, default=None
            One feature or two are one panel, more are a corner plot, pairs are a row of panels. None takes all, of
            which there may be ten.
        ax : Axes or ndarray of Axes, default=None
            As of `plot`.
        **plot_parameters
            Further ones of `plot`.

        Returns
        -------
        AssignmentDisplay

        Raises
        ------
        TypeError
            If the estimator has no `predict`; `from_labels` draws given labels.
        ValueError
            If there are no such features.
        """
        check_offers(estimator, "predict", instead="AssignmentDisplay.from_labels(X, labels) draws given labels")
        labels, certainty = np.asarray(estimator.predict(X)), None
        if hasattr(estimator, "predict_proba"):
            certainty = np.asarray(estimator.predict_proba(X)).max(1)
        names = getattr(estimator, "classes_", None)
        if names is None or not np.isin(labels, names).all():
            # Components have numbers, and some may be nobody's most probable one.
            n_components = getattr(estimator, "n_components_", getattr(estimator, "n_components", 0))
            names = np.union1d(np.arange(n_components), labels[labels != -1])
        how = {"names": names, "certainty": certainty, "features": features, "ax": ax}
        return cls.from_labels(
            X, labels, feature_names=feature_names(estimator, X, np.shape(X)[1]), **how, **plot_parameters
        )

    @classmethod
    def from_labels(
        cls,
        X: ArrayLike,
        labels: ArrayLike,
        *,
        names: ArrayLike | None = None,
        certainty: ArrayLike | None = None,
        feature_names: Sequence[str] | None = None,
        features: Sequence[Any] | None = None,
        ax: Any = None,
        **plot_parameters: Any,
    ) -> Self:
        """Draw rows with given labels.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
        labels : array-like of shape (n_samples,)
        names : array-like, default=None
            All labels that there may be, in the order of the colours; None takes those that there are, but for -1.
        certainty : array-like of shape (n_samples,), default=None
            Between 0 and 1; None is 1.
        feature_names : sequence of str, default=None
        features : list of int or str, or list of pairs of them, default=None
            As of `from_estimator`.
        ax : Axes or ndarray of Axes, default=None
            As of `plot`.
        **plot_parameters
            Further ones of `plot`.

        Returns
        -------
        AssignmentDisplay
        """
        rows, labels = as_rows(X), np.asarray(labels)
        if len(rows) != len(labels):
            raise ValueError(f"labels must have one entry for each row; X has {len(rows)}, labels {len(labels)}.")
        known = np.unique(labels[labels != -1]) if names is None else np.asarray(names)
        certain = np.ones(len(rows)) if certainty is None else np.asarray(certainty, dtype=float)
        titles = [f"x{i}" for i in range(rows.shape[1])] if feature_names is None else list(feature_names)
        panels = Panels.choose(features, titles)
        return cls(rows, labels, known.tolist(), certain, panels).plot(ax, **plot_parameters)

    def plot(
        self, ax: Any = None, *, legend: bool = False, cmap: Any = None, n_bins: int = 25, **scatter_parameters: Any
    ) -> Self:
        """Draw the rows.

        Parameters
        ----------
        ax : Axes or ndarray of Axes, default=None
            Several panels share the place of one Axes; an array is the `ax_` of an earlier picture of the same panels.
            None draws on a new figure.
        legend : bool, default=False
            Whether to say which colour is which label.
        cmap : str or Colormap, default=None
            Colours of the labels; None takes "tab10", or "turbo" where there are more than ten.
        n_bins : int, default=25
            Of the histograms where a panel has one feature.
        **scatter_parameters
            Of matplotlib's `scatter`.

        Returns
        -------
        self : object
        """
        self.figure_, self.ax_ = self.panels.axes(ax)
        colors = self._colors(cmap)
        shown = np.array([colors[label] for label in self.labels.tolist()])
        shown[:, 3] = _FAINTEST + (1 - _FAINTEST) * np.clip(self._clarity(), 0, 1)
        for features, axis in self.panels.each(self.ax_):
            if len(features) == 1:
                self._draw_histogram(axis, features[0], colors, n_bins)
            else:
                how = {"s": _SIZE, "linewidths": 0} | scatter_parameters
                axis.scatter(*self.X[:, list(features)].T, c=shown, **how)
        if legend:
            self._draw_legend(colors)
        return self

    def _clarity(self):
        """How far the certainty is above that of a guess between two."""
        return 2 * self.certainty - 1

    def _colors(self, cmap):
        n_names = len(self.names)
        palette = pyplot().get_cmap(cmap or ("tab10" if n_names <= _COLORS else "turbo"))
        places = np.linspace(0.05, 0.95, n_names) if palette.N > _LISTED else np.arange(n_names) % palette.N
        colors = {name: palette(place) for name, place in zip(self.names, places, strict=True)}
        others = [label for label in np.unique(self.labels).tolist() if label not in colors]
        return colors | dict.fromkeys(others, _NOBODY)

    def _draw_histogram(self, axis, feature, colors, n_bins):
        parts = [self.X[self.labels == name, feature] for name in colors]
        span = np.quantile(self.X[:, feature], [0, 1])
        n_rows = max(len(self.X), 1)
        bins = np.linspace(span[0], span[1] if span[1] > span[0] else span[0] + 1, n_bins + 1)
        weights = [np.full(len(part), 1 / (n_rows * (bins[1] - bins[0]))) for part in parts]
        axis.hist(parts, bins=bins, weights=weights, stacked=True, color=list(colors.values()), alpha=0.6)

    def _draw_legend(self, colors):
        from matplotlib.lines import Line2D

        marks = [
            Line2D([], [], color=color, marker="o", linestyle="", label=str(name)) for name, color in colors.items()
        ]
        place = self.figure_ if isinstance(self.ax_, np.ndarray) else self.ax_
        place.legend(handles=marks, loc="upper right" if place is self.figure_ else "best")
