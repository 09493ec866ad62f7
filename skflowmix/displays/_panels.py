"""Which features each panel of a picture shows, and the axes that the panels are drawn on.

One or two features are one panel. More of them are a corner plot: each feature alone on the diagonal, and each pair
below it. A list of pairs is a row of panels.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

_MOST_IN_A_CORNER = 10
_INCHES = 2.2


@dataclass(frozen=True)
class Panels:
    """Panels of a picture.

    Attributes
    ----------
    features : tuple of tuple of int
        Of each panel one feature or two, horizontal and vertical.
    places : tuple of (int, int)
        Row and column of each panel.
    names : tuple of str
        Of all features of the rows.
    """

    features: tuple[tuple[int, ...], ...]
    places: tuple[tuple[int, int], ...]
    names: tuple[str, ...]

    @classmethod
    def choose(cls, features, names):
        """Panels of what a user asks for.

        Parameters
        ----------
        features : list of int or str, list of pairs of them, or None
            None stands for all.
        names : sequence of str

        Raises
        ------
        ValueError
            If there are no such features, too many of them, or one twice in a panel.
        TypeError
            If they are no list.
        """
        if features is not None and not isinstance(features, (list, tuple, np.ndarray)):
            raise TypeError(f"features must be a list of names, indices or pairs of them; got {features!r}.")
        names = tuple(map(str, names))
        chosen: list = list(range(len(names))) if features is None else list(features)
        if not chosen or (features is None and len(chosen) > _MOST_IN_A_CORNER):
            raise ValueError(
                f"features must name those to be drawn, or pairs of them; got {features!r}, and the rows have "
                f"{len(names)} features, of which at most {_MOST_IN_A_CORNER} are drawn unasked."
            )
        if all(isinstance(pair, (tuple, list)) for pair in chosen):
            pairs = tuple(tuple(_index(feature, names) for feature in pair) for pair in chosen)
            if any(len(set(pair)) != 2 or len(pair) != 2 for pair in pairs):
                raise ValueError(f"features must hold pairs of two different features; got {features!r}.")
            return cls(pairs, tuple((0, column) for column in range(len(pairs))), names)
        indices = tuple(_index(feature, names) for feature in chosen)
        if len(set(indices)) < len(indices):
            raise ValueError(f"features must name each of them once; got {features!r}.")
        if len(indices) < 3:
            return cls((indices,), ((0, 0),), names)
        places = tuple((row, column) for row in range(len(indices)) for column in range(row + 1))
        panels = tuple((indices[row],) if row == column else (indices[column], indices[row]) for row, column in places)
        return cls(panels, places, names)

    @property
    def shape(self) -> tuple[int, int]:
        """How many rows and columns of panels there are."""
        rows, columns = zip(*self.places, strict=True)
        return max(rows) + 1, max(columns) + 1

    def axes(self, ax):
        """The axes to draw on.

        Parameters
        ----------
        ax : matplotlib Axes, ndarray of Axes, or None
            What a single panel is drawn on, or what is cut up for several; what an earlier picture of the same
            panels was drawn on; None for a new figure.

        Returns
        -------
        figure : matplotlib Figure
        axes : Axes, or ndarray of Axes of shape `shape`
            None where there is no panel; of a single panel its Axes.
        """
        plt = pyplot()
        if isinstance(ax, np.ndarray):
            if ax.shape != self.shape:
                raise ValueError(f"ax must be an array of Axes of shape {self.shape}; got shape {ax.shape}.")
            return next(one for one in ax.ravel() if one is not None).figure, ax
        if len(self.places) == 1:
            ax = plt.subplots(layout="constrained")[1] if ax is None else ax
            return ax.figure, ax
        n_rows, n_columns = self.shape
        if ax is None:
            figure = plt.figure(figsize=(_INCHES * n_columns + 0.6, _INCHES * n_rows + 0.6), layout="constrained")
            grid = figure.add_gridspec(n_rows, n_columns)
        else:
            ax.set_axis_off()
            figure = ax.figure
            grid = ax.get_subplotspec().subgridspec(n_rows, n_columns, wspace=0.1 if n_rows > 1 else 0.35)
        axes = np.full(self.shape, None, dtype=object)
        for place in self.places:
            axes[place] = figure.add_subplot(grid[place])
        return figure, axes

    def each(self, axes):
        """Features of each panel and its Axes, with labels where a corner plot has them."""
        is_array = isinstance(axes, np.ndarray)
        is_corner = self.shape[0] > 1
        for features, place in zip(self.features, self.places, strict=True):
            ax = axes[place] if is_array else axes
            if not is_corner or place[0] == self.shape[0] - 1:
                ax.set_xlabel(self.names[features[0]])
            else:
                ax.tick_params(labelbottom=False)
            if len(features) == 2 and (not is_corner or place[1] == 0):
                ax.set_ylabel(self.names[features[1]])
            elif is_corner:
                ax.tick_params(labelleft=False, left=len(features) == 2)
            yield features, ax


def pyplot():
    """matplotlib's pyplot.

    Raises
    ------
    ImportError
        That says how to install it.
    """
    try:
        import matplotlib.pyplot as plt
    except ImportError as error:
        raise ImportError("skflowmix.displays requires matplotlib: pip install 'skflowmix[plot]'.") from error
    return plt


def as_rows(X):
    """Rows that can be drawn, float ndarray of shape (n_samples, n_features).

    Raises
    ------
    ValueError
        If there are none, or no columns.
    """
    rows = np.asarray(X, dtype=float)
    if rows.ndim != 2 or not rows.size:
        raise ValueError(f"X must have rows and columns; got an array of shape {rows.shape}.")
    return rows


def check_offers(estimator, *names, instead):
    """Raise a TypeError that says what to draw `instead`, where an estimator lacks what a picture is made of.

    Of methods that there are only now and then an estimator says more itself.
    """
    for name in names:
        if not hasattr(type(estimator), name) and not hasattr(estimator, name):
            raise TypeError(f"{type(estimator).__name__} has no {name}; {instead}.")


def feature_names(estimator, X, n_features):
    """Names of the features, those of the rows or of the estimator's fit, or else x0, x1, ..."""
    names = getattr(X, "columns", None)
    if names is None:
        names = getattr(estimator, "feature_names_in_", None)
    return [f"x{i}" for i in range(n_features)] if names is None else list(names)


def like_rows(points, estimator, X):
    """Points as a table, where the estimator has seen one in its fit, so that their features have names."""
    names = getattr(estimator, "feature_names_in_", None)
    if names is None:
        return points
    table = dict(zip(names, points.T, strict=True))
    if hasattr(X, "columns"):
        return type(X)(table)
    try:
        from pandas import DataFrame
    except ImportError:
        return points
    return DataFrame(table)


def _index(feature, names):
    if isinstance(feature, str):
        if feature not in names:
            raise ValueError(f"features names {feature!r}, and there are {list(names)}.")
        return names.index(feature)
    if not isinstance(feature, (int, np.integer)) or isinstance(feature, bool) or not 0 <= feature < len(names):
        raise ValueError(f"features must hold names or indices from 0 to {len(names) - 1}; got {feature!r}.")
    return int(feature)
