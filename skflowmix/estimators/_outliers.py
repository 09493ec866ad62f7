"""Rows that are unlike those of the fit: methods that a density has where `contamination` is a share."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from sklearn.utils.metaestimators import available_if


def _has_threshold(estimator):
    if estimator.contamination is None:
        raise AttributeError("Outliers are told only with contamination as a share of the rows.")
    return True


@available_if(_has_threshold)
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


@available_if(_has_threshold)
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
