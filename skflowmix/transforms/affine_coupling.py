r"""An affine coupling in one step: fewer passes over memory, and fewer small operations, than its parts one by one.

The rows' values are tensors of shape (C, D, N), of which the features k are kept and the others, m, are moved:

.. math:: z_k = x_k, \qquad z_m = s(x_k) + x_m e^{\ell(x_k)}, \qquad \ell = b \tanh(r / b),

for a conditioner's outputs s, r and a bound b. With gradients :math:`\bar z` and :math:`\bar \ell`, those of the
outputs are :math:`\bar z_m` and :math:`(1 - \ell^2 / b^2) (x_m e^\ell \bar z_m + \bar \ell)`.
"""

import torch

from ..nets import differentiate_layers, evaluate_layers, halves


class AffineCoupling(torch.autograd.Function):
    """``apply(x, kept, moved, bound, *weights, *biases) -> z, ladj``, both parts of the features being slices."""

    @staticmethod
    def forward(ctx, x, kept, moved, bound, *parameters):
        weights, biases = halves(parameters)
        inputs, raw = evaluate_layers(x[:, kept], weights, biases)
        shift, log_scale = raw.chunk(2, dim=1)
        log_scale = log_scale.div_(bound).tanh_().mul_(bound)
        scale = log_scale.exp()
        z = x.new_empty(x.shape)
        z[:, kept] = x[:, kept]
        torch.addcmul(shift, x[:, moved], scale, out=z[:, moved])
        ctx.parts = kept, moved, bound
        ctx.save_for_backward(x, log_scale, scale, *inputs[1:], *weights)
        return z, log_scale.sum(1)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, to_z, to_ladj):
        kept, moved, bound = ctx.parts
        x, log_scale, scale, *rest = ctx.saved_tensors
        n_moved = scale.shape[1]
        to_x, to_raw = torch.empty_like(x), x.new_empty(len(x), 2 * n_moved, x.shape[2])
        to_raw[:, :n_moved] = to_z[:, moved]
        to_moved = torch.mul(to_z[:, moved], scale, out=to_x[:, moved])
        to_log_scale = torch.addcmul(to_ladj[:, None], to_moved, x[:, moved], out=to_raw[:, n_moved:])
        to_log_scale.addcmul_(to_log_scale * log_scale, log_scale, value=-1 / bound**2)
        inputs, weights = halves([x[:, kept], *rest])
        gradient, to_parameters = differentiate_layers(to_raw, inputs, weights)
        if ctx.needs_input_grad[0]:
            torch.baddbmm(to_z[:, kept], weights[0].mT, gradient, out=to_x[:, kept])
        return to_x, None, None, None, *to_parameters
