"""Monotone maps of one number, applied to many numbers at once with parameters that a conditioner computes.

A scalar map says how many raw parameters it needs for a feature. Layers that differ only in how they condition
(coupling, autoregressive) share these maps.
"""

from abc import ABC, abstractmethod

import torch
from torch.nn.functional import logsigmoid


def soft_clamp(value, bound):
    """Value in (-bound, bound), the value itself near zero, so that learned logarithms stay bounded."""
    return torch.tanh(value / bound) * bound


class ScalarMap(ABC):
    """Increasing map of a number to a number, the identity where raw parameters are zero, or near it.

    Attributes
    ----------
    n_parameters : int
        Raw parameters P for each feature.
    """

    n_parameters: int

    @abstractmethod
    def forward(self, x, raw):
        """Map x to z.

        Parameters
        ----------
        x : Tensor of shape (C, D, N)
        raw : Tensor of shape (C, P * D, N)
            Unconstrained parameters, parameter by parameter.

        Returns
        -------
        z : Tensor of shape (C, D, N)
        log_slope : Tensor of shape (C, D, N)
            Logarithm of dz/dx.
        """

    @abstractmethod
    def inverse(self, z, raw):
        """Map z to x and return log dx/dz; shapes as in `forward`."""


class ShiftMap(ScalarMap):
    """Shift, the map of NICE (Dinh, Krueger and Bengio, 2015, arXiv:1410.8516); keeps volumes."""

    n_parameters = 1

    def forward(self, x, raw):
        return x + raw, torch.zeros_like(x)

    def inverse(self, z, raw):
        return z - raw, torch.zeros_like(z)


class AffineMap(ScalarMap):
    """Scale and shift, the map of RealNVP (Dinh et al., 2017, arXiv:1605.08803).

    Parameters
    ----------
    max_log_scale : float, default=2.0
        Bound of the absolute logarithm of the scale, approached smoothly, so that no row can make a layer
        explode or collapse.
    """

    n_parameters = 2

    def __init__(self, max_log_scale=2.0):
        self.max_log_scale = max_log_scale

    def _parameters(self, raw):
        shift, log_scale = raw.chunk(2, dim=1)
        return shift, soft_clamp(log_scale, self.max_log_scale)

    def forward(self, x, raw):
        return _ScaleAndShift.apply(x, raw, self.max_log_scale)

    def inverse(self, z, raw):
        shift, log_scale = self._parameters(raw)
        return (z - shift) * (-log_scale).exp(), -log_scale


class _ScaleAndShift(torch.autograd.Function):
    r"""`AffineMap.forward` with its derivatives by hand.

    The logarithm of the scale is :math:`\ell = b \tanh(r / b)` for a raw parameter r and the bound b. With gradients
    :math:`\bar z` and :math:`\bar \ell`, r has the gradient :math:`(1 - \ell^2 / b^2) (x e^\ell \bar z + \bar \ell)`.
    """

    @staticmethod
    def forward(ctx, x, raw, bound):
        shift, raw_log_scale = raw.chunk(2, dim=1)
        log_scale = (raw_log_scale / bound).tanh_().mul_(bound)
        ctx.bound = bound
        ctx.save_for_backward(x, log_scale)
        return log_scale.exp().mul_(x).add_(shift), log_scale

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, to_z, to_log_scale):
        x, log_scale = ctx.saved_tensors
        to_x = log_scale.exp().mul_(to_z)
        to_raw = torch.cat((to_z, torch.addcmul(to_log_scale, to_x, x)), 1)
        to_raw_log_scale = to_raw[:, x.shape[1] :]
        to_raw_log_scale.addcmul_(to_raw_log_scale * log_scale, log_scale, value=-1 / ctx.bound**2)
        return to_x, to_raw, None


class GateMap(ScalarMap):
    r"""Blend of the number and another one, :math:`\sigma x + (1 - \sigma) m` with a gate :math:`\sigma` below one.

    The step of inverse autoregressive flows (Kingma et al., 2016, arXiv:1606.04934): a gate that is nearly open keeps
    what comes, and however much is learned, no step can make numbers grow beyond the larger of x and m. Gates start
    at :math:`1 / (1 + e^{-b})`, so that the map starts near the identity rather than at it.

    Parameters
    ----------
    open_logit : float, default=2.0
        The logit b of the gate where the raw parameter is zero.
    """

    n_parameters = 2

    def __init__(self, open_logit=2.0):
        self.open_logit = open_logit

    def _parameters(self, raw):
        other, logit = raw.chunk(2, dim=1)
        return other, logsigmoid(logit + self.open_logit), torch.sigmoid(-logit - self.open_logit)

    def forward(self, x, raw):
        other, log_gate, closed = self._parameters(raw)
        return log_gate.exp() * x + closed * other, log_gate

    def inverse(self, z, raw):
        other, log_gate, closed = self._parameters(raw)
        return (z - closed * other) * (-log_gate).exp(), -log_gate


class PReLUMap(ScalarMap):
    """Identity above zero and a slope below it (He et al., 2015, arXiv:1502.01852), here positive and so invertible.

    Parameters
    ----------
    max_log_slope : float, default=2.0
        Bound of the absolute logarithm of the slope.
    """

    n_parameters = 1

    def __init__(self, max_log_slope=2.0):
        self.max_log_slope = max_log_slope

    def _log_slope(self, value, raw):
        return torch.where(value < 0, soft_clamp(raw, self.max_log_slope), 0.0)

    def forward(self, x, raw):
        log_slope = self._log_slope(x, raw)
        return x * log_slope.exp(), log_slope

    def inverse(self, z, raw):
        log_slope = self._log_slope(z, raw)
        return z * (-log_slope).exp(), -log_slope


class SinhArcsinhMap(ScalarMap):
    r"""Skewness and weight of the tails: :math:`\sinh(\delta \operatorname{arsinh}(x) + \epsilon)`.

    Jones and Pewsey (2009), Sinh-arcsinh distributions, Biometrika 96. Under a normal base a density has tails
    heavier than the normal one where delta is below one, and lighter ones above.

    Parameters
    ----------
    max_log_tail : float, default=0.7
        Bound of the absolute logarithm of delta; numbers as far as 1e15 then stay finite in single precision.
    max_skew : float, default=2.0
        Bound of the absolute value of epsilon.
    """

    n_parameters = 2

    def __init__(self, max_log_tail=0.7, max_skew=2.0):
        self.max_log_tail = max_log_tail
        self.max_skew = max_skew

    def _parameters(self, raw):
        skew, log_tail = raw.chunk(2, dim=1)
        return soft_clamp(skew, self.max_skew), soft_clamp(log_tail, self.max_log_tail)

    def forward(self, x, raw):
        skew, log_tail = self._parameters(raw)
        before = torch.asinh(x)
        after = log_tail.exp() * before + skew
        return torch.sinh(after), log_tail + _log_cosh(after) - _log_cosh(before)

    def inverse(self, z, raw):
        skew, log_tail = self._parameters(raw)
        after = torch.asinh(z)
        before = (after - skew) * (-log_tail).exp()
        return torch.sinh(before), _log_cosh(before) - _log_cosh(after) - log_tail


def _log_cosh(value):
    size = value.abs()
    return size + torch.log1p(torch.expm1(-2 * size) / 2)
