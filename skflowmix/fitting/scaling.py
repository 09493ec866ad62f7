r"""The units of the features: a monotone map of each, under which most rows have mean zero and scale one.

A few rows far away say nothing about the scale of the others, but they rule means and variances. With the weighted
median m of a feature and the deviation q that a fifth of the rows that deviate at all exceed, rows farther than 10 q
from m are outlying. Mean and standard deviation count them as if they were at 10 q, beyond which the map goes on as a
logarithm, so that no number is too far away to be learned from:

.. math:: d = (x - m) / 10 q, \qquad g(d) = d \text{ for } |d| \le 1, \text{ else }
          \pm [1 + b \log (1 + (|d| - 1) / b)], \qquad z = (g(d) - \bar g) / s.

Its slope is continuous and known, so that densities are exact in the units of X. Of normal rows 10 q is 13 standard
deviations, c say: where there are no outlying rows this is standardisation. Under a normal density of z the tail beyond
is a power of x, with the index :math:`c^2 b`, which is 3 for b = .02. A share that is larger than a fifth is structure;
the package's background of clusters ends there as well.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

_OUTLYING_SHARE = 0.2
_FAR = 10.0
_BEND = 0.02
_LEAST_SCALE = 1e-4  # That of one row in a million; what deviates by less would be too far away for a covariance.
_LARGEST = np.finfo(float).max
_FARTHEST = _LARGEST / 1000
_SMALLEST = np.finfo(float).tiny


@dataclass(frozen=True)
class FeatureScaler:
    """The map of each feature.

    Attributes
    ----------
    center, limit : ndarray of shape (D,)
        Median m, and 10 q, in the units of X.
    mean, scale : ndarray of shape (D,)
        Of d, outlying ones cut to -1 or 1.
    """

    center: np.ndarray
    limit: np.ndarray
    mean: np.ndarray
    scale: np.ndarray

    @classmethod
    def of(cls, X, weight):
        """The map of some rows.

        Parameters
        ----------
        X : ndarray of shape (N, D)
        weight : ndarray of shape (N,)
            Positive.

        Raises
        ------
        ValueError
            If double precision cannot tell a feature's values apart in one unit.
        """
        columns = [_map_of(column, weight, index) for index, column in enumerate(X.T)]
        return cls(*map(np.array, zip(*columns, strict=True)))

    def check_same_units(self, other):
        """Raise a ValueError where most of another fit's rows would be outlying here, or rows of this one there."""
        larger, smaller = np.maximum(self.limit, other.limit), np.minimum(self.limit, other.limit)
        moved = (np.abs(self.center / larger - other.center / larger) > 1) | (larger / smaller > _FAR)
        if moved.any():
            raise ValueError(
                f"warm_start=True goes on from a fit of rows in other units: feature {np.flatnonzero(moved)[0]} has "
                "another location or scale. Fit anew with warm_start=False."
            )

    def transform(self, X):
        """Rows in the units of X -> scaled rows, ndarray of shape (N, D), all finite."""
        return self.transform_and_log_det(X)[0]

    def trust(self, X):
        """How far the rows can be trusted to tell a scale: one, or less the farther they are outlying, (N,)."""
        return 1 / np.maximum(np.abs(self._deviation(X)).max(1), 1)

    def transform_and_log_det(self, X):
        """Rows in the units of X -> scaled rows, (N, D), and the logarithm of the map's determinant at each, (N,).

        Where X and the attributes are tensors of torch, so are these.
        """
        deviation, of = self._deviation(X), _functions_of(X)
        beyond = of.log1p(of.clip(of.abs(deviation) - 1, 0, None) / _BEND)
        bent = of.where(beyond > 0, of.sign(deviation) * (1 + _BEND * beyond), deviation)
        log_det = -(of.log(self.limit) + of.log(self.scale)).sum() - beyond.sum(1)
        return (bent - self.mean) / self.scale, log_det

    def _deviation(self, X):
        """d, in float64 of shape (N, D); what overflows is as far away as numbers go."""
        of = _functions_of(X)
        with np.errstate(over="ignore"):
            deviation = of.clip(X - self.center, -_LARGEST, _LARGEST) / self.limit
        return of.clip(deviation, -_FARTHEST, _FARTHEST)

    def inverse_transform(self, Z):
        """Scaled rows -> rows in the units of X."""
        bent = Z * self.scale + self.mean
        size = np.abs(bent)
        with np.errstate(over="ignore"):
            beyond = np.sign(bent) * (1 + _BEND * np.expm1(np.maximum(size - 1, 0) / _BEND))
            deviation = np.where(size <= 1, bent, beyond)
            return np.clip(self.center + deviation * self.limit, -_LARGEST, _LARGEST)


def _functions_of(X):
    """numpy, or torch, whose functions have the same names."""
    return torch if isinstance(X, torch.Tensor) else np


def _map_of(column, weight, index):
    """Center, limit, mean and scale of a feature; a constant one has the unit one."""
    center = _weighted_quantile(column, weight, 0.5)
    with np.errstate(over="ignore"):
        size = np.abs(column - center)
    if not np.isfinite(size).all():
        raise ValueError(f"Feature {index} of X spans more than double precision can hold; rescale it.")
    deviates = size > 0
    if not deviates.any():
        return center, _FAR, 0.0, 1 / _FAR
    with np.errstate(over="ignore"):
        limit = _FAR * _weighted_quantile(size[deviates], weight[deviates], 1 - _OUTLYING_SHARE)
    if not _SMALLEST <= limit <= _LARGEST:
        raise ValueError(
            f"Feature {index} of X has a spread of {limit / _FAR:.1e}, beyond double precision; rescale it."
        )
    deviation, weight = np.clip((column - center) / limit, -1, 1), weight / weight.sum()
    mean = weight @ deviation
    return center, limit, mean, max(np.sqrt(weight @ (deviation - mean) ** 2), _LEAST_SCALE)


def _weighted_quantile(values, weight, share):
    """The smallest value that at least such a share of the weight does not exceed."""
    order = np.argsort(values, kind="stable")
    reached = np.cumsum(weight[order])
    return values[order[np.searchsorted(reached, share * reached[-1] * (1 - 1e-12))]]
