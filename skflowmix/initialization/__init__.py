"""First responsibilities: which component each row starts in.

An initialiser is a function ``(X, n_components, weight, random_state) -> resp`` of distinct, standardised rows
and their positive weights, with ``resp`` of shape (N, K). It decides which clusters are found: training bends
components, but seldom moves them to other rows.
"""

from .automatic import automatic
from .gaussian import gmm
from .seeds import kmeans, kmeans_plus_plus, one_hot, random, random_from_data
from .spectral import spectral

INITIALIZERS = {
    "auto": automatic,
    "gmm": gmm,
    "k-means++": kmeans_plus_plus,
    "kmeans": kmeans,
    "random": random,
    "random_from_data": random_from_data,
    "spectral": spectral,
}

__all__ = ["INITIALIZERS", "one_hot"]
