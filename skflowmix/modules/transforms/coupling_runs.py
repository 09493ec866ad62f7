r"""The fast path of affine couplings that follow each other: one step for all of them.

`Compose` asks `fuse_runs` what to call. A run takes over from the couplings themselves where each of them moves and
keeps slices of the features, has an `AffineMap` and no context, and torch is not compiling; it gives what they give,
with fewer passes over memory and fewer small operations, and derivatives by hand.

The features are two parts, tensors of shape (C, D_i, N). A coupling keeps one, k, and moves the other, m:

.. math:: z_k = x_k, \qquad z_m = s(x_k) + x_m e^{b t}, \qquad t = \tanh(r(x_k) / b),

for a conditioner's outputs s, r and a bound b. With gradients :math:`\bar z` and :math:`\bar \ell`, that of the
log-determinant, those of the outputs are :math:`\bar z_m` and :math:`(1 - t^2) (x_m e^{b t} \bar z_m + \bar \ell)`.
The other way :math:`x_m = (z_m - s) e^{-b t}`, and they are :math:`-e^{-b t} \bar x_m` and
:math:`-(1 - t^2) (x_m \bar x_m + \bar \ell)`. Nothing is done to a part while it is kept, and the parts are put
together once, after the last coupling.
"""

import math
from itertools import islice
from typing import NamedTuple

import torch

from ..perceptrons import differentiate_layers, evaluate_hidden_layers, halves
from .coupling import Coupling
from .scalar import AffineMap

_CACHED_BYTES = 2**20


def fuse_runs(transforms):
    """The same transforms as a list of functions ``(x, context) -> z, ladj`` with an `inverse`, one for each run."""
    if torch.compiler.is_compiling():
        return list(transforms)
    steps: list = []
    for transform in transforms:
        parts = _parts(transform)
        if parts is None:
            steps.append(transform)
        elif steps and isinstance(steps[-1], _Run) and steps[-1].parts == parts:
            steps[-1].couplings.append(transform)
        else:
            steps.append(_Run([transform], parts))
    return steps


def _parts(transform):
    """The two slices that a coupling keeps and moves, in the features' order; None for what is in no run."""
    if not isinstance(transform, Coupling) or type(transform.scalar_map) is not AffineMap:
        return None
    net = transform.conditioner
    if transform.order is not None or net.n_context or net.activation != "relu":
        return None
    return sorted((transform.kept, transform.moved), key=lambda part: part.stop)


class _Run:
    """Affine couplings that move one or the other of the same two parts."""

    def __init__(self, couplings, parts):
        self.couplings, self.parts = couplings, parts

    def __call__(self, x, context=None):
        return self._couple(x, self.couplings, forth=True)

    def inverse(self, z, context=None):
        return self._couple(z, self.couplings[::-1], forth=False)

    def _couple(self, x, couplings, *, forth):
        layers = [
            Layer(forth, self.parts.index(one.moved), one.scalar_map.max_log_scale, len(one.conditioner.weights))
            for one in couplings
        ]
        weights, biases = (
            [parameter for one in couplings for parameter in getattr(one.conditioner, kind).parameters()]
            for kind in ("weights", "biases")
        )
        sizes = [part.stop - part.start for part in self.parts]
        z, ladj = AffineCouplings.apply(x.mT, sizes, layers, torch.is_grad_enabled(), *weights, *biases)
        return z.mT, ladj


class Layer(NamedTuple):
    """What a run has to know of a coupling: its direction, which part it moves, 0 or 1, its bound, and its
    conditioner's layers."""

    forth: bool
    moved: int
    bound: float
    depth: int

    @property
    def signed_bound(self):
        """What the logarithm of the scale is a multiple of."""
        return self.bound if self.forth else -self.bound


