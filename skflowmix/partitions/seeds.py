"""Responsibilities from centres, or from nothing."""

import numpy as np
from sklearn.cluster import KMeans, kmeans_plusplus
from sklearn.metrics import pairwise_distances_argmin

_MOVED = 1e-5


def one_hot(labels, n_components):
    """Responsibilities of a partition: ints of shape (N,) -> ndarray of shape (N, K)."""
    return np.eye(n_components)[labels]


def kmeans(X, n_components, weight, random_state, *, n_init=3):
    """The clusters of k-means, the best of a few starts."""
    return one_hot(fit_kmeans(X, n_components, weight, random_state, n_init=n_init).labels_, n_components)


def fit_kmeans(X, n_clusters, weight, random_state, *, n_init):
    """scikit-learn's model, which finds so many clusters; of rows that are all but equal some are moved for that.

    It would warn instead, and warnings cannot be held back where there are other threads.
    """
    if _n_different(X) < n_clusters:
        X = X + _MOVED * (np.ptp(X) or 1.0) * np.random.RandomState(0).standard_normal(X.shape)
    return KMeans(n_clusters, n_init=n_init, random_state=random_state).fit(X, sample_weight=weight)


def _n_different(X):
    """A number of rows that differ by more than k-means overlooks, by their places on a line."""
    line = X @ np.random.RandomState(0).standard_normal(X.shape[1])
    return len(np.unique((line / (_MOVED * (np.ptp(line) or 1.0))).round()))


def kmeans_plus_plus(X, n_components, weight, random_state):
    """Each row to the nearest of the centres that k-means++ draws (Arthur and Vassilvitskii, 2007)."""
    centers, _ = kmeans_plusplus(X, n_components, sample_weight=weight, random_state=random_state)
    return one_hot(pairwise_distances_argmin(X, centers), n_components)


def random_from_data(X, n_components, weight, random_state):
    """Each row to the nearest of rows drawn by weight."""
    rows = random_state.choice(len(X), n_components, replace=False, p=weight / weight.sum())
    return one_hot(pairwise_distances_argmin(X, X[rows]), n_components)


def random(X, n_components, weight, random_state):
    """Uniform random responsibilities: all components start near the Gaussian of all rows."""
    resp = random_state.uniform(size=(len(X), n_components))
    return resp / resp.sum(1, keepdims=True)
