"""Class labels, of which -1 means unlabelled."""

from collections.abc import Hashable
from numbers import Number

import numpy as np
from sklearn.utils._missing import is_pandas_na, is_scalar_nan
from sklearn.utils.multiclass import check_classification_targets

UNLABELLED = -1
_OFTEN = 3  # scikit-learn warns of classes of one row each, and points at this package; estimators do so themselves.


def is_unlabelled(label):
    """Whether a label is the number -1."""
    return isinstance(label, Number) and bool(label == UNLABELLED)


def read_labels(y):
    """The labels of an ndarray as Python's own values, so that those of any dtype can be compared.

    Raises
    ------
    ValueError
        If some are missing, infinite, bytes or not one value, or if y is an array of strings in which "-1" can only be
        a -1 that numpy converted.
    """
    if y.dtype.kind in "US" and (y.astype(str) == str(UNLABELLED)).any():
        raise ValueError("y holds strings and -1; pass an array of dtype object, so that -1 stays a number.")
    labels = y.tolist()
    if any(isinstance(label, bytes) for label in labels):
        raise ValueError("y holds bytes; decode them to strings, by np.char.decode for example.")
    if any(label is None or is_pandas_na(label) or is_scalar_nan(label) for label in labels):
        raise ValueError("y contains NaN or other missing values; -1 marks a row without a label.")
    if any(isinstance(label, float) and np.isinf(label) for label in labels):
        raise ValueError("y contains infinity; it must hold class labels.")
    if y.dtype.kind == "V" or not all(isinstance(label, Hashable) for label in labels):
        raise ValueError("y must hold one label for each row; got arrays or records.")
    return labels


def encode_labels(y, n_samples):
    """Sorted classes, and each row's index among them.

    Parameters
    ----------
    y : ndarray of shape (N,) or None
        Integers, integral floats, booleans, strings or objects; -1 stands for unlabelled rows.
    n_samples : int
        Number N of rows.

    Returns
    -------
    classes : ndarray of shape (n_classes,)
    codes : int ndarray of shape (N,)
        -1 for unlabelled rows.

    Raises
    ------
    ValueError
        If y is continuous, holds labels that cannot be sorted together, or what `read_labels` refuses.
    """
    codes = np.full(n_samples, UNLABELLED)
    if y is None:
        return np.array([], dtype=int), codes
    labels = read_labels(y)
    labelled = np.array([not is_unlabelled(label) for label in labels], dtype=bool)
    if not labelled.any():
        return y[:0], codes
    known = y[labelled]
    if known.dtype == object and all(isinstance(label, Number) for label in known):
        known = np.array(known.tolist())
    try:
        classes, codes[labelled] = np.unique(known, return_inverse=True)
    except TypeError as error:
        raise ValueError(f"y holds labels of types that cannot be sorted together: {error}.") from error
    try:
        check_classification_targets(np.repeat(classes, _OFTEN))
    except ValueError as error:
        raise ValueError(f"y is learned, and does not hold classes. {error}") from error
    return classes, codes


def encode_classes(y, n_samples):
    """As `encode_labels`, for classes to be told apart; -1 next to a single other number is a class.

    Raises
    ------
    ValueError
        As `encode_labels`, or if y labels no row, or names one class that is no number next to -1.
    """
    classes, codes = encode_labels(y, n_samples)
    if not len(classes):
        raise ValueError("y labels no row: all of it is -1.")
    if len(classes) > 1 or (codes >= 0).all():
        return classes, codes
    if not isinstance(classes[0], Number):
        raise ValueError(f"y names the one class {classes[0]!r} next to -1: there is nothing to tell apart.")
    return np.unique(y, return_inverse=True)
