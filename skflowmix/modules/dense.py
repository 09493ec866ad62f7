"""Networks of autoencoders: linear layers and perceptrons with rows first, one network rather than one a component.

Their parameters lead with an axis of one, that of restarts (see `training.protocols`).
"""

import math
from itertools import pairwise

import torch
from torch import nn
from torch.nn import functional

from .draws import normal
from .nets import ACTIVATIONS

_GAIN = 2.0  # softplus halves what is near zero, and latent features that do nothing at first may never come to do it


class Dense(nn.Module):
    """Linear map of rows.

    Parameters
    ----------
    n_inputs, n_outputs : int
    gain : float, default=1.0
        Deviation of the outputs at the start, for inputs of the size one.
    generator : torch.Generator, default=None
        Source of the initial weights.
    """

    def __init__(self, n_inputs, n_outputs, *, gain=1.0, generator=None):
        super().__init__()
        scale = gain / math.sqrt(max(n_inputs, 1))
        self.weight = nn.Parameter(normal(1, n_outputs, n_inputs, generator=generator) * scale)
        self.bias = nn.Parameter(torch.zeros(1, n_outputs))

    def forward(self, x):
        """Tensor of shape (..., n_inputs) -> Tensor of shape (..., n_outputs)."""
        return functional.linear(x, self.weight.squeeze(0), self.bias.squeeze(0))


class Perceptron(nn.Module):
    """Multilayer perceptron.

    Parameters
    ----------
    n_inputs : int
    hidden_layer_sizes : sequence of int
    n_outputs : int
    activation : str, default="softplus"
        A key of `nets.ACTIVATIONS`.
    make_linear : callable, default=Dense
        What makes a layer: ``make_linear(n_inputs, n_outputs, gain=..., generator=...)``.
    generator : torch.Generator, default=None
        Source of the initial weights.
    """

    def __init__(
        self,
        n_inputs,
        hidden_layer_sizes,
        n_outputs,
        *,
        activation="softplus",
        make_linear=Dense,
        generator=None,
    ):
        super().__init__()
        self.activation = activation
        *hidden, last = pairwise((n_inputs, *hidden_layer_sizes, n_outputs))
        layers = [make_linear(*sizes, gain=_GAIN, generator=generator) for sizes in hidden]
        self.layers = nn.ModuleList([*layers, make_linear(*last, gain=1.0, generator=generator)])

    def forward(self, x):
        """Tensor of shape (..., n_inputs) -> Tensor of shape (..., n_outputs)."""
        *hidden, last = self.layers
        for layer in hidden:
            x = ACTIVATIONS[self.activation](layer(x))
        return last(x)
