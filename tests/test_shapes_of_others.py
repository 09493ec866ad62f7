"""Kinds of clusters that were lost on data that nobody had tuned on, drawn anew: ten draws each, nine of them right."""

import numpy as np
import pytest
from sklearn.metrics import adjusted_rand_score

from skflowmix import FlowMixtureClustering
from skflowmix.fitting.scaling import FeatureScaler
from skflowmix.partitions.automatic import automatic


def polar(angle, radius):
    return np.column_stack([radius * np.cos(angle), radius * np.sin(angle)])


def two_arms(rng):
    """Arms of a spiral, each winding once round the other."""
    start, turns = rng.uniform(0.25, 0.5), rng.uniform(0.9, 1.4)
    angle = 2 * np.pi * turns * np.sqrt(rng.uniform(size=1000))
    y = np.repeat([0, 1], 500)
    return polar(angle + np.pi * y, start + angle / (2 * np.pi)) + rng.normal(0, rng.uniform(0.03, 0.08), (1000, 2)), y


def three_closed_curves(rng):
    """Ellipses in three planes at right angles, none of which can be drawn out of the others."""
    long, short = rng.uniform(1.2, 1.6), rng.uniform(0.55, 0.8)
    y, angle, X = np.repeat([0, 1, 2], 300), rng.uniform(0, 2 * np.pi, 900), np.zeros((900, 3))
    X[np.arange(900), y] = long * np.cos(angle)
    X[np.arange(900), (y + 1) % 3] = short * np.sin(angle)
    return X + rng.normal(0, rng.uniform(0.02, 0.06), X.shape), y


def face(rng):
    sizes = np.maximum(1000 * rng.dirichlet([15, 5, 5, 7]), 60).astype(int)
    outline = polar(rng.uniform(0, 2 * np.pi, sizes[0]), 1 + rng.normal(0, 0.03, sizes[0]))
    left, right = (
        rng.normal(0, 0.09, (size, 2)) + [x, 0.35] for size, x in zip(sizes[1:3], (-0.35, 0.35), strict=True)
    )
    mouth = polar(np.pi * rng.uniform(1.15, 1.85, sizes[3]), 0.55) + rng.normal(0, 0.03, (sizes[3], 2))
    return np.vstack([outline, left, right, mouth]), np.repeat(range(4), sizes)


def six_in_background(rng):
    """Ellipses of even density in 15 % of points and streaks that belong to none; those are -1."""
    y = np.repeat(range(6), (rng.dirichlet(np.full(6, 12.0)) * 2550).astype(int))
    centres = np.array([[x, z] for z in (0, 150) for x in (0, 200, 400)]) + rng.uniform(-12, 12, (6, 2))
    turned = polar(rng.uniform(0, 2 * np.pi, len(y)), np.sqrt(rng.uniform(size=len(y)))) * [70, 35]
    points = rng.uniform([-100, -100], [500, 250], (225, 2))
    ends, along = rng.uniform([-100, -100], [500, 250], (2, 3, 2)), rng.uniform(size=(225, 1))
    streaks = np.repeat(ends[0], 75, axis=0) * along + np.repeat(ends[1], 75, axis=0) * (1 - along)
    streaks += rng.normal(0, 5, streaks.shape)
    return np.vstack([centres[y] + turned, points, streaks]), np.append(y, np.full(450, -1))


DRAWS = {2: two_arms, 3: three_closed_curves, 4: face, 6: six_in_background}


@pytest.mark.parametrize("n_clusters", DRAWS, ids=lambda n_clusters: DRAWS[n_clusters].__name__)
def test_starts(n_clusters):
    n_right = 0
    for seed in range(10):
        X, y = DRAWS[n_clusters](np.random.RandomState(seed))
        weight = np.ones(len(X))
        rows = FeatureScaler.of(X, weight).transform(X)
        labels = automatic(rows, n_clusters, weight, np.random.RandomState(seed)).argmax(1)
        n_right += adjusted_rand_score(y[y >= 0], labels[y >= 0]) > 0.95
    assert n_right >= 9


def test_a_fit(device):
    X, y = face(np.random.RandomState(0))
    labels = FlowMixtureClustering(4, random_state=0, device=device).fit_predict(X)
    assert adjusted_rand_score(y, labels) > 0.95
