"""First responsibilities: an initialiser is tested by being in `STARTS`."""

from importlib import import_module

import numpy as np
import pytest
import torch
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components, minimum_spanning_tree
from scipy.spatial.distance import pdist, squareform
from sklearn.cluster import KMeans
from sklearn.datasets import make_blobs, make_moons
from sklearn.metrics import adjusted_rand_score
from sklearn.mixture import GaussianMixture
from sklearn.preprocessing import StandardScaler

from skflowmix.fitting import INITIALIZERS
from skflowmix.modules.bases import Normal
from skflowmix.modules.flows import make_flow
from skflowmix.modules.mixture import FlowMixture
from skflowmix.partitions import gaussian, judge, soft
from skflowmix.partitions.automatic import (
    candidates,
    most_typical,
    partition_of_some,
    reduce_features,
)
from skflowmix.partitions.evidence import (
    describe,
    describe_clusters,
    mutual_neighbors,
    pieces,
    row_apart,
    row_costs,
    row_mixing,
)
from skflowmix.partitions.judge import weigh
from skflowmix.partitions.reachability import reachability_cut, spanning_tree
from skflowmix.partitions.rounding import Rounded
from skflowmix.partitions.seeds import one_hot
from skflowmix.partitions.spectral import cut

STARTS = INITIALIZERS | {"soft": soft.soft}
every_initializer = pytest.mark.parametrize("name", STARTS)

MEANS = np.array([[0.0, 0.0], [30.0, 0.0], [0.0, 30.0]])
COVARIANCES = np.array([[[0.01, 0.0], [0.0, 1.0]], [[1.0, 0.8], [0.8, 1.0]], [[4.0, -1.0], [-1.0, 0.5]]])
SIZES = (100, 200, 300)
FINDS_NO_CLUSTERS = {"random"}
DRAWS_ITS_CENTRES_BY_WEIGHT_ALONE = {"random_from_data"}


@pytest.fixture(scope="module")
def blobs():
    """Rows of three well-separated normal clusters of different scales and shapes, and their clusters."""
    random_state = np.random.RandomState(0)
    parts = [
        random_state.multivariate_normal(mean, cov, size)
        for mean, cov, size in zip(MEANS, COVARIANCES, SIZES, strict=True)
    ]
    return np.concatenate(parts), np.repeat(range(3), SIZES)


def responsibilities(name, X, labels, seed=0):
    """Unit weights, but where only weights can tell the initialiser to draw a row of each cluster."""
    weight = np.ones(len(X))
    if name in DRAWS_ITS_CENTRES_BY_WEIGHT_ALONE:
        weight[np.unique(labels, return_index=True)[1]] = 1e12
    return STARTS[name](X, 3, weight, np.random.RandomState(seed))


def global_generators():
    return str(np.random.get_state()), torch.get_rng_state().tolist()  # noqa: NPY002


def started(X, resp):
    mixture = FlowMixture(make_flow("affine", resp.shape[1], 2), Normal(resp.shape[1], 2), resp.shape[1]).double()
    mixture.initialize(torch.as_tensor(X), torch.as_tensor(resp))
    affine = mixture.flow.transforms[0]
    unwhitening = np.linalg.inv(affine.whitening.numpy())
    return mixture, affine.location[:, 0].numpy(), unwhitening @ unwhitening.swapaxes(1, 2)


@pytest.mark.parametrize("name", sorted(set(STARTS) - FINDS_NO_CLUSTERS))
def test_recovers_the_scales_of_known_clusters(name, blobs):
    X, labels = blobs
    mixture, location, covariance = started(X, responsibilities(name, X, labels))
    match = np.linalg.norm(location[:, None] - MEANS, axis=2).argmin(0)
    assert sorted(match) == [0, 1, 2]
    own = np.stack([np.cov(X[labels == k].T, ddof=0) for k in range(3)])
    pooled = np.average(own, axis=0, weights=SIZES)
    for k, size in enumerate(SIZES):
        np.testing.assert_allclose(location[match[k]], X[labels == k].mean(0), atol=1e-6)
        np.testing.assert_allclose(
            covariance[match[k]], (size * own[k] + 3 * pooled) / (size + 3), rtol=1e-4, atol=1e-5
        )
        root = np.linalg.inv(np.linalg.cholesky(COVARIANCES[k] + 3 * pooled / size))
        np.testing.assert_allclose(root @ covariance[match[k]] @ root.T, np.eye(2), atol=5 * np.sqrt(2 / size))
    weights = mixture.log_weights()[0].exp().detach().numpy()
    np.testing.assert_allclose(weights[match], np.array(SIZES) / sum(SIZES), rtol=1e-6)


