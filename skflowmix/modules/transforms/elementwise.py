"""Scalar maps whose parameters are learned constants: each feature bends by itself, whatever the others are."""

import torch
from torch import nn

from .base import Transform


class Elementwise(Transform):
    """Scalar map of each feature; starts at the identity.

    With `AffineMap` this is the rescaling that ends NICE (Dinh, Krueger and Bengio, 2015, arXiv:1410.8516).

    Parameters
    ----------
    n_components : int
        Number C of maps.
    n_features : int
        Number D of features.
    scalar_map : ScalarMap
    """

    def __init__(self, n_components, n_features, scalar_map):
        super().__init__()
        self.scalar_map = scalar_map
        self.raw = nn.Parameter(torch.zeros(n_components, scalar_map.n_parameters * n_features, 1))

    def forward(self, x, context=None):
        return self._apply_map(self.scalar_map.forward, x)

    def inverse(self, z, context=None):
        return self._apply_map(self.scalar_map.inverse, z)

    def _apply_map(self, scalar_map, value):
        moved, log_slope = scalar_map(value.mT, self.raw.expand(-1, -1, value.shape[1]))
        return moved.mT, log_slope.sum(1)
