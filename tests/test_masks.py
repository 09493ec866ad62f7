"""Which features successive couplings keep."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from skflowmix.modules.flows import PRESETS, TAKE_A_MASK, make_flow, make_shared_layers
from skflowmix.modules.transforms import MASKS, Coupling, coupling_masks

IMAGE = (3, 4, 5)
every_mask = pytest.mark.parametrize("name", MASKS)


def masks_of(name, n_features=60, n_layers=4, feature_shape=IMAGE, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return coupling_masks(name, n_features, n_layers, feature_shape=feature_shape, generator=generator)


@every_mask
@pytest.mark.parametrize("n_layers", [0, 1, 4, 5])
def test_a_layer_moves_what_the_one_before_it_keeps(name, n_layers):
    masks = np.array(masks_of(name, n_layers=n_layers)).reshape(n_layers, 60)
    assert masks.dtype == bool or n_layers == 0
    for before, after in zip(masks[::2], masks[1::2], strict=False):
        assert (before != after).all()
    assert all(mask.any() and not mask.all() for mask in masks)


@pytest.mark.parametrize("name", ["half", "alternating", "random"])
@given(n_features=st.integers(2, 9), n_layers=st.integers(0, 5))
def test_masks_of_any_rows_keep_about_half_of_them(name, n_features, n_layers):
    masks = coupling_masks(name, n_features, n_layers, generator=torch.Generator().manual_seed(0))
    assert len(masks) == n_layers
    for mask in masks:
        assert len(mask) == n_features
        assert sum(mask) in (n_features // 2, n_features - n_features // 2)


@every_mask
def test_single_feature_is_always_moved(name):
    assert masks_of(name, 1, 3, (1, 1, 1)) == [[False]] * 3


def test_half_keeps_the_first_features_first():
    assert coupling_masks("half", 5, 2) == [[True, True, False, False, False], [False, False, True, True, True]]


def test_alternating_keeps_every_second_feature():
    assert coupling_masks("alternating", 5, 1) == [[True, False, True, False, True]]


def test_random_draws_a_half_for_each_pair_of_layers():
    masks = masks_of("random", n_layers=4)
    assert masks == masks_of("random", n_layers=4)
    assert masks[0] != masks[2]
    assert masks != masks_of("random", n_layers=4, seed=1)


def test_checkerboard_alternates_along_rows_and_columns_alike_in_all_channels():
    image = np.array(masks_of("checkerboard")[0]).reshape(IMAGE)
    assert (image[:, 1:] != image[:, :-1]).all()
    assert (image[:, :, 1:] != image[:, :, :-1]).all()
    assert (image == image[0]).all()


def test_channel_keeps_whole_channels():
    image = np.array(masks_of("channel")[0]).reshape(IMAGE)
    assert image.all((1, 2)).tolist() == [True, False, False]
    assert not image[1:].any()


@pytest.mark.parametrize(
    ("name", "feature_shape", "message"),
    [
        ("quarter", None, "mask must be one of .*'checkerboard'.*; got 'quarter'"),
        ("half", (3, 4, 6), r"equal to the number of features, 60; got \(3, 4, 6\)"),
        ("checkerboard", (6, 10), r"must be \(channels, height, width\)"),
        ("checkerboard", None, "mask='checkerboard' needs feature_shape"),
        ("channel", None, "mask='channel' needs feature_shape"),
        ("checkerboard", (60, 1, 1), "two pixels at least"),
        ("channel", (1, 6, 10), "two channels at least"),
    ],
)
def test_masks_that_do_not_fit_are_refused(name, feature_shape, message):
    with pytest.raises(ValueError, match=message):
        masks_of(name, feature_shape=feature_shape)


@pytest.mark.parametrize("preset", TAKE_A_MASK)
@every_mask
def test_couplings_of_a_flow_keep_what_the_mask_says(preset, name):
    generator = torch.Generator().manual_seed(0)
    flow = make_flow(
        preset, 2, 60, n_layers=2, hidden_layer_sizes=(4,), mask=name, feature_shape=IMAGE, generator=generator
    )
    couplings = [layer for layer in flow.modules() if isinstance(layer, Coupling)]
    kept = [[bool(place) for place in _indicator(coupling.kept)] for coupling in couplings]
    assert kept == masks_of(name, n_layers=len(couplings))
    x = torch.randn((2, 3, 60), generator=generator)
    torch.testing.assert_close(flow.inverse(flow(x)[0])[0], x, rtol=1e-4, atol=1e-4)


def test_shared_layers_take_the_mask_of_the_flow():
    sizes = {"n_layers": 2, "n_shared_layers": 1, "hidden_layer_sizes": (4,), "mask": "channel", "feature_shape": IMAGE}
    generator = torch.Generator().manual_seed(0)
    layers = [make_shared_layers("nsf", 60, **sizes, generator=generator).transforms[0]]
    layers.append(make_flow("nsf", 2, 60, **sizes, generator=generator).transforms[1])
    assert [_indicator(layer.kept).tolist() for layer in layers] == masks_of("channel", n_layers=2)


def _indicator(places):
    indicator = np.zeros(60, dtype=bool)
    indicator[places] = True
    return indicator


@pytest.mark.parametrize("preset", [name for name in PRESETS if name not in TAKE_A_MASK])
@pytest.mark.parametrize("masking", [{"mask": "alternating"}, {"feature_shape": (1, 2, 2)}])
def test_presets_without_a_mask_refuse_one(preset, masking):
    make_flow(preset, 1, 4, mask="half")
    with pytest.raises(ValueError, match=f"flow='{preset}' takes neither mask nor feature_shape"):
        make_flow(preset, 1, 4, **masking)