def test_random_starts_every_component_near_the_gaussian_of_all_rows(blobs):
    X, labels = blobs
    _, location, covariance = started(X, responsibilities("random", X, labels))
    root = np.linalg.inv(np.linalg.cholesky(np.cov(X.T)))
    np.testing.assert_allclose((location - X.mean(0)) @ root.T, 0, atol=0.2)
    np.testing.assert_allclose(root @ covariance @ root.T, np.stack([np.eye(2)] * 3), atol=0.2)


@every_initializer
@pytest.mark.parametrize("n_components", [2, 5])
@pytest.mark.parametrize("n_features", [1, 4])
def test_responsibilities_are_distributions(name, n_components, n_features):
    random_state = np.random.RandomState(0)
    X, weight = random_state.standard_normal((50, n_features)), random_state.uniform(0.1, 3, 50)
    resp = STARTS[name](X, n_components, weight, random_state)
    assert resp.shape == (50, n_components)
    assert (resp >= 0).all()
    np.testing.assert_allclose(resp.sum(1), 1, rtol=1e-12)
    assert (resp.sum(0) > 0).all()


@every_initializer
def test_same_seed_gives_the_same_responsibilities_and_leaves_global_generators_alone(name, blobs):
    X, labels = blobs
    before = global_generators()
    first, second = (responsibilities(name, X, labels, seed=1) for _ in range(2))
    np.testing.assert_array_equal(first, second)
    assert global_generators() == before


@every_initializer
def test_as_many_components_as_rows(name):
    X = np.array([[0.0], [1.0], [10.0]])
    resp = STARTS[name](X, 3, np.ones(3), np.random.RandomState(0))
    assert resp.shape == (3, 3)
    assert np.isfinite(resp).all()


def test_weight_is_repetition_for_gmm(monkeypatch):
    random_state = np.random.RandomState(0)
    labels = np.repeat([0, 1], 40)
    X = random_state.standard_normal((80, 2)) + 1.5 * labels[:, None]
    times = random_state.randint(1, 5, 80)

    def halves(X, n_components, weight, random_state):
        return one_hot((X.sum(1) > 1).astype(int), 2)

    monkeypatch.setattr(gaussian, "kmeans", halves)
    weighted = INITIALIZERS["gmm"](X, 2, times.astype(float), random_state)
    repeated = INITIALIZERS["gmm"](np.repeat(X, times, axis=0), 2, np.ones(times.sum()), random_state)
    np.testing.assert_allclose(np.repeat(weighted, times, axis=0), repeated, rtol=1e-9, atol=1e-12)
    unweighted = INITIALIZERS["gmm"](X, 2, np.ones(80), random_state)
    assert np.abs(weighted - unweighted).max() > 1e-3


@pytest.mark.parametrize("name", ["kmeans", "gmm"])
def test_weight_is_repetition_on_clear_clusters(name, blobs):
    X, labels = blobs
    times = np.random.RandomState(1).randint(1, 4, len(X))
    weighted = INITIALIZERS[name](X, 3, times.astype(float), np.random.RandomState(0)).argmax(1)
    repeated = INITIALIZERS[name](np.repeat(X, times, axis=0), 3, np.ones(times.sum()), np.random.RandomState(0))
    assert adjusted_rand_score(np.repeat(weighted, times), repeated.argmax(1)) == 1
    assert adjusted_rand_score(weighted, labels) == 1


def test_weights_move_the_clusters_of_kmeans():
    X = np.array([[0.0], [1.0], [3.0]])
    heavy_left, heavy_right = (
        INITIALIZERS["kmeans"](X, 2, np.array(weight), np.random.RandomState(0)).argmax(1)
        for weight in ([100.0, 100.0, 1.0], [1.0, 100.0, 100.0])
    )
    assert heavy_left[1] == heavy_left[2]
    assert heavy_right[0] == heavy_right[1]


