"""Presets: the name of a flow, and the transforms that it stacks.

Every preset starts, on the data's side, with an affine map that `initialize` sets from each component's
weighted mean and covariance, and goes on with layers that are the identity at first. A preset is one line
in `PRESETS`: a function that makes a list of so many layers.
"""

import copy
import inspect
from collections.abc import Callable

import torch

from .transforms import (
    AffineMap,
    Autoregressive,
    Compose,
    Coupling,
    Elementwise,
    Grouped,
    Inverse,
    LULinear,
    Orthogonal,
    Permutation,
    Planar,
    PReLUMap,
    Radial,
    ShiftMap,
    SplineMap,
    Transform,
    WhitenedAffine,
    coupling_masks,
)
from .transforms.compose import starts_from_data

_DEFAULT_MASK = "half"


def _no_layers(n_components, n_features, n_layers, hidden_layer_sizes, generator):
    return []


def _bends(transform):
    """Layers that have no network."""

    def layers(n_components, n_features, n_layers, hidden_layer_sizes, generator):
        return [transform(n_components, n_features, generator=generator) for _ in range(n_layers)]

    return layers


def _coupling_layers(make_scalar_map):
    """Coupling layers that by turns keep some features and the others."""

    def layers(
        n_components, n_features, n_layers, hidden_layer_sizes, generator, *, mask=_DEFAULT_MASK, feature_shape=None
    ):
        masks = coupling_masks(mask, n_features, n_layers, feature_shape=feature_shape, generator=generator)
        return [
            Coupling(n_components, mask, make_scalar_map(), hidden_layer_sizes, generator=generator) for mask in masks
        ]

    return layers


def _nice_layers(n_components, n_features, n_layers, hidden_layer_sizes, generator, **masking):
    """Couplings that keep volumes, so that the scale of each feature is a layer of its own."""
    shifts = _coupling_layers(ShiftMap)(n_components, n_features, n_layers, hidden_layer_sizes, generator, **masking)
    return [*shifts[:-1], Compose([*shifts[-1:], Elementwise(n_components, n_features, AffineMap())])]


