"""Some rows in place of all, and all by those some.

The others follow their neighbours.
"""

import numpy as np
from scipy.sparse import identity
from sklearn.neighbors import NearestNeighbors

from .seeds import one_hot

_N_NEIGHBORS = 5


def sample_rows(weight, size, random_state):
    """So many rows, drawn by their weights, or all where there are no more: indices, and weights with mean one."""
    if len(weight) <= size:
        return np.arange(len(weight)), weight / weight.mean()
    return np.sort(random_state.choice(len(weight), size, replace=False, p=weight / weight.sum())), np.ones(size)


def followers(X, rows):
    """How much each row of X follows each of some rows of it, sparse matrix of shape (N, n); itself above all."""
    if len(rows) == len(X):
        return identity(len(X), format="csr")
    search = NearestNeighbors(n_neighbors=min(_N_NEIGHBORS, len(rows))).fit(X[rows])
    graph = search.kneighbors_graph(X, mode="distance")
    graph.data = 1 / np.maximum(graph.data, np.finfo(np.float32).tiny)
    return graph


def carry(labels, following):
    """Labels of all rows from those of the rows that they follow."""
    return (following @ one_hot(labels, labels.max() + 1)).argmax(1)
