"""Latent coordinates of rows, and tables of them."""

import numpy as np
import pytest
import torch
from sklearn.datasets import make_moons
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skflowmix import FlowMixtureClassifier, FlowMixtureClustering, FlowMixtureDensity

X, Y = make_moons(80, noise=0.1, random_state=0)
QUICK = {"n_layers": 1, "hidden_layer_sizes": (4,), "max_iter": 3, "random_state": 0}
pytestmark = pytest.mark.filterwarnings("ignore:The fit still improved:sklearn.exceptions.ConvergenceWarning")


@pytest.mark.parametrize("parameters", [{}, {"n_shared_layers": 1, "flow": "realnvp"}, {"flow": ["affine", "nsf"]}])
def test_of_the_most_probable_component(parameters, device):
    model = FlowMixtureClustering(2, device=device, **QUICK | parameters).fit(X)
    z, rows = model.transform(X), torch.as_tensor(model._fitted.plan.scaler.transform(X)).to(model.mixture_.logits)
    base = model.mixture_.base.log_prob(torch.as_tensor(z).to(rows).expand(2, *z.shape))[0]
    joint, component = model.mixture_.component_log_prob(rows)[0].max(1)
    same = component.cpu().numpy() == model.predict(X)
    assert same.mean() > 0.8
    # log p(x | k) = log p_0(z) + the logarithm of the map's slope, which is that of the rows' neighbourhoods.
    step, i = 1e-5, int(np.flatnonzero(same)[0])
    moved = X[i] + step * np.eye(2)
    slope = np.linalg.slogdet((model.transform(moved) - z[i]) / step)[1]
    expected = model.component_log_prob(X[i : i + 1])[0, model.predict(X[i : i + 1])[0]]
    assert base[i].item() + slope == pytest.approx(expected, abs=1e-3)
    assert joint.isfinite().all()


@pytest.mark.parametrize("estimator", [FlowMixtureDensity, FlowMixtureClassifier])
def test_tables_are_tables(estimator, device):
    pandas = pytest.importorskip("pandas")
    table = pandas.DataFrame(X, columns=["east", "north"])
    model = make_pipeline(StandardScaler(), estimator(1, device=device, **QUICK)).set_output(transform="pandas")
    model.fit(table, Y)
    latent, name = model.transform(table), estimator.__name__.lower()
    assert latent.columns.tolist() == [f"{name}0", f"{name}1"]
    assert model[-1].get_feature_names_out().tolist() == latent.columns.tolist()
    drawn, _ = model[-1].sample(5)
    assert isinstance(drawn, pandas.DataFrame)
    assert drawn.columns.tolist() == ["east", "north"]
    plain, _ = model[-1].set_output(transform="default").sample(5)
    np.testing.assert_array_equal(drawn.to_numpy(), plain)