def test_random_from_data_never_draws_rows_of_no_weight():
    X, weight = np.arange(10.0)[:, None], np.zeros(10)
    weight[[2, 7]] = 1
    for seed in range(5):
        labels = INITIALIZERS["random_from_data"](X, 2, weight, np.random.RandomState(seed)).argmax(1)
        assert len(set(labels[:5])) == len(set(labels[5:])) == 1
        assert labels[0] != labels[9]


@pytest.mark.parametrize("seed", range(3))
def test_gmm_is_about_as_likely_as_scikit_learns(seed):
    random_state = np.random.RandomState(seed)
    centres = np.array([[0, 0], [7, 0], [3, 12]])
    X = np.concatenate([random_state.standard_normal((150, 2)) * [1, 3] + centre for centre in centres])
    resp = INITIALIZERS["gmm"](X, 3, np.ones(len(X)), np.random.RandomState(seed))
    mixture, _, _ = started(X, resp)
    peer = GaussianMixture(3, random_state=seed).fit(X)
    assert mixture.log_prob(torch.as_tensor(X)).mean().item() > peer.score(X) - 0.01


def test_gmm_keeps_the_floor_of_the_scales():
    X = np.repeat([[0.0, 0.0], [1.0, 1.0]], 10, axis=0)
    resp = INITIALIZERS["gmm"](X, 2, np.ones(20), np.random.RandomState(0))
    np.testing.assert_allclose(np.sort(resp, axis=1), np.tile([0.0, 1.0], (20, 1)), atol=1e-12)
    assert len(set(resp[:10].argmax(1))) == len(set(resp[10:].argmax(1))) == 1


def test_a_soft_start_shares_each_row_among_its_neighbours_clusters(monkeypatch):
    X = np.array([0, 1.0, 2.1, 3.3, 4.6, 6.0, 7.5, 9.1, 10.8])[:, None]
    weight = np.array([1, 1, 1, 2, 3, 1, 1, 1, 1.0])

    def halves(X, n_components, weight, random_state, **_):
        return (X[:, 0] > 4).astype(int), np.arange(9), weight

    monkeypatch.setattr(soft, "partition_of_some", halves)
    resp = soft.soft(X, 2, weight, np.random.RandomState(0))
    left = [1, 1, 1, 3 / 6, 2 / 6, 0, 0, 0, 0]  # of three neighbours each: rows 2 to 4 have weights 1, 2 and 3
    np.testing.assert_allclose(resp, np.column_stack([left, np.subtract(1, left)]), atol=1e-12)


