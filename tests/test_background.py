"""A few percent of rows anywhere."""

import numpy as np
import pytest
from curved_shapes import with_background
from sklearn.datasets import make_blobs, make_moons
from sklearn.metrics import adjusted_rand_score
from sklearn.preprocessing import StandardScaler

from skflowmix import FlowMixtureClustering
from skflowmix.fitting import INITIALIZERS
from skflowmix.partitions.background import background
from skflowmix.partitions.evidence import describe_clusters, row_costs
from skflowmix.partitions.judge import weigh
from skflowmix.partitions.rounding import Rounded


def standardised(X, share, seed=0):
    """The last rows are background."""
    return StandardScaler().fit_transform(with_background(X, share, seed))


def of_background(X, n_clusters, weight=None):
    """Its probability for standardised rows."""
    weight, rng = np.ones(len(X)) if weight is None else weight, np.random.RandomState(0)
    return background(Rounded.of(X, rng), weight, n_clusters, rng)


def slanted_blobs():
    X, labels = make_blobs(500, centers=3, random_state=170)
    return X @ [[0.6, -0.6], [-0.4, 0.8]], labels


@pytest.mark.parametrize("share", [0.03, 0.05, 0.1])
def test_background_is_told_from_clusters(share):
    X, _ = make_blobs(1000, 5, centers=4, random_state=0)
    probability = of_background(standardised(X, share), 4)
    assert probability[:1000].mean() < 0.01
    assert probability[1000:].mean() > 0.8


def test_clusters_have_no_background():
    X, _ = slanted_blobs()
    assert of_background(standardised(X, 0), 3).mean() < 0.005


def test_rows_count_for_background_by_their_weights():
    X = standardised(slanted_blobs()[0], 0.05)
    weight = np.where(np.arange(len(X)) < 500, 1, 3)
    probability = of_background(X, 3, weight)
    assert np.average(probability, weights=weight) > 2 * of_background(X, 3).mean()
    np.testing.assert_allclose(of_background(X, 3, 10 * weight), probability)


@pytest.mark.parametrize(("share", "is_background"), [(0.1, True), (0.4, False)])
def test_more_than_a_fifth_of_the_rows_is_a_cluster(share, is_background):
    X, _ = make_blobs(1000, 5, centers=4, random_state=0)
    assert of_background(standardised(X, share), 4).any() == is_background


def test_constant_and_rounded_features_bound_a_box_too():
    X = standardised(slanted_blobs()[0], 0.05)
    flat = np.column_stack([X.round(1), np.zeros(len(X))])
    probability = of_background(flat, 3)
    assert np.isfinite(probability).all()
    assert probability[500:].mean() > 10 * probability[:500].mean()


def test_of_many_rows_some_tell_the_background():
    X, _ = make_blobs(6000, centers=3, random_state=0)
    probability = of_background(standardised(X, 0.05), 3)
    assert probability.shape == (6300,)
    assert probability.mean() == pytest.approx(0.05 / 1.05, abs=0.015)


def test_a_clump_of_background_is_no_cluster():
    """A partition in which it is one has fewer clusters than the others, and does not count."""
    X, labels = slanted_blobs()
    X, rng = standardised(X, 0.05), np.random.RandomState(0)
    labels = np.append(labels, np.zeros(25, dtype=int))
    (stray,) = np.nonzero(of_background(X, 3) > 0.9)
    clump = np.minimum(labels, 1)
    clump[stray[np.argsort(np.linalg.norm(X[stray] - X[stray[0]], axis=1))[:8]]] = 2
    costs = weigh(Rounded.of(X, rng), [clump, labels], np.ones(len(X)), rng).costs
    assert np.isinf(costs[0]).all()
    assert np.isfinite(costs[1]).all()


@pytest.mark.parametrize(
    ("shape", "share", "seed"), [("blobs", 0.03, 11), ("blobs", 0.05, 8), ("moons", 0.05, 11), ("moons", 0.1, 8)]
)
def test_background_takes_no_component_away(shape, share, seed):
    """Each of these was wrong: a clump was a cluster, or half a moon was cut off."""
    X, labels = make_moons(500, noise=0.07, random_state=seed) if shape == "moons" else slanted_blobs()
    X, n_clusters = standardised(X, share, seed), labels.max() + 1
    resp = INITIALIZERS["auto"](X, n_clusters, np.ones(len(X)), np.random.RandomState(seed))
    assert adjusted_rand_score(labels, resp.argmax(1)[:500]) > 0.98


def test_a_density_has_to_explain_the_background():
    rng = np.random.RandomState(0)
    X, labels = slanted_blobs()
    recorded = Rounded.of(standardised(X, 0.05), rng)
    labels, weight = np.append(labels, np.zeros(25, dtype=int)), rng.uniform(0.5, 1.5, 525)
    weight /= weight.mean()
    seed = np.random.RandomState(0).randint(np.iinfo(np.int32).max)
    (costs,) = weigh(recorded, [labels], weight, np.random.RandomState(0), borders=False).costs
    described = describe_clusters(recorded.values, labels, weight, recorded.variance, seed)
    np.testing.assert_allclose(costs, weight * row_costs(described, labels, weight, 2, None))


def test_fits_beside_background(device):
    X, labels = slanted_blobs()
    model = FlowMixtureClustering(3, random_state=0, device=device)
    assert adjusted_rand_score(labels, model.fit_predict(with_background(X, 0.05, 8))[:500]) > 0.98
