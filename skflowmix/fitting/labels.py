"""Class labels, of which -1 means unlabelled."""

import numpy as np
from sklearn.utils import assert_all_finite
from sklearn.utils.multiclass import check_classification_targets

UNLABELLED = -1


def encode_labels(y, n_samples):
    """Sorted classes, and each row's index among them.

    Parameters
    ----------
    y : array-like of shape (N,) or None
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
        If y is continuous, holds NaN, infinity or labels that cannot be sorted together, or is an array of strings in
        which "-1" can only be a -1 that numpy converted.
    """
    if y is None:
        return np.array([], dtype=int), np.full(n_samples, UNLABELLED)
    assert_all_finite(y, input_name="y")
    if y.dtype.kind in "US" and (y.astype(str) == "-1").any():
        raise ValueError("y holds strings and -1; pass an array of dtype object, so that -1 stays a number.")
    labelled = np.array([label != UNLABELLED for label in y.tolist()], dtype=bool)
    codes = np.full(n_samples, UNLABELLED)
    if not labelled.any():
        return y[:0], codes
    known = y[labelled]
    try:
        classes, codes[labelled] = np.unique(known, return_inverse=True)
    except TypeError as error:
        raise ValueError(f"y holds labels of types that cannot be sorted together: {error}.") from error
    check_classification_targets(known)
    return classes, codes


def encode_classes(y, n_samples):
    """As `encode_labels`, for classes to be told apart; -1 next to a single other label is a class.

    Raises
    ------
    ValueError
        As `encode_labels`, or if y labels no row.
    """
    classes, codes = encode_labels(y, n_samples)
    if not len(classes):
        raise ValueError("y labels no row: all of it is -1.")
    if len(classes) == 1 and (codes < 0).any():
        return np.unique(y, return_inverse=True)
    return classes, codes
