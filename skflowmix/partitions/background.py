"""Rows that belong to no cluster.

A few rows anywhere are no cluster, but a partition may gain by making one of them: two true clusters are described as
well together, by several Gaussians, and the stray rows are worth a Gaussian of their own. A uniform component beside
the Gaussians explains such rows without (Banfield and Raftery, 1993, Model-based Gaussian and non-Gaussian clustering,
Biometrics 49). It is fitted once, and what it explains counts for no partition.
"""

import numpy as np

from .evidence import REG_COVAR, describe
from .sampling import sample_rows

_MAX_ROWS = 3000
_MAX_PARTS = 60
_MOST = 0.2


def background(recorded, weight, n_clusters, random_state):
    """The probability of each row that it is one of uniform background.

    The density is uniform over the box of all rows, beside at least as many Gaussians as there are clusters: fewer
    would leave some of those over. Background of more than a fifth of the rows is a cluster, and none.

    Parameters
    ----------
    recorded : Rounded
    weight : ndarray of shape (N,)
    n_clusters : int
    random_state : RandomState

    Returns
    -------
    ndarray of shape (N,)
    """
    drawn, drawn_weight = sample_rows(weight, max(_MAX_ROWS, 10 * n_clusters), random_state)
    X, seed = recorded.values, random_state.randint(np.iinfo(np.int32).max)
    sides = np.ptp(X, axis=0) + np.sqrt(12 * (REG_COVAR + recorded.variance))
    sizes = {"min_parts": n_clusters, "max_parts": _MAX_PARTS}
    fit, _ = describe(X[drawn], drawn_weight, recorded.variance, seed, log_uniform=-np.log(sides).sum(), **sizes)
    probability = np.exp(fit.log_background - np.logaddexp(fit.log_background, fit.log_prob(X)))
    return probability if np.average(probability, weights=weight) <= _MOST else np.zeros(len(X))
