"""The fast path of `MLP`: rectified hidden units, with a backward pass by hand.

It reuses memory and skips autograd's book-keeping. `MLP` takes it wherever its activation is "relu"; derivatives of the
gradient, which rectified units do not have in a useful sense, are an error.
"""

import torch

_FEW = 16


class RectifiedPerceptrons(torch.autograd.Function):
    """``apply(x, *weights, *biases) -> outputs``, what `MLP` computes."""

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
        nowhere = [None] * len(weights) if any(ctx.needs_input_grad[1:]) else None
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
    weight_places, bias_places : list of Tensor or None, or None
        Where to write the gradients of the parameters. None in a list makes a new tensor, None in place of both lists
        none at all.

    Returns
    -------
    gradient : Tensor of shape (C, n_out, N)
    to_parameters : list of Tensor
        For the weights, then for the biases; of None where they were not asked for.
    """
    asked = weight_places is not None
    to_weights: list = list(weight_places) if asked else [None] * len(weights)
    to_biases: list = list(bias_places) if asked else [None] * len(weights)
    for layer in reversed(range(len(weights))):
        after = gradient
        if layer > 0:
            gradient = torch.bmm(weights[layer].mT, after)
            # In place, this is several times faster than a product with the unit's sign. It also brings the inputs
            # into the cache for the product over rows.
            torch.ops.aten.threshold_backward.grad_input(gradient, inputs[layer], 0, grad_input=gradient)
        if asked:
            to_weights[layer] = _product_over_rows(after, inputs[layer], to_weights[layer])
            to_biases[layer] = torch.sum(after, -1, keepdim=True, out=to_biases[layer])
    return gradient, [*to_weights, *to_biases]


def _product_over_rows(outputs, inputs, place):
    """Tensors of shape (C, n_out, N) and (C, n_in, N) -> Tensor of shape (C, n_out, n_in)."""
    if inputs.shape[1] < _FEW:
        product = torch.bmm(inputs, outputs.mT).mT  # BLAS is up to four times faster with the few on the left.
        return product if place is None else place.copy_(product)
    return torch.bmm(outputs, inputs.mT, out=place)
