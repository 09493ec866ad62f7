"""Labels of all rows from those of some."""

import warnings

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.semi_supervised import LabelSpreading

_N_NEIGHBORS = 10
_REACH = 0.99


def spread_labels(X, codes):
    """A class for every row: its own, or one that reaches it along a graph of nearest neighbours.

    Label spreading of Zhou et al. (2004), Learning with local and global consistency.
    """
    if (codes >= 0).all():
        return codes
    model = LabelSpreading(kernel="knn", n_neighbors=min(_N_NEIGHBORS, len(X) - 1), alpha=_REACH, max_iter=1000)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        classes = model.fit(X, codes).transduction_
    return np.where(codes >= 0, codes, classes)
