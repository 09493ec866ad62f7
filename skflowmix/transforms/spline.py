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

from .scalar import ScalarMap

_MIN_BIN = 1e-3
_MIN_SLOPE = 1e-3
_SLOPE_ONE = math.log(math.expm1(1 - _MIN_SLOPE))


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
        """The bin of each value: left edge, width, bottom, height, slopes at both ends."""
        raw = raw.unflatten(1, (self.n_parameters, value.shape[1]))
        sizes, slopes = raw[:, : 2 * self.n_bins].unflatten(1, (2, self.n_bins)), raw[:, 2 * self.n_bins :]
        shares = sizes.softmax(2) * (1 - _MIN_BIN * self.n_bins) + _MIN_BIN
        ends = shares.cumsum(2)
        inner_knots = ends[:, int(by_height), :-1].detach() * (2 * self.bound) - self.bound
        index = (value[:, None] >= inner_knots).sum(1, keepdim=True)

        of_both = index[:, None].expand(-1, 2, -1, -1, -1)
        size = 2 * self.bound * shares.gather(2, of_both).squeeze(2)
        start = 2 * self.bound * ends.gather(2, of_both).squeeze(2) - size - self.bound
        edge = torch.zeros_like(value[:, None])
        at_ends = torch.cat([edge, slopes, edge], 1).gather(1, torch.cat([index, index + 1], 1))
        d0, d1 = (softplus(at_ends + _SLOPE_ONE) + _MIN_SLOPE).unbind(1)
        return start[:, 0], size[:, 0], start[:, 1], size[:, 1], d0, d1

    def forward(self, x, raw):
        inside = x.abs() < self.bound
        clamped = x.clamp(-self.bound, self.bound)
        x0, width, z0, height, d0, d1 = self._bins(raw, clamped, by_height=False)
        theta = ((clamped - x0) / width).clamp(0, 1)
        slope = height / width
        z = z0 + height * _rise(theta, slope, d0, d1)
        return torch.where(inside, z, x), torch.where(inside, _log_slope(theta, slope, d0, d1), 0.0)

    def inverse(self, z, raw):
        inside = z.abs() < self.bound
        clamped = z.clamp(-self.bound, self.bound)
        x0, width, z0, height, d0, d1 = self._bins(raw, clamped, by_height=True)
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
        return torch.where(inside, x, z), torch.where(inside, -_log_slope(theta, slope, d0, d1), 0.0)


def _rise(theta, slope, d0, d1):
    """Height reached in a bin, as a share of the bin's height."""
    mixed = theta * (1 - theta)
    return (slope * theta.square() + d0 * mixed) / (slope + (d0 + d1 - 2 * slope) * mixed)


def _log_slope(theta, slope, d0, d1):
    mixed = theta * (1 - theta)
    numerator = d1 * theta.square() + 2 * slope * mixed + d0 * (1 - theta).square()
    return 2 * slope.log() + numerator.log() - 2 * (slope + (d0 + d1 - 2 * slope) * mixed).log()
