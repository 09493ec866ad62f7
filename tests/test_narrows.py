"""Whether borders between clusters are narrow places."""

import numpy as np
import pytest
from sklearn.datasets import make_blobs

from skflowmix.partitions.narrows import narrows, neighbor_graph
from skflowmix.partitions.valleys import neighbor_edges


def grid(width, height):
    """Rows of a grid, and the graph of those beside and above each other."""
    place = np.arange(width * height).reshape(height, width)
    edges = np.vstack(
        [np.column_stack([a.ravel(), b.ravel()]) for a, b in ((place[:, 1:], place[:, :-1]), (place[1:], place[:-1]))]
    )
    return np.tile(np.arange(width), height), edges


def share(labels, edges, weight=None):
    weight = np.ones(len(labels)) if weight is None else weight
    return narrows(labels, neighbor_graph(edges, len(labels)), weight)


class TestNarrows:
    def test_a_cut_through_a_strip_is_at_one_half(self):
        column, edges = grid(20, 5)
        assert share((column > 9).astype(int), edges) == {(0, 1): 0.5}

    def test_a_neck_is_narrow(self):
        column, edges = grid(20, 5)
        neck = (column != 10) | (np.arange(len(column)) < 20)
        places = np.cumsum(neck) - 1
        edges = places[edges[neck[edges].all(1)]]
        column = column[neck]
        assert share((column > 9).astype(int), edges)[0, 1] > 0.7

    @pytest.mark.parametrize("draw", ["standard_normal", "uniform"])
    def test_a_cut_through_a_hill_or_a_plain_is_not(self, draw):
        X = getattr(np.random.RandomState(0), draw)(size=(2000, 2))
        assert share((X[:, 0] > np.median(X[:, 0])).astype(int), neighbor_edges(X)[0])[0, 1] == pytest.approx(
            0.5, abs=0.1
        )

    def test_a_valley_is_narrow(self):
        X, _ = make_blobs(1000, centers=[[0, 0], [5, 0]], random_state=0)
        assert share((X[:, 0] > 2.5).astype(int), neighbor_edges(X)[0])[0, 1] > 0.7

    def test_the_lower_of_the_two_sides_counts(self):
        column, edges = grid(20, 5)
        weight = np.where(column == 10, 3.0, 1.0)
        typical = (5 * 3 * 15 + 45 * 5) / 60
        assert share((column > 9).astype(int), edges, weight) == {(0, 1): pytest.approx(typical / (typical + 15))}

    def test_rows_that_no_path_leads_to_count_as_those_of_the_largest_layer(self):
        edges = np.array([[0, 1], *([0, i] for i in range(2, 10)), *([1, i] for i in range(10, 13))])
        labels = np.repeat([0, 1, 0, 1], [1, 1, 8, 4])
        typical = (1 + 3 * 3 + 3) / 5
        assert share(labels, edges) == {(0, 1): pytest.approx(typical / (typical + 1))}

    def test_clusters_that_do_not_touch_have_no_entry(self):
        assert share(np.array([0, 0, 1, 1]), np.array([[0, 1], [2, 3]])) == {}

    def test_it_does_not_matter_in_which_direction_rows_are_neighbours(self):
        X, y = make_blobs(300, centers=[[0, 0], [4, 0]], random_state=0)
        edges, _ = neighbor_edges(X)
        assert share(y, edges) == share(y, edges[::-1, ::-1])
