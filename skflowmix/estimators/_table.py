"""Rows that a user gives to `fit`, each column checked by itself."""

import numpy as np
from sklearn.utils.validation import _check_sample_weight, check_consistent_length, column_or_1d, validate_data

from ..fitting import Table


def check_table(estimator, X, y, sample_weight):
    """A Table of what `fit` was given; what X looks like is written down on the estimator.

    Raises
    ------
    ValueError
        If X, y or the weights are not what scikit-learn's estimators accept, or no weight is positive.
    """
    X = validate_data(estimator, X, dtype=np.float64, ensure_min_samples=2)
    weight = _check_sample_weight(sample_weight, X, dtype=np.float64)
    if (weight < 0).any():
        raise ValueError("sample_weight must not hold negative weights.")
    if not (weight > 0).any():
        raise ValueError("sample_weight must hold at least one positive weight.")
    if y is not None:
        y = column_or_1d(y, warn=True)
        check_consistent_length(X, y)
    elif estimator.__sklearn_tags__().target_tags.required:
        raise ValueError(f"{type(estimator).__name__} requires y to be passed, but the target y is None.")
    return Table(X, y, weight)
