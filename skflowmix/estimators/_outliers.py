"""Rows that are unlike those of the fit: methods that a density has where `contamination` is a share."""

from __future__ import annotations

from types import MethodType
from typing import Any

import numpy as np
from numpy.typing import ArrayLike


class _WithContamination:
    """A method only where outliers are told; elsewhere it says when, which scikit-learn's `available_if` does not."""

    def __init__(self, method):
        self.method = method

    def __get__(self, estimator, owner=None):
        if estimator is None:
            return self.method
        if estimator.contamination is None:
            raise AttributeError(
                f"{self.method.__name__} takes contamination, the share of the rows to fit that are outliers, which is "
                f"None here: {type(estimator).__name__}(contamination=0.05), for example."
            )
        return MethodType(self.method, estimator)


@_WithContamination
def decision_function(self: Any, X: ArrayLike) -> np.ndarray:
    """How far the log-density of each row is above `offset_`, in nats; outliers are below zero.

    Parameters
    ----------
    X : array-like of shape (n_samples, n_features)

    Returns
    -------
    ndarray of shape (n_samples,)
    """
    return self.score_samples(X) - self.offset_


@_WithContamination
def predict_outliers(self: Any, X: ArrayLike) -> np.ndarray:
    """Which rows are outliers, -1, and which are not, 1, as of `sklearn.ensemble.IsolationForest.predict`.

    Parameters
    ----------
    X : array-like of shape (n_samples, n_features)

    Returns
    -------
    int ndarray of shape (n_samples,)
    """
    return np.where(self.decision_function(X) < 0, -1, 1)
