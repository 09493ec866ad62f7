"""The depth of borders between clusters."""

import numpy as np
import pytest
from sklearn.datasets import make_blobs

from skflowmix.partitions.valleys import border_depths, neighbor_edges, valleys


def depth_between(X, labels):
    return valleys(labels, *neighbor_edges(X)).get((0, 1))


class TestValleys:
    def test_a_gap_is_deep(self):
        X, y = make_blobs(300, centers=[[0, 0], [5.2, 0]], random_state=0)
        assert depth_between(X, y) > 0.8

    @pytest.mark.parametrize("cut", [-0.5, 0, 1])
    def test_a_cut_through_a_cluster_is_shallow(self, cut):
        X = np.random.RandomState(0).standard_normal((500, 2))
        assert depth_between(X, (X[:, 0] > cut).astype(int)) < 0.6

    def test_a_cut_through_a_square_is_at_chance(self):
        X = np.random.RandomState(0).uniform(size=(2000, 2))
        assert depth_between(X, (X[:, 0] > 0.5).astype(int)) == pytest.approx(0.5, abs=0.1)

    def test_clusters_that_do_not_touch_have_no_entry(self):
        X, y = make_blobs(300, centers=[[0, 0], [100, 0]], random_state=0)
        assert depth_between(X, y) is None

    def test_background_fills_no_valley(self):
        X, y = make_blobs(600, centers=[[0, 0], [9, 0]], random_state=0)
        noise = np.random.RandomState(0).uniform([-3, -3], [12, 3], (30, 2))
        labels = np.append(y, (noise[:, 0] > 4.5).astype(int))
        assert depth_between(np.vstack([X, noise]), labels) > 0.9


class TestBorderDepths:
    """Eight rows in a line, each a neighbour of the next."""

    def depth(self, labels, sparsity):
        edges = np.column_stack([np.arange(len(labels) - 1), np.arange(1, len(labels))])
        depths = valleys(np.array(labels), edges, np.array(sparsity, dtype=float))
        return border_depths(depths, max(labels) + 1).tolist()

    def test_one_where_clusters_do_not_touch(self):
        assert border_depths({}, 2).tolist() == [1, 1]

    @pytest.mark.parametrize(
        ("sparsity", "chance"),
        [
            pytest.param([1, 1, 1, 5, 1, 1, 1], 1, id="valley"),
            pytest.param([5, 5, 5, 1, 5, 5, 5], 0, id="ridge"),
            pytest.param([1, 1, 1, 1, 1, 1, 1], 0.5, id="plain"),
            pytest.param([1, 1, 1, 5, 9, 9, 9], 0, id="slope"),
        ],
    )
    def test_chance_that_the_border_is_sparser(self, sparsity, chance):
        assert self.depth([0, 0, 0, 0, 1, 1, 1, 1], sparsity) == [chance, chance]

    def test_a_cluster_that_is_all_border_is_none(self):
        assert self.depth([0, 0, 0, 0, 0, 0, 0, 1], np.arange(7)) == [0, 0]

    def test_the_shallowest_of_several_borders_counts(self):
        assert self.depth([0, 0, 0, 1, 1, 1, 1, 2, 2, 2], [1, 1, 9, 1, 1, 1, 1, 1, 1]) == [1, 0.5, 0.5]


def test_a_single_row_has_no_neighbours():
    edges, sparsity = neighbor_edges(np.zeros((1, 3)))
    assert edges.shape == (0, 2)
    assert sparsity.shape == (0,)
    assert valleys(np.zeros(1, dtype=int), edges, sparsity) == {}
