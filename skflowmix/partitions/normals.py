r"""Clusters that are normal distributions, one each, where nothing explains the rows better.

Normal clusters may cross, or lie within each other. Borders are then no sign of a wrong partition, since the best
description of the rows itself says that there are some, and any partition with clearer borders would win. So where a
mixture of K normal distributions has a lower Bayesian information criterion than every mixture of more of them that was
found, it is the answer: the textbook case of model-based clustering (Fraley and Raftery, 2002, Journal of the American
Statistical Association 97). Clusters of any other shape need more than one normal distribution, and are not concerned.
"""

import numpy as np
from scipy.special import softmax

from .evidence import REG_COVAR, describe
from .gaussian import fit_gaussians
from .sampling import sample_rows
from .seeds import one_hot

_MAX_ROWS = 3000
_MAX_ITER, _TOL = 100, 1e-4
_N_RANDOM_STARTS = 5


def as_normals(recorded, partitions, evidence, random_state):
    """Labels by as many normal distributions as there are clusters, or None where more of them are better.

    They are fitted to at most 3,000 rows or ten a cluster, without background. Starts are the partitions and random
    memberships, from which distributions with a common centre part.

    Parameters
    ----------
    recorded : Rounded
    partitions : list of int ndarray of shape (N,)
    evidence : Evidence
        Of the partitions.
    random_state : RandomState

    Returns
    -------
    int ndarray of shape (N,), or None
    """
    n_clusters = 1 + max(labels.max() for labels in partitions)
    rows, weight = sample_rows(evidence.weight, max(_MAX_ROWS, 10 * n_clusters), random_state)
    X, seed = recorded.values[rows], random_state.randint(np.iinfo(np.int32).max)
    if len(X) < 2.5 * n_clusters * (X.shape[1] + 1):
        return None
    accuracy = {"max_iter": _MAX_ITER, "tol": _TOL}
    how = {"reg_covar": REG_COVAR + recorded.variance, **accuracy}
    different = np.unique([partitions[i][rows] for i in evidence.descriptions], axis=0)
    starts = [one_hot(labels, n_clusters) for labels in different]
    starts += [random_state.dirichlet(np.ones(n_clusters), len(X)) for _ in range(_N_RANDOM_STARTS)]
    criterion, fit, diagonal = _best_normals(X, weight, starts, how)
    for described in evidence.descriptions.values():
        mean_log_prob = np.average(described.log_prob[rows], weights=weight)
        is_richer = described.n_parts > described.log_joint.shape[1]
        if is_richer and _criterion(mean_log_prob, described.n_parameters, len(X)) < criterion:
            return None
    sizes = {"min_parts": n_clusters + 1, "max_parts": 2 * n_clusters}
    richer, n_parameters = describe(X, weight, recorded.variance, seed, **sizes, **accuracy)
    if _criterion(richer.mean_log_prob, n_parameters, len(X)) < criterion:
        return None
    for start in _splits(X, weight, softmax(fit.log_joint(X), axis=1)):
        richer = fit_gaussians(X, weight, start, diagonal=diagonal, **how)
        n_parameters = _n_parameters(n_clusters + 1, X.shape[1], diagonal)
        if _criterion(richer.mean_log_prob, n_parameters, len(X)) < criterion:
            return None
    if len(rows) < len(recorded):
        start = softmax(fit.log_joint(recorded.values), axis=1)
        fit = fit_gaussians(recorded.values, evidence.weight, start, diagonal=diagonal, **how)
    labels = fit.log_joint(recorded.values).argmax(1)
    n_found = max(evidence.n_clusters_of(partitions[i]) for i in evidence.descriptions)
    return labels if evidence.n_clusters_of(labels) >= n_found else None


def _splits(X, weight, resp):
    """Responsibilities (N, K + 1) with each of K distributions in turn in two halves, across its longest axis."""
    for k, own in enumerate(resp.T):
        share = own * weight
        off = X - share @ X / share.sum()
        _, axes = np.linalg.eigh((off.T * share) @ off)
        half = off @ axes[:, -1] > 0
        yield np.column_stack([np.delete(resp, k, axis=1), own * half, own * ~half])


def _best_normals(X, weight, starts, how):
    """The lowest criterion, the mixture that has it, and whether its covariances are diagonal."""
    found = []
    for diagonal in (False, True) if X.shape[1] > 1 else (True,):
        fits = [fit_gaussians(X, weight, start, diagonal=diagonal, **how) for start in starts]
        fit = max(fits, key=lambda fit: fit.mean_log_prob)
        n_parameters = _n_parameters(starts[0].shape[1], X.shape[1], diagonal)
        found.append((_criterion(fit.mean_log_prob, n_parameters, len(X)), fit, diagonal))
    return min(found, key=lambda one: one[0])


def _n_parameters(n_parts, n_features, diagonal):
    return n_parts * (1 + n_features + (n_features if diagonal else n_features * (n_features + 1) // 2)) - 1


def _criterion(mean_log_prob, n_parameters, n):
    """The Bayesian information criterion."""
    return n * (-2 * mean_log_prob) + n_parameters * np.log(n)
