"""Monotone maps of one number, applied to many numbers at once with parameters that a conditioner computes.

A scalar map says how many raw parameters it needs for a feature, and is the identity where they are all
zero. Layers that differ only in how they condition (coupling, autoregressive) share these maps.
"""

from abc import ABC, abstractmethod

import torch


def soft_clamp(value, bound):
    """Value in (-bound, bound), the value itself near zero, so that learned logarithms stay bounded."""
    return torch.tanh(value / bound) * bound


class ScalarMap(ABC):
    """Increasing map of a number to a number.

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
        shift, log_scale = self._parameters(raw)
        return torch.addcmul(shift, x, log_scale.exp()), log_scale

    def inverse(self, z, raw):
        shift, log_scale = self._parameters(raw)
        return (z - shift) * (-log_scale).exp(), -log_scale
