"""Coordinates in which the average cluster is round, so that units and slants of the features say nothing."""

import numpy as np

from .seeds import one_hot


def whitening(recorded, weight, partitions):
    """Linear map, (D, D), to coordinates in which the average cluster of all partitions is round."""
    within = np.mean([_within(recorded.values, weight, labels) for labels in partitions], axis=0)
    return np.linalg.cholesky(np.linalg.inv(within + np.diag(1e-3 + recorded.variance)))


def _within(X, weight, labels):
    """The pooled covariance of the clusters, (D, D)."""
    resp = one_hot(labels, labels.max() + 1) * weight[:, None]
    centred = X - (resp / resp.sum(1, keepdims=True)) @ (resp.T @ X / resp.sum(0)[:, None])
    return (weight[:, None] * centred).T @ centred / weight.sum()
