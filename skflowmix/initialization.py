"""First responsibilities: which component each row starts in.

An initialiser is a function ``(X, n_components, weight, random_state) -> resp`` of standardised rows, with
``resp`` of shape (N, K). It decides which clusters are found: training bends components, but seldom moves
them to other rows.
"""

import numpy as np
import torch
from sklearn.cluster import KMeans, kmeans_plusplus
from sklearn.metrics import pairwise_distances_argmin

from .bases import Normal
from .flows import make_flow
from .mixture import FlowMixture

_MAX_EM_STEPS = 100
_EM_TOLERANCE = 1e-3


def one_hot(labels, n_components):
    """Responsibilities of a partition: ints of shape (N,) -> ndarray of shape (N, K)."""
    return np.eye(n_components)[labels]


def kmeans(X, n_components, weight, random_state):
    """The clusters of k-means."""
    model = KMeans(n_components, n_init=3, random_state=random_state).fit(X, sample_weight=weight)
    return one_hot(model.labels_, n_components)


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


def gmm(X, n_components, weight, random_state, *, reg_covar=1e-6):
    """Gaussian mixture by expectation-maximisation from the clusters of k-means.

    It is the affine flow mixture whose `initialize` is the maximisation step, which, unlike scikit-learn's,
    heeds the rows' weights.
    """
    mixture = FlowMixture(
        make_flow("affine", n_components, X.shape[1], reg_covar=reg_covar),
        Normal(n_components, X.shape[1]),
        n_components,
    ).double()
    x, weight = torch.as_tensor(X, dtype=torch.float64), torch.as_tensor(weight, dtype=torch.float64)
    resp = torch.as_tensor(kmeans(X, n_components, weight.numpy(), random_state))
    bound = -np.inf
    with torch.no_grad():
        for _ in range(_MAX_EM_STEPS):
            mixture.initialize(x, resp * weight[:, None])
            log_joint = mixture.log_joint(x)
            resp = log_joint.softmax(-1)
            previous, bound = bound, float((log_joint.logsumexp(-1) * weight).sum() / weight.sum())
            if bound - previous < _EM_TOLERANCE:
                break
    return resp.numpy()


INITIALIZERS = {
    "gmm": gmm,
    "k-means++": kmeans_plus_plus,
    "kmeans": kmeans,
    "random": random,
    "random_from_data": random_from_data,
}
