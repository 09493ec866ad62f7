"""Clusters that a few labels name.

Where all labels of a class lie in a cluster of their own, and clusters explain the rows better than what spreads from
the labels, the classes are these clusters: a label here or there tells a graph little of where two moons end, but the
rows all together do. One label that contradicts is enough for clusters to be none of it.
"""

from dataclasses import replace

import numpy as np

from ..notes import note
from ..partitions.automatic import candidates, reduce_features
from ..partitions.judge import weigh
from ..partitions.reachability import spanning_tree
from ..partitions.sampling import carry, followers, sample_rows
from .spreading import spread_labels

_MAX_ROWS = 3000


def with_clusters(data, X, random_state):
    """A `TrainingSet` with the clusters that its labels name.

    Parameters
    ----------
    data : TrainingSet
    X : ndarray of shape (N, D)
        Its rows, standardised.
    random_state : RandomState

    Returns
    -------
    TrainingSet
    """
    n_classes = data.codes.max(initial=-1) + 1
    if n_classes < 2 or (data.codes >= 0).all():
        return data
    rows, weight = sample_rows(data.weight, max(_MAX_ROWS, 10 * n_classes), random_state)
    if len(rows) <= n_classes + 1:
        return data
    note("clusters that labels name")
    recorded, following = reduce_features(X[rows], random_state), followers(X, rows)
    views = candidates(recorded, n_classes, weight, spanning_tree(recorded.spread), random_state)
    named = [_named(carry(labels, following), data.codes) for labels in views]
    partitions = [spread_labels(X, data.codes), *(classes for classes in named if classes is not None)]
    if len(partitions) == 1:
        return data
    best = weigh(recorded, [classes[rows] for classes in partitions], weight, random_state).best
    return replace(data, clusters=partitions[best]) if best else data


def _named(labels, codes):
    """The classes of clusters, (N,); None unless each class has labels in one cluster and each cluster of one class."""
    given = codes >= 0
    pairs = np.unique(np.column_stack([labels, codes])[given], axis=0)
    n_classes = codes.max() + 1
    if len(pairs) != n_classes or len(np.unique(pairs[:, 0])) != n_classes:
        return None
    return pairs[:, 1][np.searchsorted(pairs[:, 0], labels)]
