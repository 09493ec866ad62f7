"""Small neural networks, one for each component, evaluated as one batch.

A conditioner maps the features that a layer keeps to the parameters of the map that it applies to the
others. All components' conditioners have the same shape, so that their weights stack along a leading axis
C and one batched matrix product evaluates a layer of all of them.
"""

import math
from collections.abc import Callable
from itertools import pairwise

import torch
from torch import nn
from torch.nn import functional

from .draws import default_dtype, normal, uniform
from .perceptrons import RectifiedPerceptrons

ACTIVATIONS: dict[str, Callable[[torch.Tensor], torch.Tensor]] = {
    "elu": functional.elu,
    "relu": functional.relu,
    "silu": functional.silu,
    "softplus": functional.softplus,
    "tanh": torch.tanh,
}


class MLP(nn.Module):
    """Multilayer perceptrons, one for each component.

    The last layer starts at zero, so that whatever the outputs parameterise starts at its own zero
    (for the maps of this package, the identity).

    Parameters
    ----------
    n_components : int
        Number C of perceptrons.
    layer_sizes : sequence of int
        Number of inputs, of units in each hidden layer, and of outputs. Zero inputs are allowed: without a context the
        outputs are then learned constants.
    n_context : int, default=0
        Number H of further inputs, those of a context.
    activation : str, default="relu"
        What the hidden units apply, a key of `ACTIVATIONS`. Rectified units are the fastest; the smooth ones can be
        differentiated more than once.
    masks : sequence of Tensor of shape (n_out, n_in), default=None
        For each layer, one where a unit reads an input and zero where it may not; see `autoregressive_masks`.
    generator : torch.Generator, default=None
        Source of the initial weights of the hidden layers (He et al., 2015, arXiv:1502.01852).
    """

    def __init__(self, n_components, layer_sizes, *, n_context=0, activation="relu", masks=None, generator=None):
        super().__init__()
        if activation not in ACTIVATIONS:
            raise ValueError(f"activation must be one of {sorted(ACTIVATIONS)}; got {activation!r}.")
        self.n_context = n_context
        self.activation = activation
        self.weights = nn.ParameterList()
        self.biases = nn.ParameterList()
        self.is_masked = masks is not None
        for layer, mask in enumerate(masks or ()):
            self.register_buffer(f"mask_{layer}", mask.repeat(n_components, 1, 1), persistent=False)
        *hidden, last = pairwise((layer_sizes[0] + n_context, *layer_sizes[1:]))
        for n_in, n_out in hidden:
            scale = math.sqrt(2.0 / max(n_in, 1))
            weight = normal(n_components, n_out, n_in, generator=generator) * scale
            bias = (uniform(n_components, n_out, 1, generator=generator) - 0.5) * scale
            self.weights.append(nn.Parameter(weight))
            self.biases.append(nn.Parameter(bias))
        n_in, n_out = last
        self.weights.append(nn.Parameter(torch.zeros(n_components, n_out, n_in)))
        self.biases.append(nn.Parameter(torch.zeros(n_components, n_out, 1)))

    def forward(self, x, context=None):
        """Outputs of all perceptrons. Rows of x come last, so that a unit's values for all rows lie together.

        Parameters
        ----------
        x : Tensor of shape (C, n_inputs, N)
        context : Tensor of shape (C, N, H) or (N, H), default=None
            Required with ``n_context > 0``; else not looked at.

        Returns
        -------
        Tensor of shape (C, n_outputs, N)
        """
        if self.n_context:
            x = torch.cat((x, self._as_inputs(context, x)), 1)
        weights = list(self.weights)
        if self.is_masked:
            weights = [weight * self.get_buffer(f"mask_{layer}") for layer, weight in enumerate(weights)]
        if self.activation == "relu":
            return RectifiedPerceptrons.apply(x, *weights, *self.biases)
        for weight, bias in zip(weights[:-1], self.biases, strict=False):
            x = ACTIVATIONS[self.activation](torch.bmm(weight, x) + bias)
        return torch.bmm(weights[-1], x) + self.biases[-1]

    def _as_inputs(self, context, x):
        """A context as the inputs of the perceptrons, Tensor of shape (C, H, N)."""
        if context is None or context.shape[-1] != self.n_context:
            found = None if context is None else tuple(context.shape)
            raise ValueError(f"a context of {self.n_context} features a row is required; got one of shape {found}.")
        return context.mT.expand(len(x), self.n_context, x.shape[2])


def autoregressive_masks(order, hidden_layer_sizes, n_parameters, *, n_context=0):
    """Masks for an `MLP` whose outputs for a feature depend on the features before it alone, and on the context.

    Germain et al. (2015), MADE, arXiv:1502.03509: every unit has a degree, the last place in the order that it
    may look at, and reads units of no higher degree. Degrees are spread evenly, rather than drawn. A context comes
    before the first place: it has the degree -1, and so have some units where there is one.

    Parameters
    ----------
    order : sequence of int of length D
        The features, the first one depending on none.
    hidden_layer_sizes : sequence of int
        Units in the hidden layers.
    n_parameters : int
        Outputs P for each feature.
    n_context : int, default=0
        Number H of inputs after the features, those of a context.

    Returns
    -------
    list of Tensor of shape (n_out, n_in)
        For layer sizes (D + H, *hidden_layer_sizes, P * D), outputs parameter by parameter.
    """
    place = torch.as_tensor(order).argsort()
    first = -1 if n_context else 0
    n_degrees = len(order) - 1 - first
    degrees = [torch.cat([place, place.new_full((n_context,), -1)])]
    for size in hidden_layer_sizes:
        degrees.append((torch.arange(1, size + 1) * n_degrees + size - 1) // size - 1 + first)
    degrees.append(place.repeat(n_parameters) - 1)
    return [(after[:, None] >= before).to(default_dtype()) for before, after in pairwise(degrees)]
