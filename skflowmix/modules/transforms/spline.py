r"""Monotone rational-quadratic splines (Durkan et al., 2019, Neural spline flows, arXiv:1906.04032).

On :math:`[-B, B]` the map is a chain of bins; inside a bin of width w and height h, with
:math:`\theta = (x - x_0) / w`, mean slope :math:`s = h / w` and slopes :math:`d_0, d_1` at its ends,

.. math:: z = z_0 + h \frac{s \theta^2 + d_0 \theta (1 - \theta)}{s + (d_0 + d_1 - 2 s) \theta (1 - \theta)}.

Outside, it is the identity, and the slopes at :math:`\pm B` are one, so that tails stay what the base
says they are. The inverse solves a quadratic by whichever of its two forms adds numbers of one sign, so
that no digits cancel.
"""

import math

import torch
from torch.nn.functional import softplus

from ..constants import constant
from .scalar import ScalarMap

_MIN_BIN = 1e-3
_MIN_SLOPE = 1e-3
_SLOPE_ONE = math.log(math.expm1(1 - _MIN_SLOPE))


@constant
def _knots_of_least_bins(n_bins, bound, dtype, device):
    """Where the inner knots would be if every bin had the least size, Tensor of shape (n_bins - 1, 1, 1)."""
    count = torch.arange(1, n_bins, dtype=dtype, device=device)[:, None, None]
    return count * (2 * bound * _MIN_BIN) - bound


class SplineMap(ScalarMap):
    """Rational-quadratic spline with linear tails.

    Parameters
    ----------
    n_bins : int, default=8
        Bins between -bound and bound.
    bound : float, default=5.0
        Half the width B of the interval that the spline bends; beyond it the map is the identity.
    """

    def __init__(self, n_bins=8, bound=5.0):
        self.n_bins = n_bins
        self.bound = bound
        self.n_parameters = 3 * n_bins - 1

    def _bins(self, raw, value, by_height):
        """The bin that each value stands in.

        Parameters
        ----------
        raw : Tensor of shape (C, P * D, N)
        value : Tensor of shape (C, D, N)
            In [-bound, bound].
        by_height : bool
            Whether the values are heights, z, rather than positions, x.

        Returns
        -------
        start, size : Tensors of shape (C, 2, D, N)
            The bin's edge and size, along x and along z.
        slopes : Tensor of shape (C, 2, D, N)
            At the bin's left and right end.
        softmax : Tensor of shape (C, 2, n_bins, D, N)
            What gives the sizes of all bins.
        below : Tensor of shape (C, n_bins - 1, D, N)
            One where a bin ends at or below the value, else zero.
        index : int Tensor of shape (C, 1, D, N)
        """
        n_bins, least = self.n_bins, 2 * self.bound * _MIN_BIN
        raw = raw.unflatten(1, (self.n_parameters, value.shape[1]))
        softmax = raw[:, : 2 * n_bins].unflatten(1, (2, n_bins)).softmax(2)
        reach = softmax[:, int(by_height), :-1].detach().cumsum(1)
        knots = torch.add(_knots_of_least_bins(n_bins, self.bound, raw.dtype, raw.device), reach, alpha=self._scale())
        below = knots.le_(value[:, None])  # In place, a comparison of numbers gives numbers.
        n_below = below.sum(1, keepdim=True)
        index = n_below.long()

        share_below = (below[:, None] * softmax[:, :, :-1]).sum(2)
        start = torch.add(n_below * least - self.bound, share_below, alpha=self._scale())
        share = softmax.gather(2, index[:, None].expand(-1, 2, -1, -1, -1)).squeeze(2)
        edge = torch.zeros_like(value[:, None])
        at_ends = torch.cat([edge, raw[:, 2 * n_bins :], edge], 1).gather(1, torch.cat([index, index + 1], 1))
        slopes = softplus(at_ends + _SLOPE_ONE) + _MIN_SLOPE
        return start, share * self._scale() + least, slopes, softmax, below, index

    def _scale(self):
        """What the bins share, over the least width of each."""
        return 2 * self.bound * (1 - _MIN_BIN * self.n_bins)

    def forward(self, x, raw):
        return _SplineForward.apply(x, raw, self)

    def inverse(self, z, raw):
        inside = z.abs() < self.bound
        clamped = z.clamp(-self.bound, self.bound)
        start, size, slopes, *_ = self._bins(raw, clamped, by_height=True)
        (x0, z0), (width, height), (d0, d1) = start.unbind(1), size.unbind(1), slopes.unbind(1)
        slope = height / width
        rise = ((clamped - z0) / height).clamp(0, 1)
        bend = d0 + d1 - 2 * slope
        a = slope - d0 + rise * bend
        b = d0 - rise * bend
        c = -slope * rise
        discriminant = (b.square() - 4 * a * c).clamp_min(0)
        root = discriminant.sqrt()
        tiny = torch.finfo(z.dtype).tiny
        theta = torch.where(b >= 0, -2 * c / (b + root).clamp_min(tiny), (root - b) / (2 * a).clamp_min(tiny))
        theta = theta.clamp(0, 1)
        x = x0 + width * theta
        *_, numerator, denominator = _blends(theta, slope, d0, d1)
        return torch.where(inside, x, z), torch.where(inside, -_log_slope(slope, numerator, denominator), 0.0)

    def _to_raw(self, to_start, to_size, slopes, to_slopes, softmax, below, index):
        """From gradients with respect to what `_bins` returned, to those with respect to the raw parameters."""
        n_components, _, n_bins, *shape = softmax.shape
        to_softmax = torch.zeros_like(softmax)
        to_softmax[:, :, :-1].addcmul_(below[:, None], (to_start * self._scale())[:, :, None])
        to_size = (to_size * self._scale())[:, :, None]
        to_softmax.scatter_add_(2, index[:, None].expand_as(to_size), to_size)

        # The slopes at both bounds are constants: one's place is overwritten by the sizes, the other's cut off.
        raw = softmax.new_zeros(n_components, self.n_parameters + 1, *shape)
        first = index + (2 * n_bins - 1)
        raw.scatter_(1, torch.cat([first, first + 1], 1), -to_slopes * torch.expm1(_MIN_SLOPE - slopes))
        weighted = to_softmax.mul_(softmax)
        sizes = raw[:, : 2 * n_bins].unflatten(1, (2, n_bins))
        sizes.copy_(weighted.addcmul_(softmax, weighted.sum(2, keepdim=True), value=-1))
        return raw[:, :-1].flatten(1, 2)


