"""Maps that bring every feature to a common location and scale."""

import torch
from torch import nn

from .base import Transform
from .linear import weighted_moments


def _mean_and_variance(x, weight):
    """Weighted moments of each feature, both (C, 1, D), the variance being one where it is no more than rounding."""
    mean, covariance = weighted_moments(x, weight)
    variance = covariance.diagonal(dim1=1, dim2=2)[:, None]
    negligible = variance <= torch.finfo(x.dtype).eps * mean.square().clamp_min(1)
    return mean, torch.where(negligible, 1.0, variance)


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

    def forward(self, x, context=None):
        z = x * self.log_scale.exp() + self.shift
        return z, self.log_scale.sum(2).expand(z.shape[:-1])

    def inverse(self, z, context=None):
        x = (z - self.shift) * (-self.log_scale).exp()
        return x, -self.log_scale.sum(2).expand(z.shape[:-1])

    @torch.no_grad()
    def initialize(self, x, weight):
        mean, variance = _mean_and_variance(x, weight)
        scale = variance.rsqrt()
        self.log_scale.copy_(scale.log())
        self.shift.copy_(-mean * scale)


class BatchNorm(Transform):
    """Batch normalisation, then a learned scale and shift of each feature; starts at the identity.

    Dinh, Sohl-Dickstein and Bengio (2017), RealNVP, arXiv:1605.08803. In training mode `forward` takes mean and
    variance from the rows that it is given, all of equal weight for every component, gradients included. In
    evaluation mode it takes their running averages, and the density is exact; `inverse` always does.

    Parameters
    ----------
    n_components : int
        Number C of maps.
    n_features : int
        Number D of features.
    momentum : float, default=0.1
        Share of a batch in the running averages.
    eps : float, default=1e-5
        Variance added to each feature of a batch.

    Attributes
    ----------
    running_mean, running_variance : Tensor of shape (C, 1, D)
        `eps` is part of the variance.
    """

    running_mean: torch.Tensor
    running_variance: torch.Tensor

    def __init__(self, n_components, n_features, *, momentum=0.1, eps=1e-5):
        super().__init__()
        self.momentum = momentum
        self.eps = eps
        self.register_buffer("running_mean", torch.zeros(n_components, 1, n_features))
        self.register_buffer("running_variance", torch.ones(n_components, 1, n_features))
        self.log_scale = nn.Parameter(torch.zeros(n_components, 1, n_features))
        self.shift = nn.Parameter(torch.zeros(n_components, 1, n_features))

    def forward(self, x, context=None):
        mean, variance = self._batch_moments(x) if self.training else (self.running_mean, self.running_variance)
        z = (x - mean) * (self.log_scale.exp() * variance.rsqrt()) + self.shift
        return z, (self.log_scale - variance.log() / 2).sum(2).expand(z.shape[:-1])

    def inverse(self, z, context=None):
        x = (z - self.shift) * ((-self.log_scale).exp() * self.running_variance.sqrt()) + self.running_mean
        return x, (self.running_variance.log() / 2 - self.log_scale).sum(2).expand(z.shape[:-1])

    def _batch_moments(self, x):
        mean = x.mean(1, keepdim=True)
        variance = (x - mean).square().mean(1, keepdim=True) + self.eps
        self.running_mean.lerp_(mean.detach(), self.momentum)
        self.running_variance.lerp_(variance.detach(), self.momentum)
        return mean, variance

    @torch.no_grad()
    def initialize(self, x, weight):
        mean, variance = _mean_and_variance(x, weight)
        self.running_mean.copy_(mean)
        self.running_variance.copy_(variance)
        self.log_scale.zero_()
        self.shift.zero_()
