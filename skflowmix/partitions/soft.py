"""A start for a density: clusters that explain the rows best, and that run into each other."""

from sklearn.neighbors import NearestNeighbors

from .automatic import partition_of_some
from .sampling import followers
from .seeds import one_hot

_MAX_ROWS = 3000


def soft(X, n_components, weight, random_state):
    """Shares of the clusters among each row's neighbours, in the partition with the best evidence.

    Between clusters, where a density is to go on without a seam, rows belong to both. Neighbourhoods have as many
    rows as the square root of all; of many rows 3,000 stand for the others. They count by their weights.
    """
    labels, rows, weight = partition_of_some(X, n_components, weight, random_state, max_rows=_MAX_ROWS, borders=False)
    own = X[rows]
    search = NearestNeighbors(n_neighbors=max(1, round(len(own) / len(X) ** 0.5))).fit(own)
    shares = search.kneighbors_graph(own) @ (one_hot(labels, n_components) * weight[:, None])
    resp = followers(X, rows) @ shares
    return resp / resp.sum(1, keepdims=True)