def _blends(theta, slope, d0, d1):
    r"""The parts of Durkan's formulas as blends, all of them of positive numbers.

    :math:`u = (1 - \theta) d_0 + \theta s`, :math:`v = (1 - \theta) s + \theta d_1`, the slope's numerator
    :math:`M = (1 - \theta) u + \theta v` and the denominator :math:`B = (1 - \theta) v + \theta u`.
    """
    u, v = torch.lerp(d0, slope, theta), torch.lerp(slope, d1, theta)
    return u, v, torch.lerp(u, v, theta), torch.lerp(v, u, theta)


def _log_slope(slope, numerator, denominator):
    return (numerator * (slope / denominator).square()).log()


class _SplineForward(torch.autograd.Function):
    r"""`SplineMap.forward` with its derivatives by hand.

    In terms of `_blends`, :math:`z = z_0 + h \theta u / B` and :math:`\log dz/dx = \log (M s^2 / B^2)`. `backward`
    goes from both to M, B, u and v, on to :math:`\theta, s, d_0, d_1`, and from there to the bin.
    """

    @staticmethod
    def forward(ctx, x, raw, spline):
        clamped = x.clamp(-spline.bound, spline.bound)
        outside = x.abs() >= spline.bound
        start, size, slopes, softmax, below, index = spline._bins(raw, clamped, by_height=False)
        width, height = size.unbind(1)
        theta = (clamped - start[:, 0]).div_(width).clamp_(0, 1)
        slope = height / width
        u, v, numerator, denominator = _blends(theta, slope, *slopes.unbind(1))
        rise = (theta * u).div_(denominator)
        z = torch.addcmul(start[:, 1], height, rise)
        ctx.spline = spline
        ctx.save_for_backward(
            outside, theta, slope, u, v, numerator, denominator, rise, size, slopes, softmax, below, index
        )
        log_slope = _log_slope(slope, numerator, denominator)
        return torch.where(outside, x, z), log_slope.masked_fill_(outside, 0)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, to_z, to_log_slope):
        outside, theta, slope, u, v, numerator, denominator, rise, size, slopes, *bins = ctx.saved_tensors
        (width, height), (d0, d1) = size.unbind(1), slopes.unbind(1)
        to_z_inside, to_log_slope = to_z.masked_fill(outside, 0), to_log_slope.masked_fill(outside, 0)
        twice = to_log_slope + to_log_slope
        to_product = (to_z_inside * height).div_(denominator)  # of theta and u
        minus_to_denominator = (twice / denominator).addcmul_(to_product, rise)
        to_numerator = to_log_slope / numerator
        to_u = torch.lerp(to_numerator, to_product - minus_to_denominator, theta)
        to_v = torch.lerp(-minus_to_denominator, to_numerator, theta)
        to_theta = (to_product * u).addcmul_(to_numerator + minus_to_denominator, v - u)
        to_theta.addcmul_(to_u, slope - d0).addcmul_(to_v, d1 - slope)
        to_slope = torch.lerp(to_v, to_u, theta).add_(twice.div_(slope))
        to_slopes = torch.stack((torch.addcmul(to_u, to_u, theta, value=-1), to_v * theta), 1)

        to_x = to_theta / width
        to_width = (to_slope * slope).addcmul_(to_theta, theta).div_(width).neg_()
        to_height = (to_slope / width).addcmul_(to_z_inside, rise)
        to_start, to_size = torch.stack((-to_x, to_z_inside), 1), torch.stack((to_width, to_height), 1)
        to_raw = ctx.spline._to_raw(to_start, to_size, slopes, to_slopes, *bins)
        return torch.where(outside, to_z, to_x), to_raw, None
