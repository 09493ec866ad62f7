r"""Planar and radial maps: one bend along a plane, or around a point.

Rezende and Mohamed (2015), Variational inference with normalizing flows, arXiv:1505.05770. Both are
parameterised by their least or greatest slope s, which is positive, so that they stay invertible:

.. math:: z = x + u \tanh(w^\top x + b), \quad w^\top u = s - 1, \qquad
          z = x + \frac{\alpha (s - 1)}{\alpha + r} (x - x_0), \quad r = |x - x_0|.
"""

import math

import torch
from torch import nn
from torch.nn.functional import softplus

from ..draws import normal
from ..nets import MLP
from .base import Transform
from .scalar import soft_clamp

_MIN_SLOPE = 1e-2
_SLOPE_ONE = math.log(math.expm1(1 - _MIN_SLOPE))
_MAX_SEARCH = 60


def _positive_slope(raw):
    """Slope that is one where the raw parameter is zero."""
    return _MIN_SLOPE + softplus(raw + _SLOPE_ONE)


class Planar(Transform):
    """Bend along a plane; starts at the identity, each component and layer with a plane of its own.

    The inverse is a search for one number, the height over the plane. With context features the plane and the bend of
    each row are moved by what a network makes of them (ibid., a flow whose parameters come from the inference network).

    Parameters
    ----------
    n_components : int
        Number C of maps.
    n_features : int
        Number D of features.
    n_context : int, default=0
        Number H of context features.
    hidden_layer_sizes : tuple of int, default=(32, 32)
        Units in the hidden layers of the network that reads them.
    generator : torch.Generator, default=None
        Source of the initial planes, and of the network's initial weights.
    """

    def __init__(self, n_components, n_features, *, n_context=0, hidden_layer_sizes=(32, 32), generator=None):
        super().__init__()
        direction = normal(n_components, 1, n_features, generator=generator)
        self.normal = nn.Parameter(direction / direction.norm(dim=2, keepdim=True))
        self.offset = nn.Parameter(normal(n_components, 1, 1, generator=generator))
        self.shift = nn.Parameter(torch.zeros(n_components, 1, n_features))
        self.network = None
        if n_context:
            sizes = (0, *hidden_layer_sizes, 2 * n_features + 1)
            self.network = MLP(n_components, sizes, n_context=n_context, generator=generator)

    def _plane(self, value, context):
        """Normal w, offset b and shift of each row, or of all: (C, N or 1, D), (C, N or 1, 1), (C, N or 1, D)."""
        if self.network is None:
            return self.normal, self.offset, self.shift
        n_features = self.normal.shape[2]
        moves = self.network(value.mT[:, :0], context).mT
        normal, shift, offset = moves.split((n_features, n_features, 1), 2)
        return self.normal + normal, self.offset + offset, self.shift + shift

    def _height(self, value, normal, offset):
        """(C, N)"""
        along = value @ normal.mT if normal.shape[1] == 1 else (value * normal).sum(2, keepdim=True)
        return (along + offset).squeeze(2)

    def forward(self, x, context=None):
        normal, offset, shift = self._plane(x, context)
        u, bend = _bend(normal, shift)
        rise = self._height(x, normal, offset).tanh()
        return x + u * rise[:, :, None], torch.log1p(bend * (1 - rise.square()))

    def inverse(self, z, context=None):
        normal, offset, shift = self._plane(z, context)
        u, bend = _bend(normal, shift)
        rise = _solve_bend(bend, self._height(z, normal, offset)).tanh()
        return z - u * rise[:, :, None], -torch.log1p(bend * (1 - rise.square()))


def _bend(normal, shift):
    """The vector u, and s - 1, which is its product with w: (C, N or 1, D), (C, N or 1)."""
    along = (normal * shift).sum(2, keepdim=True)
    bend = _positive_slope(along) - 1
    norm = normal.square().sum(2, keepdim=True).clamp_min(torch.finfo(bend.dtype).tiny)
    return shift + (bend - along) / norm * normal, bend.squeeze(2)


def _solve_bend(bend, target):
    """The height h for which `h + bend * tanh(h)` is the target.

    Newton's method, halving a bracket where it would leave it; its last step is the one that autograd sees,
    which makes the derivatives those of the implicit function.

    Parameters
    ----------
    bend : Tensor of shape (C, 1) or (C, N)
        Above -1.
    target : Tensor of shape (C, N)

    Returns
    -------
    Tensor of shape (C, N)
    """
    with torch.no_grad():
        low, high = target - bend.abs(), target + bend.abs()
        height = target / (1 + bend).clamp_min(1)
        for _ in range(_MAX_SEARCH):
            excess, slope = _excess_and_slope(height, bend, target)
            low, high = torch.where(excess < 0, height, low), torch.where(excess > 0, height, high)
            newton = height - excess / slope
            following = torch.where((newton >= low) & (newton <= high), newton, (low + high) / 2)
            settled = (following - height).abs() <= 4 * torch.finfo(height.dtype).eps * (1 + height.abs())
            height = following
            if settled.all():
                break
        slope = _excess_and_slope(height, bend, target)[1]
    return height - _excess_and_slope(height, bend, target)[0] / slope


def _excess_and_slope(height, bend, target):
    rise = height.tanh()
    return height + bend * rise - target, 1 + bend * (1 - rise.square())


class Radial(Transform):
    """Contraction towards a point or expansion away from it; starts at the identity, each with a point of its own.

    Parameters
    ----------
    n_components : int
        Number C of maps.
    n_features : int
        Number D of features.
    max_log_radius : float, default=3.0
        Bound of the absolute logarithm of the radius alpha within which the map acts.
    generator : torch.Generator, default=None
        Source of the initial points.
    """

    def __init__(self, n_components, n_features, *, max_log_radius=3.0, generator=None):
        super().__init__()
        self.max_log_radius = max_log_radius
        self.center = nn.Parameter(normal(n_components, 1, n_features, generator=generator))
        self.log_radius = nn.Parameter(torch.zeros(n_components, 1))
        self.raw_slope = nn.Parameter(torch.zeros(n_components, 1))

    def _scale_and_ladj(self, distance, radius, slope):
        """z - x_0 in units of x - x_0, and the log-determinant, for rows at a distance (C, N)."""
        scale = (radius * slope + distance) / (radius + distance)
        radial_slope = 1 + (slope - 1) * (radius / (radius + distance)).square()
        return scale, (self.center.shape[2] - 1) * scale.log() + radial_slope.log()

    def forward(self, x, context=None):
        radius, slope = soft_clamp(self.log_radius, self.max_log_radius).exp(), _positive_slope(self.raw_slope)
        arm = x - self.center
        scale, ladj = self._scale_and_ladj(torch.linalg.vector_norm(arm, dim=2), radius, slope)
        return self.center + scale[:, :, None] * arm, ladj

    def inverse(self, z, context=None):
        radius, slope = soft_clamp(self.log_radius, self.max_log_radius).exp(), _positive_slope(self.raw_slope)
        arm = z - self.center
        distance = _solve_distance(radius, slope, torch.linalg.vector_norm(arm, dim=2))
        scale, ladj = self._scale_and_ladj(distance, radius, slope)
        return self.center + arm / scale[:, :, None], -ladj


def _solve_distance(radius, slope, target):
    """The positive root r of `r^2 + (radius * slope - target) r - radius * target = 0`, no digits cancelling."""
    half = (radius * slope - target) / 2
    root = torch.hypot(half, (radius * target).sqrt())
    return torch.where(half > 0, radius * target / (half.abs() + root), root - half)
