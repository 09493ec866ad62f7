"""Presets: the name of a flow, and the transforms that it stacks.

Every preset starts, on the data's side, with an affine map that `initialize` sets from each component's
weighted mean and covariance, and goes on with layers that are the identity at first. A preset is one line
in `PRESETS`: a function that makes a list of so many layers.
"""

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
    TriangularAffine,
)


def _no_layers(n_components, n_features, n_layers, hidden_layer_sizes, generator):
    return []


def _bends(transform):
    """Layers that have no network."""

    def layers(n_components, n_features, n_layers, hidden_layer_sizes, generator):
        return [transform(n_components, n_features, generator=generator) for _ in range(n_layers)]

    return layers


def _coupling_layers(make_scalar_map):
    """Coupling layers that keep the first and the second half of the features by turns."""

    def layers(n_components, n_features, n_layers, hidden_layer_sizes, generator):
        n_first = n_features // 2
        masks = [[(i < n_first) == (layer % 2 == 0) for i in range(n_features)] for layer in range(n_layers)]
        if n_features == 1:
            masks = [[False]] * n_layers
        return [
            Coupling(n_components, mask, make_scalar_map(), hidden_layer_sizes, generator=generator) for mask in masks
        ]

    return layers


def _nice_layers(n_components, n_features, n_layers, hidden_layer_sizes, generator):
    """Couplings that keep volumes, so that the scale of each feature is a layer of its own."""
    shifts = _coupling_layers(ShiftMap)(n_components, n_features, n_layers, hidden_layer_sizes, generator)
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


PRESETS = {
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


def make_flow(
    flow,
    n_components,
    n_features,
    *,
    n_layers=4,
    n_shared_layers=0,
    hidden_layer_sizes=(32, 32),
    reg_covar=1e-6,
    generator=None,
):
    """Build a flow for each component.

    Parameters
    ----------
    flow : str or list of str
        A key of `PRESETS`, or one for each component.
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
    generator : torch.Generator, default=None
        Source of the initial weights.

    Returns
    -------
    Transform
        One batch for all components of the same preset.
    """

    def one_batch(name, size):
        layers = PRESETS[name](size, n_features, n_layers, hidden_layer_sizes, generator)
        affine = TriangularAffine(size, n_features, reg_covar=reg_covar)
        return Compose([affine, *layers[n_shared_layers:]])

    if isinstance(flow, str) or len(set(flow)) == 1:
        return one_batch(flow if isinstance(flow, str) else flow[0], n_components)
    members = {name: [i for i, other in enumerate(flow) if other == name] for name in dict.fromkeys(flow)}
    return Grouped([one_batch(name, len(indices)) for name, indices in members.items()], list(members.values()))


def make_shared_layers(name, n_features, *, n_layers, n_shared_layers, hidden_layer_sizes=(32, 32), generator=None):
    """The first layers of a preset, on the data's side, as one transform for all components.

    Parameters are those of `make_flow`.

    Returns
    -------
    Compose
        Its component axis has length one.
    """
    layers = PRESETS[name](1, n_features, n_layers, hidden_layer_sizes, generator)
    return Compose(layers[:n_shared_layers])
