"""Flows that users bring as functions, besides names and lists of names."""

from functools import partial

import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.datasets import make_moons

from skflowmix import FlowMixtureClassifier, FlowMixtureClustering, FlowMixtureDensity
from skflowmix.modules import make_flow
from skflowmix.modules.transforms import AffineMap, Compose, Coupling, Elementwise, Grouped, Transform, WhitenedAffine

pytestmark = pytest.mark.filterwarnings("ignore:The fit still improved:sklearn.exceptions.ConvergenceWarning")
QUICK = {"n_layers": 2, "hidden_layer_sizes": (8,), "max_iter": 4, "random_state": 0}
X, Y = make_moons(80, noise=0.1, random_state=0)
IMAGES = np.random.RandomState(0).standard_normal((60, 8))


def bend(n_components, n_features, generator):
    """Two couplings, by a signature that asks for the generator alone."""
    masks = [[i % 2 == side for i in range(n_features)] for side in (0, 1)]
    return Compose([Coupling(n_components, mask, AffineMap(), (8,), generator=generator) for mask in masks])


def everything(n_components, n_features, **sizes):
    assert set(sizes) == {"n_layers", "hidden_layer_sizes", "generator", "reg_covar"}
    return bend(n_components, n_features, sizes["generator"])


class WrongShape(Transform):
    def forward(self, x, context=None):
        return x, x.new_zeros(x.shape)

    inverse = forward


@pytest.mark.parametrize("estimator", [FlowMixtureClustering, FlowMixtureDensity, FlowMixtureClassifier])
@pytest.mark.parametrize("flow", [bend, everything, lambda c, d: Elementwise(c, d, AffineMap())])
def test_estimators_take_a_function(estimator, flow, device):
    model = estimator(2, flow=flow, device=device, **QUICK).fit(X, Y)
    again = clone(model).fit(X, Y)
    np.testing.assert_array_equal(model.score_samples(X), again.score_samples(X))
    drawn, _ = model.sample(20)
    assert np.isfinite(model.score_samples(drawn)).all()


def test_make_flow_as_a_function_is_the_preset(device):
    """With the estimator's own sizes, so that a grid search over layers goes on working."""
    named = FlowMixtureDensity(2, flow="realnvp", n_shared_layers=0, device=device, **QUICK).fit(X)
    made = FlowMixtureDensity(2, flow=partial(make_flow, "realnvp"), device=device, **QUICK).fit(X)
    np.testing.assert_array_equal(named.score_samples(X), made.score_samples(X))


def test_masks_of_images_are_reached_through_it(device):
    flow = partial(make_flow, "realnvp", mask="checkerboard", feature_shape=(2, 2, 2))
    model = FlowMixtureDensity(2, flow=flow, device=device, **QUICK).fit(IMAGES)
    first = model.mixture_.flow.transforms[1]
    assert (first.kept, first.moved) == ([0, 3, 4, 7], [1, 2, 5, 6])


def test_a_list_mixes_functions_and_names(device):
    model = FlowMixtureDensity(3, flow=["affine", bend, bend], device=device, **QUICK).fit(X)
    flow = model.mixture_.flow
    assert isinstance(flow, Grouped)
    assert flow.members == [[0], [1, 2]]


def test_what_does_not_start_from_data_follows_an_affine_map():
    flow = make_flow(bend, 2, 3, generator=torch.Generator().manual_seed(0))
    assert isinstance(flow.transforms[0], WhitenedAffine)
    own = make_flow(lambda c, d: WhitenedAffine(c, d), 2, 3)
    assert isinstance(own, WhitenedAffine)


@pytest.mark.parametrize(
    ("flow", "message"),
    [
        (lambda c, d: torch.nn.Linear(d, d), "must return a Transform; got Linear"),
        (lambda c, d: Elementwise(1, d, AffineMap()), "an axis of 2 components; raw do not"),
        (lambda c, d: WrongShape(), r"for \(2, 2, 2\) it gave \(2, 2, 2\) and \(2, 2, 2\)"),
    ],
)
def test_a_function_that_makes_something_else_is_an_error(flow, message):
    with pytest.raises(ValueError, match=message):
        FlowMixtureDensity(2, flow=flow).fit(X)


@pytest.mark.parametrize("changes", [{"n_shared_layers": 1}, {"weight_concentration_prior": 0.1}])
def test_what_needs_a_preset_says_so(changes):
    with pytest.raises(ValueError, match="name"):
        FlowMixtureDensity(2, flow=bend, **changes).fit(X)
