"""Pieces of the graph of nearest neighbours."""

import numpy as np
from scipy import sparse
from scipy.sparse.linalg import eigsh
from sklearn.neighbors import NearestNeighbors

from .seeds import fit_kmeans, one_hot

_N_NEIGHBORS = 10
_SCALE_NEIGHBOR = 7
_NOUGHT = 1e-9


def spectral(X, n_components, weight, random_state):
    """The clusters of a normalised cut: k-means on the graph Laplacian's leading eigenvectors.

    The graph's affinities take each row's distance to its seventh neighbour for its scale (Zelnik-Manor and
    Perona, 2004, Self-tuning spectral clustering), the embedding's rows are brought to the unit sphere (Ng,
    Jordan and Weiss, 2001). Rows of any weight count alike.
    """
    labels, _ = cut(X, n_components, random_state)
    return one_hot(labels, n_components)


def cut(X, n_components, random_state):
    """A normalised cut, and how well the graph determines it.

    The space of the leading K eigenvectors is only as stable as the gap after their eigenvalues is wide (Davis and
    Kahan, 1970; von Luxburg, 2007, A tutorial on spectral clustering, arXiv:0711.0189). In a graph without a gap a
    normalised cut divides what is large, wherever that is cheapest.

    Returns
    -------
    labels : int ndarray of shape (N,)
        As by `spectral`.
    gap : float
        The Laplacian's eigenvalue after the K-th, as a multiple of the K-th.
    """
    if n_components >= len(X) - 1:
        return np.minimum(np.arange(len(X)), n_components - 1), 0.0
    embedding, eigenvalues = _embedding(_affinities(X), n_components, random_state)
    last, following = np.maximum(eigenvalues[-2:], _NOUGHT)
    return _clusters(embedding, random_state), following / last


def _clusters(embedding, random_state):
    return fit_kmeans(embedding, embedding.shape[1], None, random_state, n_init=10).labels_


def _affinities(X):
    n_neighbors = min(_N_NEIGHBORS, len(X) - 1)
    distances = NearestNeighbors(n_neighbors=n_neighbors).fit(X).kneighbors_graph(mode="distance")
    scale = distances.data.reshape(len(X), n_neighbors)
    scale = np.sort(scale, axis=1)[:, min(_SCALE_NEIGHBOR, n_neighbors) - 1] + 1e-12
    graph = distances.tocoo()
    graph.data = np.exp(-(graph.data**2) / (scale[graph.row] * scale[graph.col]))
    graph = graph.tocsr()
    return graph.maximum(graph.T)


def _embedding(graph, n_components, random_state):
    """Coordinates of shape (N, K), and the Laplacian's first K + 1 eigenvalues."""
    root = np.sqrt(np.asarray(graph.sum(1)).ravel() + 1e-12)
    normalised = sparse.diags(1 / root) @ graph @ sparse.diags(1 / root)
    start = random_state.uniform(size=len(root))
    # Shift-invert about a number just above the largest eigenvalue, 1, is what makes few iterations enough.
    values, vectors = eigsh(normalised.tocsc(), k=n_components + 1, sigma=1.001, which="LM", v0=start, maxiter=300)
    order = np.argsort(-values)
    vectors = vectors[:, order[:-1]] / root[:, None]
    return vectors / (np.linalg.norm(vectors, axis=1, keepdims=True) + 1e-12), 1 - values[order]
