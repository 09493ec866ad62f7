"""Parity with zuko: our parameters put into its transforms, our networks' weights into its networks.

zuko has no planar, radial, Householder or normalising maps. Its scalar maps bound their parameters by other functions
than ours do, so that parameters are translated: ours to what the map is, and that to zuko's.
"""

import math
from functools import reduce

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.linalg import logm
from torch import nn
from torch.distributions import Distribution, Independent, Normal
from torch.nn.functional import softplus

from skflowmix.modules import bases
from skflowmix.modules.flows import make_flow
from skflowmix.modules.nets import autoregressive_masks
from skflowmix.modules.transforms import (
    AffineMap,
    Autoregressive,
    Compose,
    Coupling,
    Elementwise,
    Inverse,
    LULinear,
    Orthogonal,
    Permutation,
    PLULinear,
    QRLinear,
    ShiftMap,
    SplineMap,
    WhitenedAffine,
)

_validates = Distribution._validate_args
zuko = pytest.importorskip("zuko")
Distribution.set_default_validate_args(_validates)  # which zuko turns off for the whole process

N_FEATURES = 4
TINY_SLOPE = 1e-30
CLOSE = {"rtol": 1e-9, "atol": 1e-9}


def before_softclip(value, n_scales=1):
    """The number that zuko squeezes into a value, for its smallest slope."""
    return value / (1 - (n_scales * value / math.log(TINY_SLOPE)).abs())


def affine(shift, raw):
    log_scale = 2 * torch.tanh(raw / 2)
    return zuko.transforms.MonotonicAffineTransform(shift, before_softclip(log_scale), slope=TINY_SLOPE)


def spline(*raw):
    """Eight bins on [-5, 5], no share of it and no slope below 1e-3, as `SplineMap` documents."""
    raw = torch.stack(raw, -1)
    widths, heights = (((1 - 8e-3) * sizes.softmax(-1) + 1e-3).log() for sizes in (raw[..., :8], raw[..., 8:16]))
    slopes = softplus(raw[..., 16:] + math.log(math.expm1(1 - 1e-3))) + 1e-3
    return zuko.transforms.MonotonicRQSTransform(
        before_softclip(widths, 2), before_softclip(heights, 2), before_softclip(slopes.log()), 5.0, TINY_SLOPE
    )


UNIVARIATE = {AffineMap: affine, ShiftMap: zuko.transforms.AdditiveTransform, SplineMap: spline}


def univariate(scalar_map):
    """zuko's scalar map of our raw parameters, and the shapes of those."""
    return {"univariate": UNIVARIATE[type(scalar_map)], "shapes": [()] * scalar_map.n_parameters}


def copy_weights(network, target, index, n_parameters):
    """Put a component's network into zuko's, which holds the outputs feature by feature."""
    layers = [layer for layer in target if hasattr(layer, "weight")]
    n_outputs = network.weights[-1].shape[1]
    by_feature = torch.arange(n_outputs).view(n_parameters, -1).T.flatten()
    for layer, weight, bias in zip(layers, network.weights, network.biases, strict=True):
        rows = by_feature if layer is layers[-1] else slice(None)
        layer.weight = nn.Parameter(weight[index].detach()[rows])
        layer.bias = nn.Parameter(bias[index, :, 0].detach()[rows])
    return by_feature


def hidden_sizes(network):
    return [len(bias[0]) for bias in network.biases[:-1]]


def coupling(ours, index):
    mask = torch.zeros(N_FEATURES, dtype=torch.bool)
    mask[ours.kept] = True
    peer = zuko.flows.coupling.GeneralCouplingTransform(
        N_FEATURES, mask=mask, hidden_features=hidden_sizes(ours.conditioner), **univariate(ours.scalar_map)
    )
    copy_weights(ours.conditioner, peer.hyper, index, ours.scalar_map.n_parameters)
    return peer()