def _glow_layers(n_components, n_features, n_layers, hidden_layer_sizes, generator):
    """Couplings of the same half, before each of them an affine map P L U x + b.

    That map's scales and shifts are what Glow's ActNorm would have; their start is that of the flow's first layer.
    """
    mask = [i < n_features // 2 for i in range(n_features)]
    return [
        Compose(
            [
                LULinear(n_components, n_features),
                Permutation(range(n_features)[::-1]),
                Coupling(n_components, mask, AffineMap(), hidden_layer_sizes, generator=generator),
            ]
        )
        for _ in range(n_layers)
    ]


def _prelu_layers(n_components, n_features, n_layers, hidden_layer_sizes, generator):
    """Affine maps with bends along D orthogonal planes between them; no networks.

    The planes do not meet where the rows have their mean, or rows that are symmetric about it would never bend them.
    """
    layers = []
    for _ in range(n_layers):
        motion = Orthogonal(n_components, n_features, generator=generator)
        bend = Elementwise(n_components, n_features, PReLUMap())
        layers.append(Compose([motion, bend, Inverse(motion), LULinear(n_components, n_features)]))
    return layers


def _autoregressive_layers(make_scalar_map):
    """Autoregressive layers that go through the features forwards and backwards by turns."""

    def layers(n_components, n_features, n_layers, hidden_layer_sizes, generator):
        order = list(range(n_features))
        orders = [order if layer % 2 == 0 else order[::-1] for layer in range(n_layers)]
        return [
            Autoregressive(n_components, order, make_scalar_map(), hidden_layer_sizes, generator=generator)
            for order in orders
        ]

    return layers


def _inverse(make_layers):
    """The same layers, run the other way."""

    def layers(*sizes):
        return [Inverse(layer) for layer in make_layers(*sizes)]

    return layers


PRESETS: dict[str, Callable] = {
    "affine": _no_layers,
    "planar": _bends(Planar),
    "radial": _bends(Radial),
    "prelu": _prelu_layers,
    "nice": _nice_layers,
    "realnvp": _coupling_layers(AffineMap),
    "glow": _glow_layers,
    "nsf": _coupling_layers(SplineMap),
    "maf": _autoregressive_layers(AffineMap),
    "iaf": _inverse(_autoregressive_layers(AffineMap)),
    "nsf-ar": _autoregressive_layers(SplineMap),
}

FOR_DRAWS = PRESETS | {"planar": _inverse(_bends(Planar)), "radial": _inverse(_bends(Radial))}
"""The presets for models that are trained on their own draws: the way that needs no search leads to x."""

TAKE_A_MASK = ("nice", "nsf", "realnvp")


def _preset_layers(presets, name, *sizes, mask, feature_shape):
    """The layers of a preset; what its couplings keep is asked of it only where it is not the default."""
    if (mask, feature_shape) == (_DEFAULT_MASK, None):
        return presets[name](*sizes)
    if name not in TAKE_A_MASK:
        raise ValueError(f"flow={name!r} takes neither mask nor feature_shape; those that do are {TAKE_A_MASK}.")
    return presets[name](*sizes, mask=mask, feature_shape=feature_shape)


def make_flow(
    flow,
    n_components,
    n_features,
    *,
    n_layers=4,
    n_shared_layers=0,
    hidden_layer_sizes=(32, 32),
    reg_covar=1e-6,
    mask=_DEFAULT_MASK,
    feature_shape=None,
    presets=PRESETS,
    generator=None,
):
    """Build a flow for each component.

    Parameters
    ----------
    flow : str, callable, or list of them
        A key of `PRESETS` or a function that makes a transform, or one for each component. A function is called with
        the number of components and that of features, and with those of `n_layers`, `hidden_layer_sizes`, `reg_covar`
        and `generator` that its signature has. What it makes follows an affine map, unless it starts from the data
        itself (`Transform.initialize`).
    n_components : int
        Number C of components.
    n_features : int
        Number D of features.
    n_layers : int, default=4
        Layers after the affine map.
    n_shared_layers : int, default=0
        So many of the layers are left out, the first ones: those that `make_shared_layers` makes.
    hidden_layer_sizes : tuple of int, default=(32, 32)
        Units in the hidden layers of each conditioner.
    reg_covar : float, default=1e-6
        Variance added to each feature of the covariance that the affine map starts from.
    mask : str, default="half"
        What the couplings of the presets in `TAKE_A_MASK` keep; see `coupling_masks`.
    feature_shape : tuple of int, default=None
        Channels, height and width of rows that are images, for those couplings.
    presets : dict, default=PRESETS
        What the names stand for; `FOR_DRAWS` is another.
    generator : torch.Generator, default=None
        Source of the initial weights, and of random masks.

    Returns
    -------
    Transform
        One batch for all components of the same preset.

    Raises
    ------
    ValueError
        If a mask is given to a preset that takes none, or does not fit the features; if a function does not make a
        transform with a component axis.
    """

    def one_batch(flow, size):
        affine = WhitenedAffine(size, n_features, reg_covar=reg_covar)
        sizes = {"n_layers": n_layers, "hidden_layer_sizes": hidden_layer_sizes, "generator": generator}
        if callable(flow):
            own = _made_by(flow, size, n_features, {**sizes, "reg_covar": reg_covar})
            return own if starts_from_data(own) else Compose([affine, own])
        layers = _preset_layers(
            presets, flow, size, n_features, *sizes.values(), mask=mask, feature_shape=feature_shape
        )
        return Compose([affine, *layers[n_shared_layers:]])

    if isinstance(flow, str) or callable(flow):
        return one_batch(flow, n_components)
    members = {one: [i for i, other in enumerate(flow) if other == one] for one in dict.fromkeys(flow)}
    if len(members) == 1:
        return one_batch(flow[0], n_components)
    return Grouped([one_batch(one, len(indices)) for one, indices in members.items()], list(members.values()))


@torch.no_grad()
def _made_by(function, n_components, n_features, sizes):
    """The transform that a user's function makes, once it has been seen to be one."""
    parameters = inspect.signature(function).parameters
    takes_all = any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters.values())
    chosen = {name: value for name, value in sizes.items() if takes_all or name in parameters}
    transform = function(n_components, n_features, **chosen)
    if not isinstance(transform, Transform):
        raise ValueError(f"flow as a callable must return a Transform; got {type(transform).__name__}.")
    leading = {name: len(tensor) if tensor.ndim else 0 for name, tensor in transform.state_dict().items()}
    wrong = [name for name, length in leading.items() if length != n_components]
    if wrong:
        raise ValueError(
            f"flow as a callable must return a Transform whose parameters lead with an axis of {n_components} "
            f"components; {', '.join(wrong)} do not."
        )
    x = torch.zeros(n_components, 2, n_features)
    z, ladj = copy.deepcopy(transform).eval()(x)
    if z.shape != x.shape or ladj.shape != x.shape[:2]:
        raise ValueError(
            "flow as a callable must return a Transform that maps (C, N, D) to z of that shape and ladj of shape "
            f"(C, N); for {tuple(x.shape)} it gave {tuple(z.shape)} and {tuple(ladj.shape)}."
        )
    return transform


def make_shared_layers(
    name,
    n_features,
    *,
    n_layers,
    n_shared_layers,
    hidden_layer_sizes=(32, 32),
    mask=_DEFAULT_MASK,
    feature_shape=None,
    presets=PRESETS,
    generator=None,
):
    """The first layers of a preset, on the data's side, as one transform for all components.

    Parameters are those of `make_flow`.

    Returns
    -------
    Compose
        Its component axis has length one.
    """
    sizes = (1, n_features, n_layers, hidden_layer_sizes)
    layers = _preset_layers(presets, name, *sizes, generator, mask=mask, feature_shape=feature_shape)
    return Compose(layers[:n_shared_layers])
