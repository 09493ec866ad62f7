"""Every preset and every base fits, samples and scores, whatever the number of features."""

import numpy as np
import pytest

from skflowmix import FlowMixtureClustering, FlowMixtureDensity
from skflowmix.modules.bases import BASES
from skflowmix.modules.flows import PRESETS


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


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("estimator", [FlowMixtureClustering, FlowMixtureDensity])
@pytest.mark.parametrize("flow", PRESETS)
@pytest.mark.filterwarnings("ignore:The fit still improved")
def test_fitted_density_integrates_to_one_in_the_plane(flow, estimator, dtype, device):
    X = np.random.RandomState(0).standard_normal((120, 2)) * [1, 0.5]
    X[60:, 1] += 3 + X[60:, 0] ** 2
    settings = {"hidden_layer_sizes": (8,), "n_layers": 3, "init_params": "kmeans", "max_iter": 30, "random_state": 0}
    model = estimator(2, flow=flow, dtype=dtype, device=device, **settings).fit(X)
    low, high = X.min(0) - 8 * X.std(0), X.max(0) + 8 * X.std(0)
    axes = [np.linspace(a, b, 300) for a, b in zip(low, high, strict=True)]
    points = np.stack(np.meshgrid(*axes, indexing="ij"), -1).reshape(-1, 2)
    density = np.exp(model.score_samples(points)).reshape(300, 300)
    assert np.trapezoid(np.trapezoid(density, axes[1]), axes[0]) == pytest.approx(1, abs=0.01)
