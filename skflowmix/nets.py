"""Small neural networks, one for each component, evaluated as one batch.

A conditioner maps the features that a layer keeps to the parameters of the map that it applies to the
others. All components' conditioners have the same shape, so that their weights stack along a leading axis
C and one batched matrix product evaluates a layer of all of them.
"""

import math
from itertools import pairwise

import torch
from torch import nn

_FEW = 16


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
    masks : sequence of Tensor of shape (n_out, n_in), default=None
        For each layer, one where a unit reads an input and zero where it may not; see `autoregressive_masks`.
    generator : torch.Generator, default=None
        Source of the initial weights of the hidden layers (He et al., 2015, arXiv:1502.01852).
    """

    def __init__(self, n_components, layer_sizes, *, masks=None, generator=None):
        super().__init__()
        self.weights = nn.ParameterList()
        self.biases = nn.ParameterList()
        self.is_masked = masks is not None
        for layer, mask in enumerate(masks or ()):
            self.register_buffer(f"mask_{layer}", mask.repeat(n_components, 1, 1), persistent=False)
        *hidden, last = pairwise(layer_sizes)
        for n_in, n_out in hidden:
            scale = math.sqrt(2.0 / max(n_in, 1))
            weight = torch.randn(n_components, n_out, n_in, generator=generator) * scale
            bias = (torch.rand(n_components, n_out, 1, generator=generator) - 0.5) * scale
            self.weights.append(nn.Parameter(weight))
            self.biases.append(nn.Parameter(bias))
        n_in, n_out = last
        self.weights.append(nn.Parameter(torch.zeros(n_components, n_out, n_in)))
        self.biases.append(nn.Parameter(torch.zeros(n_components, n_out, 1)))

    def forward(self, x):
        """Outputs of all perceptrons. Rows come last, so that a unit's values for all rows lie together.

        Parameters
        ----------
        x : Tensor of shape (C, n_inputs, N)

        Returns
        -------
        Tensor of shape (C, n_outputs, N)
        """
        weights = list(self.weights)
        if self.is_masked:
            weights = [weight * self.get_buffer(f"mask_{layer}") for layer, weight in enumerate(weights)]
        return _Perceptrons.apply(x, *weights, *self.biases)


def autoregressive_masks(order, hidden_layer_sizes, n_parameters):
    """Masks for an `MLP` whose outputs for a feature depend on the features before it alone.

    Germain et al. (2015), MADE, arXiv:1502.03509: every unit has a degree, the last place in the order that it
    may look at, and reads units of no higher degree. Degrees are spread evenly, rather than drawn.

    Parameters
    ----------
    order : sequence of int of length D
        The features, the first one depending on none.
    hidden_layer_sizes : sequence of int
        Units in the hidden layers.
    n_parameters : int
        Outputs P for each feature.

    Returns
    -------
    list of Tensor of shape (n_out, n_in)
        For layer sizes (D, *hidden_layer_sizes, P * D), outputs parameter by parameter.
    """
    place = torch.as_tensor(order).argsort()
    n_conditions = len(order) - 1
    degrees = [place]
    for size in hidden_layer_sizes:
        degrees.append((torch.arange(1, size + 1) * n_conditions + size - 1) // size - 1)
    degrees.append(place.repeat(n_parameters) - 1)
    return [(after[:, None] >= before).to(torch.get_default_dtype()) for before, after in pairwise(degrees)]


class _Perceptrons(torch.autograd.Function):
    """The layers of `MLP` with a backward pass by hand, which reuses memory and skips autograd's book-keeping."""

    @staticmethod
    def forward(ctx, x, *parameters):
        weights, biases = halves(parameters)
        inputs = evaluate_hidden_layers(x, weights[:-1], biases[:-1])
        ctx.save_for_backward(*inputs, *weights)
        return torch.bmm(weights[-1], inputs[-1]).add_(biases[-1])

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, gradient):
        inputs, weights = halves(ctx.saved_tensors)
        nowhere = [None] * len(weights)
        gradient, to_parameters = differentiate_layers(gradient.contiguous(), inputs, weights, nowhere, nowhere)
        to_x = torch.bmm(weights[0].mT, gradient) if ctx.needs_input_grad[0] else None
        return to_x, *to_parameters


def halves(tensors):
    """The first and the second half of a sequence."""
    return tensors[: len(tensors) // 2], tensors[len(tensors) // 2 :]


def evaluate_hidden_layers(x, weights, biases):
    """The inputs and the units of each hidden layer, a list of tensors of shape (C, n, N).

    `bmm` rather than ``@``: a sixth of the time of a product of 200 rows is ``@`` finding out that it is one.
    """
    units = [x]
    for weight, bias in zip(weights, biases, strict=True):
        units.append(torch.bmm(weight, units[-1]).add_(bias).relu_())
    return units


def differentiate_layers(gradient, inputs, weights, weight_places, bias_places):
    """Gradients of the first layer's products and of all parameters, from that of the outputs.

    Parameters
    ----------
    gradient : Tensor of shape (C, n_outputs, N)
    inputs, weights : list of Tensor
        Of each layer.
    weight_places, bias_places : list of Tensor or None
        Where to write the gradients of the parameters. None makes a new tensor.

    Returns
    -------
    gradient : Tensor of shape (C, n_out, N)
    to_parameters : list of Tensor
        For the weights, then for the biases.
    """
    to_weights, to_biases = list(weight_places), list(bias_places)
    for layer in reversed(range(len(weights))):
        after = gradient
        if layer > 0:
            gradient = torch.bmm(weights[layer].mT, after)
            # In place, this is several times faster than a product with the unit's sign. It also brings the inputs
            # into the cache for the product over rows.
            torch.ops.aten.threshold_backward.grad_input(gradient, inputs[layer], 0, grad_input=gradient)
        to_weights[layer] = _product_over_rows(after, inputs[layer], weight_places[layer])
        to_biases[layer] = torch.sum(after, -1, keepdim=True, out=bias_places[layer])
    return gradient, [*to_weights, *to_biases]


def _product_over_rows(outputs, inputs, place):
    """Tensors of shape (C, n_out, N) and (C, n_in, N) -> Tensor of shape (C, n_out, n_in)."""
    if inputs.shape[1] < _FEW:
        product = torch.bmm(inputs, outputs.mT).mT  # BLAS is up to four times faster with the few on the left.
        return product if place is None else place.copy_(product)
    return torch.bmm(outputs, inputs.mT, out=place)
