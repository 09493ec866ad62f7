"""Rows that a user gives, each column checked by itself."""

from numbers import Number

import numpy as np
from sklearn.exceptions import DataConversionWarning
from sklearn.utils.validation import _check_sample_weight, check_consistent_length, column_or_1d, validate_data

from ..fitting import Table
from ..fitting.labels import is_unlabelled, read_labels
from ..fitting.numbers import as_floats
from ..warn import warn_user

_LIGHTEST, _HEAVIEST = 1e-15, 1e15


def check_table(estimator, X, y, sample_weight, labels):
    """A Table of what `fit` was given; what X looks like is written down on the estimator.

    Raises
    ------
    ValueError
        If X, y or the weights are not what scikit-learn's estimators accept.
    """
    X = validate_data(estimator, X, dtype=np.float64, ensure_min_samples=2)
    weight = check_weights(sample_weight, X)
    if y is None and estimator.__sklearn_tags__().target_tags.required:
        raise ValueError(f"{type(estimator).__name__} requires y to be passed, but the target y is None.")
    if not is_learned(y, labels):
        return Table(X, None, weight)
    y = _one_column(y)
    check_consistent_length(X, y)
    return Table(X, y, weight)


def _one_column(y):
    """Labels as an array of one dimension, with a warning at the user's line where they are a table of one column."""
    column = column_or_1d(y)
    if np.asarray(y).ndim == 2:
        warn_user(
            "A column-vector y was passed when a 1d array was expected; pass one of shape (n_samples,).",
            DataConversionWarning,
        )
    return column


def check_weights(sample_weight, X):
    """Weights of the rows, ndarray of shape (n_samples,), finite, non-negative, some positive, none absurd."""
    if sample_weight is not None and not isinstance(sample_weight, Number):
        sample_weight = as_floats(sample_weight, "sample_weight")
    weight = _check_sample_weight(sample_weight, X, dtype=np.float64)
    if (weight < 0).any():
        raise ValueError("sample_weight must not hold negative weights.")
    positive = weight[weight > 0]
    if not len(positive):
        raise ValueError("sample_weight must hold at least one positive weight.")
    if positive.min() < _LIGHTEST or positive.max() > _HEAVIEST:
        raise ValueError(
            f"sample_weight must hold zeros and numbers from {_LIGHTEST} to {_HEAVIEST}; got some from "
            f"{positive.min()} to {positive.max()}."
        )
    return weight


def is_learned(y, labels):
    """Whether a y is learned: "all" is any, "none" is none, "partial" is one that holds -1, also as a string."""
    if y is None or labels == "none":
        return False
    values = np.asarray(y, dtype=object).ravel()
    return labels == "all" or any(is_unlabelled(v) or (isinstance(v, str) and v == "-1") for v in values)


def check_scored(X, y, sample_weight, classes):
    """The rows that have a label to be compared with, a list of their labels, and their weights.

    Raises
    ------
    ValueError
        If y or the weights do not belong to X, or none of the rows counts.
    """
    if y is None:
        raise ValueError("score requires y, the true classes; it is None.")
    y, weight = _one_column(y), check_weights(sample_weight, X)
    check_consistent_length(X, y)
    labels, minus_one_is_a_class = read_labels(y), any(map(is_unlabelled, classes.tolist()))
    known = np.array([minus_one_is_a_class or not is_unlabelled(label) for label in labels])
    if not weight[known].any():
        raise ValueError("y labels no row of positive weight.")
    return X[known], [label for label, is_known in zip(labels, known, strict=True) if is_known], weight[known]
