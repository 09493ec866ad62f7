"""Classes of rows without a label from a graph of nearest neighbours, as probabilities to begin with."""

import numpy as np
from scipy import sparse
from scipy.sparse.linalg import cg
from sklearn.neighbors import NearestNeighbors

_N_NEIGHBORS = 5
_SHARPNESS = 4.0
_REACH = 0.99
_TOLERANCE = 1e-6


def spread_classes(X, codes, n_classes):
    """Probabilities of the classes of rows: those of labels that reach a row along a graph of nearest neighbours.

    Label spreading of Zhou et al. (2004), Learning with local and global consistency, with edges that are the weaker
    the farther a neighbour is next to the row's other ones (Zelnik-Manor and Perona, 2004, Self-tuning spectral
    clustering).

    Parameters
    ----------
    X : ndarray of shape (N, D)
    codes : int ndarray of shape (N,)
        -1 for rows without a label.
    n_classes : int

    Returns
    -------
    ndarray of shape (N, n_classes)
        Rows that no label reaches have equal probabilities, those with a label have it for certain.
    """
    labels = np.eye(n_classes)[codes] * (codes >= 0)[:, None]
    scores = np.zeros_like(labels)
    if len(X) > 1:
        graph = _normalized_graph(X)
        system = sparse.identity(len(X), format="csr") - _REACH * graph
        for code in range(n_classes):
            scores[:, code], _ = cg(system, labels[:, code], rtol=_TOLERANCE)
    scores = scores.clip(0)
    total = scores.sum(1, keepdims=True)
    resp = np.divide(scores, total, out=np.full_like(scores, 1 / n_classes), where=total > 0)
    return np.where((codes >= 0)[:, None], labels, resp)


def _normalized_graph(X):
    """Symmetric sparse weights of edges, each over the root of the product of its ends' sums."""
    n_neighbors = min(_N_NEIGHBORS, len(X) - 1)
    distance, neighbor = NearestNeighbors(n_neighbors=n_neighbors).fit(X).kneighbors()
    farthest = np.maximum(distance[:, -1:], np.finfo(float).tiny)
    weight = np.exp(-_SHARPNESS * (distance / farthest) ** 2)
    row = np.repeat(np.arange(len(X)), n_neighbors)
    graph = sparse.csr_matrix((weight.ravel(), (row, neighbor.ravel())), (len(X), len(X)))
    graph = graph + graph.T
    scale = sparse.diags(1 / np.sqrt(np.asarray(graph.sum(1)).ravel()))
    return scale @ graph @ scale
