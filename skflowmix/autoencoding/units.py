"""The units that an autoencoder has its rows in: what a likelihood asks of values, and the way there and back."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch

from ..fitting.scaling import FeatureScaler

_SHARE_OF_ZEROS_AND_ONES = 0.25
_OFF_THE_GRID = 0.05


class Units(Protocol):
    """Between the units of X and those of a model."""

    def inner(self, X: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Rows of the model (N, D), and logarithms of what densities there are to be multiplied by, (N,)."""

    def outer(self, x: np.ndarray) -> np.ndarray:
        """Rows in the units of X."""

    def tell(self, likelihood) -> None:
        """Tell a likelihood what it has to know of the values."""


class Probabilities:
    """Values from 0 to 1, as they are; what lies outside counts as 0 or 1."""

    @classmethod
    def of(cls, X, weight=None):
        """Raise a ValueError where values are no probabilities."""
        if X.min() < 0 or X.max() > 1:
            raise ValueError(
                "likelihood='bernoulli' requires values from 0 to 1; X holds some from "
                f"{X.min():.4g} to {X.max():.4g}. Rescale X, or take likelihood='normal'."
            )
        return cls()

    def inner(self, X):
        return np.clip(X, 0, 1), np.zeros(len(X))

    def outer(self, x):
        return x

    def tell(self, likelihood):
        pass


@dataclass(frozen=True)
class Standardized:
    """Features of mean zero and scale one; far rows are drawn nearer, and their densities account for it.

    Attributes
    ----------
    scaler : FeatureScaler
    """

    scaler: FeatureScaler

    @classmethod
    def of(cls, X, weight=None):
        return cls(FeatureScaler.of(X, np.ones(len(X)) if weight is None else weight))

    def inner(self, X):
        return self.scaler.transform_and_log_det(X)

    def outer(self, x):
        return self.scaler.inverse_transform(x)

    def tell(self, likelihood):
        pass


@dataclass(frozen=True)
class Recorded:
    """Values on a grid, standardised; those beyond the first and the last count as these.

    The grid is one of all features where all values are multiples of the smallest distance of two; else each feature
    has the smallest of its own.

    Attributes
    ----------
    center, scale, width, low, high : ndarray of shape (D,)
        Mean, deviation (one of a constant feature), width of the grid, first and last value.
    """

    center: np.ndarray
    scale: np.ndarray
    width: np.ndarray
    low: np.ndarray
    high: np.ndarray

    @classmethod
    def of(cls, X, weight=None):
        center = np.average(X, axis=0, weights=weight)
        scale = np.sqrt(np.average((X - center) ** 2, axis=0, weights=weight))
        return cls(center, np.where(scale > 0, scale, 1.0), _widths(X), X.min(0), X.max(0))

    def inner(self, X):
        return (np.clip(X, self.low, self.high) - self.center) / self.scale, np.zeros(len(X))

    def outer(self, x):
        return x * self.scale + self.center

    def tell(self, likelihood):
        ends = self.width / self.scale, *((end - self.center) / self.scale for end in (self.low, self.high))
        likelihood.set_grid(*map(torch.from_numpy, ends))


def _widths(X):
    """Width of the grid of each feature, 1 of a constant one: ndarray of shape (D,)."""
    gaps = [np.diff(np.unique(column)) for column in X.T]
    own = np.array([gap.min(initial=np.inf) for gap in gaps])
    common = own.min()
    steps = np.concatenate(gaps) / common if np.isfinite(common) else np.zeros(0)
    is_common = (np.abs(steps - steps.round()) < _OFF_THE_GRID).all()
    return np.where(np.isfinite(own), common if is_common else own, 1.0)


UNITS: dict[str, Callable[..., Units]] = {
    "bernoulli": Probabilities.of,
    "logistic": Recorded.of,
    "normal": Standardized.of,
}


def fitting_likelihood(X):
    """The likelihood that "auto" stands for: "bernoulli" of values from 0 to 1 of which a quarter are 0 or 1."""
    if X.min() < 0 or X.max() > 1:
        return "normal"
    at_an_end = np.mean((X == 0) | (X == 1))
    return "bernoulli" if at_an_end >= _SHARE_OF_ZEROS_AND_ONES else "normal"
