"""Graphs of rows as sparse arrays, whose indices are those that every version of scipy's graph routines takes."""

import numpy as np
from scipy.sparse import csr_array


def sparse_graph(first, second, lengths, n_rows):
    """Edges as an array.

    Parameters
    ----------
    first, second : int ndarray of shape (n_edges,)
        Rows that each edge leads from, and to.
    lengths : ndarray of shape (n_edges,)
    n_rows : int

    Returns
    -------
    csr_array of shape (n_rows, n_rows)
        With 32-bit indices: scipy 1.11's minimum spanning tree takes no others of a sparse array.
    """
    edges = np.asarray(first, dtype=np.int32), np.asarray(second, dtype=np.int32)
    return csr_array((lengths, edges), shape=(n_rows, n_rows))
