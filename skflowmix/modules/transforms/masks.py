"""Masks: which features successive coupling layers keep.

A mask is true for the features that a layer passes unchanged. Of two successive layers, the second one moves what
the first one keeps. A single feature is never kept, as no layer would then move it.
"""

import math

import torch


def coupling_masks(name, n_features, n_layers, *, feature_shape=None, generator=None):
    """Masks of successive coupling layers.

    Parameters
    ----------
    name : str
        A key of `MASKS`: "half" keeps the first features, "alternating" every second one, "random" a half that is
        drawn anew for each pair of layers; of images, "checkerboard" keeps every second pixel and "channel" the
        first channels (Dinh, Sohl-Dickstein and Bengio, 2017, RealNVP, arXiv:1605.08803).
    n_features : int
        Number D of features.
    n_layers : int
        Number L of layers.
    feature_shape : tuple of int, default=None
        Channels, height and width of rows that are images, flattened in C order.
    generator : torch.Generator, default=None
        Source of random masks. Flows to be stacked need the same masks.

    Returns
    -------
    list of list of bool
        L masks of length D.

    Raises
    ------
    ValueError
        If the name is unknown, or the mask needs another `feature_shape`.
    """
    if name not in MASKS:
        raise ValueError(f"mask must be one of {sorted(MASKS)}; got {name!r}.")
    if feature_shape is not None and (len(feature_shape) != 3 or math.prod(feature_shape) != n_features):
        raise ValueError(
            "feature_shape must be (channels, height, width) with a product equal to the number of features, "
            f"{n_features}; got {feature_shape!r}."
        )
    if n_features == 1:
        return [[False]] * n_layers
    return MASKS[name](n_features, n_layers, feature_shape, generator)


def _half(n_features, n_layers, feature_shape, generator):
    return _by_turns([feature < n_features // 2 for feature in range(n_features)], n_layers)


def _alternating(n_features, n_layers, feature_shape, generator):
    return _by_turns([feature % 2 == 0 for feature in range(n_features)], n_layers)


def _random(n_features, n_layers, feature_shape, generator):
    masks: list[list[bool]] = []
    while len(masks) < n_layers:
        masks += _by_turns((torch.randperm(n_features, generator=generator) < n_features // 2).tolist(), 2)
    return masks[:n_layers]


def _checkerboard(n_features, n_layers, feature_shape, generator):
    n_channels, height, width = _image_shape("checkerboard", feature_shape)
    if height * width < 2:
        raise ValueError(f"mask='checkerboard' needs images of two pixels at least; got feature_shape={feature_shape}.")
    pixels = [(row + column) % 2 == 0 for row in range(height) for column in range(width)]
    return _by_turns(pixels * n_channels, n_layers)


def _channel(n_features, n_layers, feature_shape, generator):
    n_channels, height, width = _image_shape("channel", feature_shape)
    if n_channels < 2:
        raise ValueError(f"mask='channel' needs images of two channels at least; got feature_shape={feature_shape}.")
    return _by_turns([feature < n_channels // 2 * height * width for feature in range(n_features)], n_layers)


def _image_shape(name, feature_shape):
    if feature_shape is None:
        raise ValueError(f"mask={name!r} needs feature_shape, the channels, height and width of the images.")
    return feature_shape


def _by_turns(mask, n_layers):
    """A mask and its complement by turns."""
    complement = [not kept for kept in mask]
    return [complement if layer % 2 else mask for layer in range(n_layers)]


MASKS = {
    "half": _half,
    "alternating": _alternating,
    "random": _random,
    "checkerboard": _checkerboard,
    "channel": _channel,
}
