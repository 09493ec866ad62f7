"""Labels of all rows from those of some."""

import numpy as np
from sklearn.neighbors import NearestNeighbors
from sklearn.semi_supervised import LabelSpreading

_N_NEIGHBORS = 10
_REACH = 0.99
_MAX_ITER = 100_000  # Far more than it takes, so that nothing is left to warn of.


def spread_labels(X, codes):
    """A class for every row: its own, or one that reaches it along a graph of nearest neighbours.

    Label spreading of Zhou et al. (2004), Learning with local and global consistency. Rows that no label reaches, or
    two alike, have the class of the nearest row that is decided.
    """
    if (codes >= 0).all():
        return codes
    model = LabelSpreading(kernel="knn", n_neighbors=min(_N_NEIGHBORS, len(X) - 1), alpha=_REACH, max_iter=_MAX_ITER)
    scores = model.fit(X, codes).label_distributions_
    best, second = np.sort(np.column_stack([scores, np.zeros(len(X))]), axis=1)[:, :-3:-1].T
    decided = (codes >= 0) | (best > second)
    classes = np.where(codes >= 0, codes, model.transduction_)
    if not decided.all():
        nearest = NearestNeighbors(n_neighbors=1).fit(X[decided]).kneighbors(X[~decided], return_distance=False)
        classes[~decided] = classes[decided][nearest[:, 0]]
    return classes