def test_neighbourhoods_of_a_soft_start_are_as_small_where_few_rows_stand_for_many(monkeypatch):
    X = np.arange(64.0)[:, None]
    monkeypatch.setattr(
        soft, "partition_of_some", lambda X, *_, **__: (np.arange(8) // 4, np.arange(4, 64, 8), np.ones(8))
    )
    resp = soft.soft(X, 2, np.ones(64), np.random.RandomState(0))  # of 64 rows 8 would be neighbours; 1 stands for them
    np.testing.assert_allclose(resp[4::8], one_hot(np.arange(8) // 4, 2), atol=1e-12)
    assert set(resp[:4].argmax(1)) == {0}


def test_rows_that_a_soft_start_does_not_look_at_follow_their_neighbours():
    X, labels = make_blobs(4000, centers=[(0, 0), (20, 0)], random_state=0)
    resp = soft.soft(X, 2, np.ones(4000), np.random.RandomState(0))
    own = np.choose(resp[labels == 0].mean(0).argmax() ^ labels, resp.T)
    assert own.min() > 0.99


def test_a_cut_that_the_graph_determines():
    X, moon = make_moons(300, noise=0.05, random_state=0)
    labels, gap = cut(X, 2, np.random.RandomState(0))
    assert adjusted_rand_score(moon, labels) == 1
    assert gap > 2


def test_no_cut_that_the_graph_does_not_determine():
    """A hill has no gap; of three islands two could be joined in three ways; few rows have no graph."""
    rng = np.random.RandomState(0)
    hill = rng.standard_normal((300, 2))
    islands = np.repeat([(0, 0), (90, 0), (0, 90)], 100, axis=0) + hill
    labels, gap = cut(islands, 3, rng)
    assert gap > 2
    assert len(set(labels)) == 3
    for X in (hill, islands, hill[:3]):
        labels, gap = cut(X, 2, rng)
        assert gap < 2
        assert set(labels) == {0, 1}


@pytest.mark.parametrize("n_stray", [2, 6])
def test_a_few_stray_rows_are_no_cluster(n_stray):
    X, labels = make_blobs(200, centers=[(-1.2, 0), (1.2, 0)], random_state=0)
    rng = np.random.RandomState(0)
    X = np.vstack([X, [(0, 9)] * n_stray + rng.normal(0, 0.1, (n_stray, 2))])
    blobs, stray = np.append(labels, [0] * n_stray), np.repeat([0, 1], [200, n_stray])
    chosen = weigh(Rounded.of(X, rng), [stray, blobs], np.ones(len(X)), rng).best
    assert chosen == (1 if n_stray <= X.shape[1] else 0)


def test_what_is_farther_away_than_the_rest_is_wide_is_a_cluster():
    """A far row is the third cluster beside two blobs, as it is to k-means; none of the blobs is cut."""
    X, labels = make_blobs(200, centers=[(-4, 0), (4, 0)], random_state=0)
    rng, halves = np.random.RandomState(0), np.where(labels == 1, 2, (X[:, 1] > 0).astype(int))
    for distance, expected in ((60, 1), (6, 0)):
        rows = np.vstack([X, [(0, distance)]])
        cut, far = np.append(halves, 0), np.append(labels, 2)
        assert weigh(Rounded.of(rows, rng), [cut, far], np.ones(201), rng).best == expected


def test_a_cluster_is_of_one_piece():
    """Two pairs of islands, a wide one and a narrow one: whichever way they are described, likelihood is the same."""
    X, island = make_blobs([100, 100, 20, 20], centers=[(0, 0), (8, 0), (0, 40), (8, 40)], random_state=0)
    rng = np.random.RandomState(0)
    wide, narrow = np.array([0, 0, 1, 2])[island], np.array([0, 1, 2, 2])[island]
    assert weigh(Rounded.of(X, rng), [wide, narrow], np.ones(len(X)), rng).best == 1


def test_pieces_of_the_graph():
    rng = np.random.RandomState(0)
    X = np.concatenate([rng.standard_normal((60, 2)), rng.standard_normal((40, 2)) + 30, [(300.0, 300.0)]])
    of_clusters = np.arange(101) < 100
    piece = pieces(X, of_clusters, 2)
    assert piece[-1] == -1
    assert len(set(piece[:60])) == len(set(piece[60:100])) == 1
    assert piece[0] != piece[60]
    labels = np.repeat([0, 1], [80, 21])
    np.testing.assert_array_equal(np.flatnonzero(row_apart(labels, np.ones(101), piece)), np.arange(60, 80))
    assert not row_apart(np.repeat([0, 1], [60, 41]), np.ones(101), piece).any()
    assert not row_apart(labels, np.ones(101), pieces(X, np.zeros(101, dtype=bool), 2)).any(), "background alone"


def test_a_sparse_cluster_does_not_fall_into_more_pieces_than_there_are_clusters():
    """A ring of 2000 rows, which has gaps in the graph of ten mutual neighbours."""
    angle = np.sort(np.random.RandomState(0).uniform(0, 2 * np.pi, 2000))
    X = np.column_stack([np.cos(angle), np.sin(angle)])
    everything = np.ones(2000, dtype=bool)
    assert len(np.unique(pieces(X, everything, 2000))) > 1
    assert len(np.unique(pieces(X, everything, 1))) == 1


def mixing(labels, weight, edges):
    return np.average(row_mixing(labels, weight, edges), weights=weight)


def test_labels_dealt_out_at_random_mix_as_much_as_chance_does():
    rng = np.random.RandomState(0)
    X, weight = rng.standard_normal((2000, 2)), rng.uniform(0.5, 1.5, 2000)
    edges = mutual_neighbors(X)
    assert mixing(rng.choice(3, 2000, p=(0.7, 0.2, 0.1)), weight, edges) == pytest.approx(1, abs=0.03)
    assert mixing((X[:, 0] > 0).astype(int), weight, edges) < 0.1
    assert mixing(np.zeros(2000, dtype=int), weight, edges) == 0


def test_rows_that_stand_there_twice_mix_twice():
    labels, edges = np.array([0, 0, 1, 1, 1]), np.array([(0, 1), (1, 2), (2, 1), (3, 4), (4, 3)])
    weight = np.array([1.0, 2, 1, 1, 1])
    expected = (3 / 6) / (1 - (3**2 + 3**2) / 6**2)
    assert mixing(labels, weight, edges) == pytest.approx(expected)
    assert mixing(np.append(labels, 1), np.append(weight, 9), edges) == pytest.approx(expected), "no neighbour, no say"


def test_mutual_neighbours():
    """Of twelve rows, the last one far away: it names ten of the others, none of which names it."""
    X = np.append(np.arange(11.0), 99)[:, None]
    edges = {tuple(edge) for edge in mutual_neighbors(X).tolist()}
    assert edges == {(i, j) for i in range(11) for j in range(11) if i != j}


def test_each_row_pays_for_its_own_neighbours_in_other_clusters():
    rng = np.random.RandomState(0)
    X, weight = rng.standard_normal((100, 2)), rng.uniform(0.5, 1.5, 100)
    weight /= weight.mean()
    labels, edges = (X[:, 0] > 0).astype(int), mutual_neighbors(X)
    few, none = edges[edges[:, 0] < 50], edges[labels[edges[:, 0]] == labels[edges[:, 1]]]
    described = describe_clusters(X, labels, weight, np.zeros(2), 0)
    costs, fewer, free = (row_costs(described, labels, weight, 2, which) for which in (edges, few, none))
    for which, own in ((edges, costs), (few, fewer)):
        price = np.average(own - free, weights=weight)
        assert price == pytest.approx(np.arcsin(np.sqrt(mixing(labels, weight, which))))
    np.testing.assert_allclose((fewer - free)[50:], 0, atol=1e-12)
    parted = np.zeros(100, dtype=bool)
    parted[edges[labels[edges[:, 0]] != labels[edges[:, 1]], 0]] = True
    assert ((costs - free > 1e-9) == parted).all()


def test_neighbours_none_of_which_are_mutual_do_not_mix():
    assert mixing(np.array([0, 1]), np.ones(2), np.empty((0, 2), dtype=int)) == 0


@pytest.mark.parametrize(("n_features", "scale"), [(2, 5), (5, 3), (20, 2)])
def test_a_dense_cluster_within_a_wide_one(n_features, scale):
    """The nearest rows of the wide cluster's are the dense one's, which have nearer ones."""
    rng = np.random.RandomState(1)
    wide = rng.randint(2, size=1000)
    X = rng.standard_normal((1000, n_features)) * np.where(wide, scale, 1)[:, None]
    labels = INITIALIZERS["auto"](X / X.std(0), 2, np.ones(1000), rng).argmax(1)
    log_joint = -0.5 * (X**2).sum(1, keepdims=True) / [1, scale**2] - n_features * np.log([1, scale])
    assert adjusted_rand_score(wide, labels) > adjusted_rand_score(wide, log_joint.argmax(1)) - 0.05


def test_a_ring_in_a_background_is_not_halved():
    """Two halves with eight Gaussians each describe the rows better than the whole ring with eight."""
    rng = np.random.RandomState(2)
    angle, outer = rng.uniform(0, 2 * np.pi, 1000), rng.randint(2, size=1000)
    rings = (1 + 2 * outer[:, None]) * np.column_stack([np.cos(angle), np.sin(angle)]) + rng.normal(0, 0.05, (1000, 2))
    background = rng.uniform(-4, 4, (50, 2))
    X, outer = np.vstack([rings, background]), np.append(outer, np.linalg.norm(background, axis=1) > 2)
    halves = (X[:, 0] > 0).astype(int)
    assert weigh(Rounded.of(X, rng), [halves, outer], np.ones(len(X)), rng).best == 1


def test_a_disc_in_a_ring_is_not_halved_with_it():
    """Few mutual neighbours are parted by the halves, but none by the ring's own border."""
    rng = np.random.RandomState(5)
    angle, ring = rng.uniform(0, 2 * np.pi, 1000), rng.randint(2, size=1000)
    radius = np.where(ring, rng.normal(3, 0.05, 1000), rng.normal(0, 0.5, 1000))
    X = radius[:, None] * np.column_stack([np.cos(angle), np.sin(angle)])
    labels = INITIALIZERS["auto"](X / X.std(0), 2, np.ones(1000), rng).argmax(1)
    assert adjusted_rand_score(ring, labels) == 1


@pytest.mark.parametrize("n_features", [5, 10])
@pytest.mark.parametrize("seed", [0, 1])
def test_flat_clusters_are_no_worse_for_neighbours_across_the_gap_between_them(n_features, seed):
    """A row's nearest ones are across the gap, unless distances are those of coordinates that make clusters round."""
    rng = np.random.RandomState(seed)
    side, rotation = rng.randint(2, size=600), np.linalg.qr(rng.standard_normal((n_features, n_features)))[0]
    X = rng.standard_normal((600, n_features)) * ([3] * (n_features - 1) + [0.3])
    X[:, -1] += 3.5 * 0.3 * side
    X = X @ rotation
    X /= X.std(0)
    halves = KMeans(2, n_init=3, random_state=seed).fit(X).labels_
    weight = np.ones(600)
    assert mixing(side, weight, mutual_neighbors(X)) > mixing(halves, weight, mutual_neighbors(X))
    assert weigh(Rounded.of(X, rng), [halves, side], weight, rng).best == 1


def test_neighbours_are_those_in_coordinates_in_which_the_average_cluster_is_round(monkeypatch):
    rng, seen = np.random.RandomState(0), []
    X = rng.standard_normal((300, 3)) @ rng.standard_normal((3, 3))
    partitions, weight = [rng.randint(2, size=300), rng.randint(2, size=300)], rng.uniform(0.5, 1.5, 300)
    monkeypatch.setattr(judge, "mutual_neighbors", lambda Z: seen.append(Z) or mutual_neighbors(Z))
    weigh(Rounded(X, np.zeros(3), X), partitions, weight, rng)
    within = 0
    for labels in partitions:
        for k in range(2):
            own = labels == k
            within += np.cov(seen[0][own].T, aweights=weight[own], ddof=0) * weight[own].sum() / weight.sum() / 2
    np.testing.assert_allclose(within, np.eye(3), atol=0.01)


def test_features_that_have_nothing_to_do_with_the_clusters():
    """Each cluster would have to pay for 253 covariances, which tell nothing."""
    rng = np.random.RandomState(3)
    X, labels = make_blobs(800, centers=3, random_state=rng)
    X = np.column_stack([X / X.std(0), rng.standard_normal((800, 20))])
    start = INITIALIZERS["auto"](X, 3, np.ones(800), rng).argmax(1)
    assert adjusted_rand_score(labels, start) > 0.95


@pytest.mark.parametrize(("n_rows", "is_diagonal"), [(10, True), (200, False)])
def test_covariances_that_the_rows_do_not_determine_are_not_free(n_rows, is_diagonal):
    """Ten rows of twenty features lie in a plane of nine dimensions, where a free covariance explains them too well."""
    rng = np.random.RandomState(0)
    X = rng.standard_normal((n_rows, 1)) + 0.1 * rng.standard_normal((n_rows, 20))
    fit, _ = describe(X, np.ones(n_rows), np.zeros(20), 0)
    off_diagonal = fit.choleskys * (1 - np.eye(20))
    assert (not off_diagonal.any()) == is_diagonal


def test_flat_clusters_side_by_side_that_balls_do_not_find():
    """A cut of the graph is near them, though it has no gap."""
    rng = np.random.RandomState(0)
    side, rotation = rng.randint(2, size=600), np.linalg.qr(rng.standard_normal((5, 5)))[0]
    X = rng.standard_normal((600, 5)) * [3, 3, 3, 3, 0.3]
    X[:, 4] += 2 * side
    labels = INITIALIZERS["auto"](X @ rotation, 2, np.ones(600), rng).argmax(1)
    assert adjusted_rand_score(side, labels) > 0.95


@pytest.mark.parametrize("step", [1.0, 0.25, 2.0])
def test_rounding_has_the_variance_of_what_it_takes_away(step):
    rng = np.random.RandomState(0)
    exact = rng.standard_normal((20_000, 3)) * [1, 1, 0]
    X = exact.copy()
    X[:, 0] = step * np.round(exact[:, 0] / step)
    recorded, lost = Rounded.of(X, rng), exact - X
    np.testing.assert_allclose(recorded.variance, np.mean(lost**2, axis=0), rtol=0.05, atol=1e-8)
    np.testing.assert_allclose((recorded.spread - X).var(0), np.mean(lost**2, axis=0), rtol=0.05, atol=1e-8)
    assert np.abs(recorded.spread - X)[:, 0].max() < step / 2


def test_rounding_of_principal_components():
    """Of 70 features half are counts; components know how uncertain these are."""
    rng = np.random.RandomState(0)
    X = rng.standard_normal((2000, 70))
    X[:, ::2] = X[:, ::2].round()
    reduced = reduce_features(X, rng)
    assert reduced.values.shape == reduced.spread.shape == (2000, 64)
    np.testing.assert_allclose((reduced.spread - reduced.values).var(0), reduced.variance, rtol=0.2)


def test_columns_of_yes_and_no_are_no_clusters():
    """Rows with one answer in common have no density that means anything, and no neighbours with another answer."""
    rng = np.random.RandomState(0)
    X, labels = make_blobs(400, centers=[(-3, 0), (3, 0)], random_state=rng)
    X = StandardScaler().fit_transform(np.column_stack([X, rng.randint(2, size=(400, 2))]))
    start = INITIALIZERS["auto"](X, 2, np.ones(400), rng).argmax(1)
    assert adjusted_rand_score(labels, start) > 0.95


def test_counts_have_no_parts():
    rng = np.random.RandomState(0)
    recorded = Rounded.of(rng.standard_normal((1000, 2)).round(), rng)
    fits = [describe(recorded.values, np.ones(1000), rounding, 0)[0] for rounding in (recorded.variance, np.zeros(2))]
    assert len(fits[0].means) == 1 < len(fits[1].means)


@pytest.mark.parametrize("seed", range(2))
def test_ellipsoids_drawn_to_their_mean_start_from_cuts_too(seed):
    """A ball in a shell whose hole it fills: balls halve both, and the cut that is near them has no gap."""
    rng = np.random.RandomState(seed)
    direction = rng.standard_normal((400, 3))
    shell = rng.normal(45, 5, (400, 1)) * direction / np.linalg.norm(direction, axis=1, keepdims=True)
    X = StandardScaler().fit_transform(np.vstack([rng.normal(0, 10, (400, 3)), shell]))
    recorded = Rounded.of(X, rng)
    found = candidates(recorded, 2, np.ones(800), spanning_tree(recorded.spread), rng)
    assert max(adjusted_rand_score(np.repeat([0, 1], 400), labels) for labels in found) > 0.4


def test_clusters_that_are_known_cost_what_new_ones_do():
    X = np.random.RandomState(0).standard_normal((60, 2))
    weight, rounding = np.ones(60), np.zeros(2)
    right, upper = (X > 0).T.astype(int)
    known = {}
    for labels in (right, upper, right * (1 + upper), right):
        alone = describe_clusters(X, labels, weight, rounding, 0)
        described = describe_clusters(X, labels, weight, rounding, 0, known=known)
        assert (described.log_joint == alone.log_joint).all()
        assert (described.n_parts, described.n_parameters) == (alone.n_parts, alone.n_parameters)
    assert len(known) == 6, "four halves, and two quarters"


@pytest.mark.parametrize(
    ("far", "expected"),
    [([3], [8, 8, 11]), ([3, 3], [8, 8, 14]), ([4, 4], None)],
    ids=["a small one", "two that are less than the others", "two that are as large as another"],
)
def test_cut_is_none_where_small_clusters_become_another_one(far, expected):
    sizes, gaps = [8, 8, 8, *far], [0, 1, 1.5, 9, 4]
    lengths = np.concatenate([[gap, *[0.1] * (size - 1)] for size, gap in zip(sizes, gaps, strict=False)])[1:]
    edges = [(i, i + 1) for i in np.argsort(lengths, kind="stable").tolist()]
    labels = reachability_cut(edges, 3, np.ones(sum(sizes)), 0.5)
    if expected is None:
        assert labels is None
    else:
        np.testing.assert_array_equal(labels, np.repeat([0, 1, 2], expected))


@pytest.mark.parametrize("n_features", [1, 2, 20])
@pytest.mark.parametrize("n_rows", [2, 5, 60])
def test_spanning_tree_is_that_of_all_pairs(n_rows, n_features):
    check_spanning_tree(np.random.RandomState(0).standard_normal((n_rows, n_features)))


def test_spanning_tree_of_rows_with_equal_distances():
    check_spanning_tree(np.stack(np.meshgrid(range(8), range(5)), -1).reshape(-1, 2).astype(float))


def check_spanning_tree(X):
    n_rows, distances = len(X), squareform(pdist(X))
    core = np.sort(distances, axis=1)[:, min(4, n_rows - 1)]
    reach = np.maximum(distances, np.maximum(core, core[:, None]))
    edges = spanning_tree(X)
    lengths = [reach[edge] for edge in edges]
    assert len(edges) == n_rows - 1
    assert connected_components(coo_array((lengths, np.transpose(edges)), shape=reach.shape))[0] == 1
    assert lengths == sorted(lengths)
    np.testing.assert_allclose(sum(lengths), minimum_spanning_tree(reach).sum(), rtol=1e-12)


@pytest.mark.parametrize(("n_rows", "n_looked_at"), [(30, 30), (31, 30), (100, 30)])
def test_of_many_rows_some_are_looked_at(n_rows, n_looked_at):
    X = np.random.RandomState(0).standard_normal((n_rows, 2))
    labels, rows, weight = partition_of_some(X, 3, np.full(n_rows, 2.0), np.random.RandomState(0), max_rows=30)
    assert len(labels) == len(weight) == len(set(rows)) == n_looked_at
    assert set(labels) == {0, 1, 2}
    np.testing.assert_allclose(weight, 1)


def test_of_several_draws_the_one_that_the_others_agree_with_is_taken():
    X = np.random.RandomState(0).standard_normal((300, 2))
    cuts = [X[:, 0] < 0, X[:, 1] < 0, X[:, 0] < 0.1]
    rows = [np.arange(start, 300, 2) for start in (0, 1, 0)]
    draws = [(cut[drawn].astype(int), drawn) for cut, drawn in zip(cuts, rows, strict=True)]
    for order in ([0, 1, 2], [1, 2, 0], [2, 0, 1]):
        labels, drawn = most_typical(X, [draws[i] for i in order])
        assert adjusted_rand_score(cuts[0][drawn], labels) > 0.8


@pytest.mark.parametrize(("n_rows", "looked_at"), [(30, [30]), (31, [20, 20, 20])])
def test_only_where_rows_are_left_out_there_are_several_draws(n_rows, looked_at, monkeypatch):
    automatic = import_module("skflowmix.partitions.automatic")
    sizes, best = [], automatic._best_partition

    def watched(X, *args):
        sizes.append(len(X))
        return best(X, *args)

    monkeypatch.setattr(automatic, "_best_partition", watched)
    monkeypatch.setattr(automatic, "MAX_ROWS", 30)
    monkeypatch.setattr(automatic, "_DRAWN_ROWS", 20)
    X = np.random.RandomState(0).standard_normal((n_rows, 2))
    resp = STARTS["auto"](X, 2, np.ones(n_rows), np.random.RandomState(0))
    assert sizes == looked_at
    assert resp.shape == (n_rows, 2)
