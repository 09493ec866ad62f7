"""Maps that bring every feature to a common location and scale."""

import torch
from torch import nn

from .base import Transform
from .linear import weighted_moments


class ActNorm(Transform):
    """Scale and shift of each feature, started at mean zero and unit variance of the rows that it first sees.

    Kingma and Dhariwal (2018), Glow, arXiv:1807.03039. A feature that does not vary keeps its scale.

    Parameters
    ----------
    n_components : int
        Number C of maps.
    n_features : int
        Number D of features.
    """

    def __init__(self, n_components, n_features):
        super().__init__()
        self.log_scale = nn.Parameter(torch.zeros(n_components, 1, n_features))
        self.shift = nn.Parameter(torch.zeros(n_components, 1, n_features))

    def forward(self, x):
        z = x * self.log_scale.exp() + self.shift
        return z, self.log_scale.sum(2).expand(z.shape[:-1])

    def inverse(self, z):
        x = (z - self.shift) * (-self.log_scale).exp()
        return x, -self.log_scale.sum(2).expand(z.shape[:-1])

    @torch.no_grad()
    def initialize(self, x, weight):
        mean, covariance = weighted_moments(x, weight)
        variance = covariance.diagonal(dim1=1, dim2=2)[:, None]
        negligible = variance <= torch.finfo(x.dtype).eps * mean.square().clamp_min(1)
        scale = torch.where(negligible, 1.0, variance).rsqrt()
        self.log_scale.copy_(scale.log())
        self.shift.copy_(-mean * scale)
