"""The number of clusters is the number of hills of the density."""

import numpy as np
import pytest
from sklearn.datasets import make_blobs, make_moons
from sklearn.metrics import adjusted_rand_score
from sklearn.preprocessing import StandardScaler

from skflowmix.initialization.n_components import border_depths, choose_n_components


def pinwheel(n_rows, random_state):
    wing = np.repeat(np.arange(5), n_rows // 5)
    along, across = random_state.standard_normal((2, len(wing))) * [[0.3], [0.05]]
    angle = 2 * np.pi * wing / 5 + 0.25 * np.exp(along + 1)
    turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    return np.einsum("in,ijn->nj", np.stack([along + 1, across]), turn), wing


def shapes():
    random_state = np.random.RandomState(0)
    centers = [(-5, 0), (0, 5), (5, 0)]
    return {
        "one blob": (random_state.standard_normal((300, 2)), np.zeros(300)),
        "one wide blob": (random_state.standard_normal((200, 6)), np.zeros(200)),
        "square": (random_state.uniform(size=(400, 2)), np.zeros(400)),
        "three blobs": make_blobs(300, centers=centers, random_state=0),
        "moons": make_moons(400, noise=0.06, random_state=0),
        "pinwheel": pinwheel(600, random_state),
    }


def chosen(X, weight=None, seed=0, max_components=7):
    X = StandardScaler().fit_transform(X)
    weight = np.ones(len(X)) if weight is None else weight
    return choose_n_components(X, weight, np.random.RandomState(seed), max_components=max_components)


@pytest.mark.parametrize("name", shapes())
def test_finds_the_hills(name):
    X, labels = shapes()[name]
    resp, n_components, scores = chosen(X)
    assert n_components == len(np.unique(labels))
    assert resp.shape == (len(X), n_components)
    assert max(scores, key=scores.__getitem__) == n_components
    assert adjusted_rand_score(labels, resp.argmax(1)) > 0.97


def test_same_seed_gives_the_same_answer_and_leaves_the_global_generator_alone():
    X, _ = shapes()["moons"]
    before = str(np.random.get_state())  # noqa: NPY002
    (first, _, first_scores), (second, _, second_scores) = chosen(X, seed=3), chosen(X, seed=3)
    np.testing.assert_array_equal(first, second)
    assert first_scores == second_scores
    assert str(np.random.get_state()) == before  # noqa: NPY002


def test_no_more_than_allowed():
    X, _ = shapes()["three blobs"]
    assert chosen(X, max_components=2)[1] <= 2
    assert chosen(X, max_components=1)[1:] == (1, {1: 0.0})


@pytest.mark.parametrize("n_rows", [1, 2, 13, 30])
def test_few_rows(n_rows):
    resp, n_components, _ = chosen(np.random.RandomState(0).standard_normal((n_rows, 3)))
    assert resp.shape == (n_rows, n_components)
    np.testing.assert_allclose(resp.sum(1), 1)


def test_rows_of_next_to_no_weight_are_not_in_the_sample():
    X, labels = make_blobs(2400, centers=[(-5, 0), (5, 0)], random_state=0)
    assert chosen(X, weight=np.where(labels == 1, 1e-9, 1.0), max_components=3)[1] == 1


class TestBorderDepths:
    """Eight rows in a line, each with the one before it for a neighbour."""

    def depth(self, labels, sparsity):
        neighbors = np.array([[1], [0], [1], [2], [3], [4], [5], [6]])
        return border_depths(np.array(labels), np.array(sparsity, dtype=float), neighbors)

    def test_one_where_clusters_do_not_touch(self):
        neighbors = np.array([[1], [0], [3], [2]])
        assert border_depths(np.array([0, 0, 1, 1]), np.arange(4.0), neighbors).tolist() == [1, 1]

    @pytest.mark.parametrize(
        ("sparsity", "chance"),
        [
            pytest.param([1, 1, 1, 5, 5, 1, 1, 1], 1, id="valley"),
            pytest.param([5, 5, 5, 1, 1, 5, 5, 5], 0, id="ridge"),
            pytest.param([1, 1, 1, 1, 1, 1, 1, 1], 0.5, id="plain"),
            pytest.param([1, 1, 1, 5, 5, 9, 9, 9], 0, id="slope"),
        ],
    )
    def test_chance_that_the_border_is_sparser(self, sparsity, chance):
        assert self.depth([0, 0, 0, 0, 1, 1, 1, 1], sparsity).tolist() == [chance, chance]

    def test_a_cluster_that_is_all_border_is_none(self):
        assert self.depth([0, 0, 0, 0, 0, 0, 0, 1], np.arange(8)).tolist() == [0, 0]
