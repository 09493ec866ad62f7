"""The evidence for each of some partitions of the same rows, on equal terms."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np

from ..notes import note
from .background import background
from .evidence import Description, describe_clusters, mutual_neighbors, pieces, row_costs
from .whitening import whitening

_LEAST_SHARE = 1e-9


@dataclass(frozen=True)
class Evidence:
    """What speaks for each partition.

    Attributes
    ----------
    costs : ndarray of shape (n_partitions, N)
        What each row adds to the cost of each partition, infinite of those that have fewer clusters than others. The
        mean is the cost: rows count by their weights already.
    descriptions : dict of int to Description
        Of the partitions that have not.
    weight : ndarray of shape (N,)
        That of each row, without background; with mean one.
    n_clusters_of : callable
        ``labels -> int``, how many clusters of a partition count.
    """

    costs: np.ndarray
    descriptions: dict[int, Description]
    weight: np.ndarray
    n_clusters_of: Callable[[np.ndarray], int]

    @property
    def best(self):
        """Index of the partition with the lowest cost."""
        return int(np.argmin(self.costs.mean(1)))


def weigh(recorded, partitions, weight, random_state, *, borders=True):
    """The evidence for each partition.

    A cluster of mostly background is none, unless it is farther from the others than they are from each other. What is
    background counts for no partition. Neighbours are those in coordinates in which the average cluster is round. For a
    density a cluster with no more rows than features is none, since it fills no volume.

    Parameters
    ----------
    recorded : Rounded
    partitions : list of int ndarray of shape (N,)
    weight : ndarray of shape (N,)
    random_state : RandomState
    borders : bool, default=True
        Whether borders and pieces have a price; a density has neither, and has to explain the background as well.

    Returns
    -------
    Evidence
    """
    X, seed = recorded.values, random_state.randint(np.iinfo(np.int32).max)
    partitions = [np.unique(labels, return_inverse=True)[1] for labels in partitions]
    of_clusters = np.ones(len(X))
    note("background and neighbours")
    if borders:
        most_clusters = max(labels.max() for labels in partitions) + 1
        of_clusters -= background(recorded, weight, most_clusters, np.random.RandomState(seed))
    n_clusters_of = partial(_n_clusters_found, of_clusters, X) if borders else partial(_n_filling_volume, X.shape[1])
    n_clusters = [(n_clusters_of(labels), labels.max() + 1) for labels in partitions]
    counted = [i for i, number in enumerate(n_clusters) if number == max(n_clusters)]
    weight, edges, piece = weight * np.maximum(of_clusters, _LEAST_SHARE), None, None
    weight = weight / weight.mean()
    if borders:
        edges = mutual_neighbors(recorded.spread @ whitening(recorded, weight, [partitions[i] for i in counted]))
        piece = pieces(recorded.spread, of_clusters > 0.5, most_clusters)
    costs, descriptions = np.full((len(partitions), len(X)), np.inf), {}
    known: dict = {}
    for i in counted:
        labels = partitions[i]
        note(f"evidence for partition {i + 1} of {len(partitions)}")
        descriptions[i] = describe_clusters(X, labels, weight, recorded.variance, seed, known=known)
        costs[i] = weight * row_costs(descriptions[i], labels, weight, X.shape[1], edges, piece=piece)
    return Evidence(np.where(np.isnan(costs), np.inf, costs), descriptions, weight, n_clusters_of)


def _n_filling_volume(n_features, labels):
    """The number of clusters with more rows than features."""
    return (np.bincount(labels) > n_features).sum()


def _n_clusters_found(of_clusters, X, labels):
    """The number of clusters that are not mostly background, or are farther away than these are from each other."""
    is_cluster = 2 * np.bincount(labels, of_clusters) > np.bincount(labels)
    if not is_cluster.any():
        return 0
    rows = X[is_cluster[labels]]
    lowest, highest = rows.min(0), rows.max(0)
    distance = np.linalg.norm(X - X.clip(lowest, highest), axis=1)
    n_near = np.bincount(labels, distance <= np.linalg.norm(highest - lowest))
    return (is_cluster | (n_near == 0)).sum()