class AffineCouplings(torch.autograd.Function):
    """``apply(x, sizes, layers, needs_gradient, *weights, *biases) -> z, ladj`` for x of shape (C, D, N).

    `sizes` are those of the two parts; weights and biases are those of all couplings, one coupling after the other.
    """

    @staticmethod
    def forward(ctx, x, sizes, layers, needs_gradient, *parameters):
        weights, biases = halves(parameters)
        z, ladj = x.new_empty(x.shape), x.new_zeros(len(x), x.shape[2])
        ctx.sizes, ctx.layers, ctx.tiles = sizes, layers, _tiles(x, weights)
        kept_back: list[torch.Tensor] | None = [] if needs_gradient else None
        for tile in ctx.tiles:
            parts = list(x[tile].split(sizes, 1))
            own = (_by_layer(tensors, layers, tile) for tensors in (weights, biases))
            for layer, *own_parameters in zip(layers, *own, strict=True):
                ladj[tile].add_(_couple(parts, kept_back, layer, *own_parameters), alpha=layer.signed_bound)
            torch.cat(parts, 1, out=z[tile])
        ctx.save_for_backward(*weights, *(kept_back or ()))
        return z, ladj

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, to_z, to_ladj):
        n_weights = sum(layer.depth for layer in ctx.layers)
        weights, kept_back = ctx.saved_tensors[:n_weights], list(ctx.saved_tensors[n_weights:])
        to_weights, to_biases, nowhere = None, None, [None] * n_weights
        if any(ctx.needs_input_grad[4:]):
            to_weights = [torch.empty_like(weight) for weight in weights]
            to_biases = [weight.new_empty(*weight.shape[:2], 1) for weight in weights]
        to_x = to_z.new_empty(to_z.shape)
        for tile in reversed(ctx.tiles):
            to_parts = [_with_room(part) for part in to_z[tile].split(ctx.sizes, 1)]
            own = (_by_layer(tensors, ctx.layers, tile) for tensors in (weights, to_weights, to_biases))
            for layer, *own_parameters in reversed(list(zip(ctx.layers, *own, strict=True))):
                first = len(kept_back) - layer.depth - 3
                _differentiate(to_parts, to_ladj[tile], layer, *own_parameters, *kept_back[first:])
                del kept_back[first:]
            torch.cat([part[:, :size] for part, size in zip(to_parts, ctx.sizes, strict=True)], 1, out=to_x[tile])
        return to_x, None, None, None, *(to_weights or nowhere), *(to_biases or nowhere)


def _couple(parts, kept_back, layer, weights, biases):
    """Move a part, in the list; the log-determinant by the bound. `kept_back` takes what `backward` needs."""
    kept, moved = parts[1 - layer.moved], parts[layer.moved]
    inputs = evaluate_hidden_layers(kept, weights[:-1], biases[:-1])
    outputs = torch.bmm(weights[-1], inputs[-1])
    (shift, tanh), (shift_bias, tanh_bias) = (tensor.chunk(2, 1) for tensor in (outputs, biases[-1]))
    torch.add(tanh_bias / layer.bound, tanh, alpha=1 / layer.bound, out=tanh).tanh_()
    scale = torch.mul(tanh, layer.signed_bound).exp_()
    shift.add_(shift_bias)
    after = shift.addcmul_(moved, scale) if layer.forth else torch.sub(moved, shift, out=shift).mul_(scale)
    parts[layer.moved] = after
    if kept_back is not None:
        kept_back += moved if layer.forth else after, tanh, scale, *inputs
    return tanh.sum(1)


def _differentiate(to_parts, to_ladj, layer, weights, to_weights, to_biases, x, tanh, scale, *inputs):
    """Gradients after a coupling -> before it, in the list, and those of its parameters; x is the part of the data.

    Of a tensor in the list the gradient is the first half; the other one takes that of the logarithm of the scale, so
    that both together are the gradient of the conditioner's outputs.
    """
    to_outputs = to_parts[layer.moved]
    size = x.shape[1]
    before = torch.empty_like(to_outputs)
    to_after = to_outputs[:, :size]
    to_moved = torch.mul(to_after, scale, out=before[:, :size])
    to_raw = torch.addcmul(to_ladj[:, None], to_moved if layer.forth else to_after, x, out=to_outputs[:, size:])
    torch.ops.aten.tanh_backward.grad_input(to_raw, tanh, grad_input=to_raw)
    if not layer.forth:
        to_after.copy_(to_moved)
        to_outputs.neg_()
    gradient, _ = differentiate_layers(to_outputs, inputs, weights, to_weights, to_biases)
    to_parts[layer.moved] = before
    kept = inputs[0]
    to_parts[1 - layer.moved][:, : kept.shape[1]].add_(torch.bmm(weights[0].mT, gradient))


def _with_room(part):
    """A copy as the first half of a tensor of twice the length."""
    tensor = part.new_empty(len(part), 2 * part.shape[1], part.shape[2])
    tensor[:, : part.shape[1]] = part
    return tensor


def _by_layer(parameters, layers, tile):
    """Lists of each coupling's parameters, of the components in a tile; None for each where there are none."""
    if parameters is None:
        return [None] * len(layers)
    if tile != slice(None):
        parameters = [parameter[tile] for parameter in parameters]
    remaining = iter(parameters)
    return [list(islice(remaining, layer.depth)) for layer in layers]


def _tiles(x, weights):
    """Slices of the components. On a CPU, a hidden layer of those in a slice stays in the cache between operations."""
    if x.device.type != "cpu":
        return [slice(None)]
    widest = max(weight.shape[1] for weight in weights)
    cached = _CACHED_BYTES * torch.get_num_threads() // (widest * x.shape[2] * x.element_size())
    n_tiles = math.ceil(len(x) / max(cached, 1))
    if n_tiles == 1:
        return [slice(None)]
    size = math.ceil(len(x) / n_tiles)
    return [slice(start, start + size) for start in range(0, len(x), size)]
