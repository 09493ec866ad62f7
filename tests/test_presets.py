"""Every preset and every base fits, samples and scores, whatever the number of features."""

import numpy as np
import pytest

from skflowmix import FlowMixtureDensity
from skflowmix.bases import BASES
from skflowmix.flows import PRESETS


@pytest.mark.parametrize("n_features", [1, 2, 5])
@pytest.mark.parametrize(
    "parts", [{"flow": name} for name in PRESETS] + [{"base": name} for name in BASES], ids=lambda parts: str(parts)
)
@pytest.mark.filterwarnings("ignore:The fit still improved")
def test_every_part_fits_samples_and_scores(parts, n_features):
    X = np.random.RandomState(0).standard_normal((80, n_features)) + np.repeat([[-3], [3]], 40, axis=0)
    settings = {"hidden_layer_sizes": (8,), "n_init": 2, "max_iter": 4, "random_state": 0}
    model = FlowMixtureDensity(2, **parts, **settings).fit(X)
    rows, _ = model.sample(20, random_state=0)
    assert rows.shape == (20, n_features)
    assert np.isfinite(rows).all()
    assert np.isfinite(model.score_samples(np.concatenate([X, rows, 1e3 * X]))).all()