def autoregressive(ours, index):
    """The masks of hidden layers are ours, as every package numbers its units in its own way."""
    sizes, n_parameters = hidden_sizes(ours.conditioner), ours.scalar_map.n_parameters
    peer = zuko.flows.autoregressive.MaskedAutoregressiveTransform(
        N_FEATURES,
        order=torch.tensor(ours.order).argsort(),
        hidden_features=sizes,
        **univariate(ours.scalar_map),
    )
    by_feature = copy_weights(ours.conditioner, peer.hyper, index, n_parameters)
    masks = autoregressive_masks(ours.order, sizes, n_parameters)
    masks[-1] = masks[-1][by_feature]
    for layer, mask in zip((layer for layer in peer.hyper if hasattr(layer, "mask")), masks, strict=True):
        layer.mask = mask.bool()
    return peer()


def elementwise(ours, index):
    parameters = ours.raw[index, :, 0].unflatten(0, (ours.scalar_map.n_parameters, -1))
    return zuko.transforms.DependentTransform(UNIVARIATE[type(ours.scalar_map)](*parameters), 1)


def matrix(diagonal, entries):
    """Lower triangular, of a diagonal and of the entries below it, row by row."""
    full = torch.diag(diagonal)
    full[tuple(torch.tril_indices(*full.shape, -1))] = entries
    return full


def shifted(*transforms, by):
    shift = zuko.transforms.DependentTransform(zuko.transforms.AdditiveTransform(by), 1)
    return zuko.transforms.ComposedTransform(*transforms, shift)


def lu(lower, upper):
    """zuko's factors have their diagonal in L."""
    diagonal = upper.diagonal()
    return zuko.transforms.LULinearTransform((lower * diagonal).tril() + (upper / diagonal[:, None]).triu(1))


def lu_linear(ours, index):
    lower = matrix(torch.ones_like(ours.log_diagonal[index]), ours.lower[index])
    return shifted(lu(lower, matrix(ours.log_diagonal[index].exp(), ours.upper[index]).T), by=ours.shift[index, 0])


def rotation(vectors):
    """zuko rotates by the exponential of A - A^T, we by reflections, which have to be even in number."""
    eye = torch.eye(N_FEATURES, dtype=torch.float64)
    of = reduce(torch.matmul, [eye - 2 * torch.outer(v, v) / v.square().sum() for v in vectors.T])
    return zuko.transforms.RotationTransform(torch.as_tensor(logm(of.numpy()).real / 2))


def orthogonal(ours, index):
    rotate = rotation(ours.vectors[index]).inv  # rows are multiplied from the left
    return shifted(rotate, by=ours.shift[index, 0])


def qr_linear(ours, index):
    upper = matrix(ours.log_diagonal[index].exp(), ours.upper[index]).T
    scale = lu(torch.eye(N_FEATURES).to(upper), upper)
    return shifted(scale, rotation(ours.vectors[index]), by=ours.shift[index, 0])


def whitened_affine(ours, index):
    learned = matrix(ours.learned.log_diagonal[index].exp(), ours.learned.lower[index])
    eye = torch.eye(N_FEATURES).to(learned)
    whiten = [shifted(by=-ours.location[index, 0]), lu(ours.whitening[index], eye)]
    return shifted(*whiten, lu(learned, eye), by=ours.shift[index, 0])


def compose(ours, index):
    return zuko.transforms.ComposedTransform(*(peer(transform, index) for transform in ours.transforms))


PEERS = {
    Autoregressive: autoregressive,
    Compose: compose,
    Coupling: coupling,
    Elementwise: elementwise,
    Inverse: lambda ours, index: peer(ours.transform, index).inv,
    LULinear: lu_linear,
    Orthogonal: orthogonal,
    PLULinear: lambda ours, index: compose(ours.steps, index),
    Permutation: lambda ours, index: zuko.transforms.PermutationTransform(torch.tensor(ours.order)),
    QRLinear: qr_linear,
    WhitenedAffine: whitened_affine,
}


@torch.no_grad()
def peer(ours, index):
    """zuko's transform of one of our components."""
    return PEERS[type(ours)](ours, index)


def coupling_of(scalar_map, mask):
    return lambda generator: Coupling(2, mask, scalar_map(), (16, 16), generator=generator)


