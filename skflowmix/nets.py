"""Small neural networks, one for each component, evaluated as one batch.

A conditioner maps the features that a layer keeps to the parameters of the map that it applies to the
others. All components' conditioners have the same shape, so that their weights stack along a leading axis
C and one batched matrix product evaluates a layer of all of them.
"""

import math

import torch
from torch import nn


class MLP(nn.Module):
    """Multilayer perceptrons with rectified hidden units, one for each component.

    The last layer starts at zero, so that whatever the outputs parameterise starts at its own zero
    (for the maps of this package, the identity).

    Parameters
    ----------
    n_components : int
        Number C of perceptrons.
    layer_sizes : sequence of int
        Number of inputs, of units in each hidden layer, and of outputs. Zero inputs are allowed: the
        outputs are then learned constants.
    generator : torch.Generator, default=None
        Source of the initial weights of the hidden layers (He et al., 2015, arXiv:1502.01852).
    """

    def __init__(self, n_components, layer_sizes, *, generator=None):
        super().__init__()
        self.weights = nn.ParameterList()
        self.biases = nn.ParameterList()
        *hidden, last = zip(layer_sizes[:-1], layer_sizes[1:], strict=True)
        for n_in, n_out in hidden:
            scale = math.sqrt(2.0 / max(n_in, 1))
            weight = torch.randn(n_components, n_in, n_out, generator=generator) * scale
            bias = (torch.rand(n_components, 1, n_out, generator=generator) - 0.5) * scale
            self.weights.append(nn.Parameter(weight))
            self.biases.append(nn.Parameter(bias))
        self.weights.append(nn.Parameter(torch.zeros(n_components, *last)))
        self.biases.append(nn.Parameter(torch.zeros(n_components, last[1], 1)))

    def forward(self, x):
        """Outputs of all perceptrons.

        Parameters
        ----------
        x : Tensor of shape (C, N, n_inputs)

        Returns
        -------
        Tensor of shape (C, n_outputs, N)
            An output's values for all rows lie together, which is how scalar maps go through them.
        """
        *hidden, last = zip(self.weights, self.biases, strict=True)
        for weight, bias in hidden:
            x = torch.baddbmm(bias, x, weight).relu_()
        weight, bias = last
        return torch.baddbmm(bias, weight.mT, x.mT)
