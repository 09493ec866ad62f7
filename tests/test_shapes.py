"""Default fits find clusters of curved shapes. Ten seeds of each: examples/benchmarks/curved_shapes.py."""

import pytest
from curved_shapes import SHAPES
from sklearn.metrics import adjusted_rand_score

from skflowmix import FlowMixtureClustering


@pytest.mark.parametrize("shape", ["moons", "circles", "slanted blobs", "unequal blobs", "pinwheel"])
def test_default_fit_finds_the_shapes(shape, device):
    X, y = SHAPES[shape](seed=11)
    labels = FlowMixtureClustering(len(set(y)), device=device, random_state=11).fit_predict(X)
    assert adjusted_rand_score(y, labels) > 0.97