def autoregressive_of(scalar_map):
    return lambda generator: Autoregressive(2, [2, 0, 3, 1], scalar_map(), (16, 9), generator=generator)


OURS = {
    "affine coupling": coupling_of(AffineMap, [False, True, False, True]),
    "additive coupling": coupling_of(ShiftMap, [True, True, False, False]),
    "spline coupling": coupling_of(SplineMap, [True, False, False, False]),
    "affine autoregression": autoregressive_of(AffineMap),
    "additive autoregression": autoregressive_of(ShiftMap),
    "spline autoregression": autoregressive_of(SplineMap),
    "inverse autoregression": lambda generator: Inverse(autoregressive_of(AffineMap)(generator)),
    "affine map of each feature": lambda generator: Elementwise(2, N_FEATURES, AffineMap()),
    "spline of each feature": lambda generator: Elementwise(2, N_FEATURES, SplineMap()),
    "LU": lambda generator: LULinear(2, N_FEATURES),
    "PLU": lambda generator: PLULinear(2, [2, 0, 3, 1]),
    "QR": lambda generator: QRLinear(2, N_FEATURES, generator=generator),
    "rotation": lambda generator: Orthogonal(2, N_FEATURES, generator=generator),
    "whitening": lambda generator: WhitenedAffine(2, N_FEATURES),
}
WITH_PEERS = ["affine", "nice", "realnvp", "glow", "maf", "iaf", "nsf", "nsf-ar"]


def random_instance(make, randomise):
    generator = torch.Generator().manual_seed(0)
    ours = randomise(make(generator).double(), N_FEATURES, generator)
    with torch.no_grad():
        for parameter in ours.parameters():
            parameter += 0.3 * torch.randn(parameter.shape, generator=generator, dtype=parameter.dtype)
    return ours, 2 * torch.randn((2, 200, N_FEATURES), generator=generator, dtype=torch.float64)


@pytest.mark.parametrize("make", OURS.values(), ids=OURS)
@torch.no_grad()
def test_transform_equals_zukos(randomise, make):
    ours, x = random_instance(make, randomise)
    z, ladj = ours(x)
    back, ladj_back = ours.inverse(x)
    assert (z - x).abs().max() > 0.1
    for index in range(2):
        theirs = peer(ours, index)
        torch.testing.assert_close(theirs.call_and_ladj(x[index]), (z[index], ladj[index]), **CLOSE)
        torch.testing.assert_close(theirs.inv.call_and_ladj(x[index]), (back[index], ladj_back[index]), **CLOSE)


@pytest.mark.parametrize("preset", WITH_PEERS)
@torch.no_grad()
def test_density_of_a_preset_equals_zukos(randomise, preset):
    def make(generator):
        return make_flow(preset, 2, N_FEATURES, n_layers=3, hidden_layer_sizes=(12,), generator=generator)

    ours, x = random_instance(make, randomise)
    z, ladj = ours(x)
    log_prob = bases.Normal(2, N_FEATURES).log_prob(z) + ladj
    latent = Independent(Normal(torch.zeros_like(x[0, 0]), torch.ones_like(x[0, 0])), 1)
    for index in range(2):
        theirs = zuko.distributions.NormalizingFlow(peer(ours, index), latent)
        torch.testing.assert_close(theirs.log_prob(x[index]), log_prob[index], **CLOSE)


@given(raw=arrays(np.float64, SplineMap().n_parameters, elements=st.floats(-3, 3)))
@settings(deadline=None, max_examples=20)
@torch.no_grad()
def test_spline_of_any_parameters_equals_zukos(raw):
    ours = Elementwise(1, 1, SplineMap()).double()
    ours.raw.copy_(torch.as_tensor(raw)[None, :, None])
    x = torch.linspace(-6, 6, 241, dtype=torch.float64)[None, :, None]
    theirs = peer(ours, 0)
    (z, ladj), (back, _) = ours(x), ours.inverse(x)
    torch.testing.assert_close(theirs.call_and_ladj(x[0]), (z[0], ladj[0]), **CLOSE)
    torch.testing.assert_close(theirs.inv(x[0]), back[0], rtol=1e-7, atol=1e-7)
