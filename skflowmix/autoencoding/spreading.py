"""Classes of rows without a label, guessed from those with one along a graph of nearest neighbours."""

import numpy as np
from scipy import sparse
from scipy.sparse.linalg import cg
from sklearn.neighbors import NearestNeighbors

_N_NEIGHBORS = 5
_SHARPNESS = 4.0
_REACH = 0.99
_TOLERANCE = 1e-6


def spread_labels(X, codes):
    """A class for every row: its own, or the one whose labels reach it best.

    Label spreading of Zhou et al. (2004), Learning with local and global consistency, with edges that are the weaker
    the farther a neighbour is next to the row's other ones (Zelnik-Manor and Perona, 2004, Self-tuning spectral
    clustering).

    Parameters
    ----------
    X : ndarray of shape (N, D)
    codes : int ndarray of shape (N,)
        -1 for rows without a label.

    Returns
    -------
    int ndarray of shape (N,)
        -1 for rows that no label reaches.
    """
    if (codes >= 0).all():
        return codes
    system = sparse.identity(len(X), format="csr") - _REACH * _normalized_graph(X)
    scores = np.column_stack(
        [cg(system, (codes == code).astype(float), rtol=_TOLERANCE)[0] for code in range(codes.max() + 1)]
    )
    reached = np.where(scores.max(1) > _TOLERANCE, scores.argmax(1), -1)
    return np.where(codes >= 0, codes, reached)


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
