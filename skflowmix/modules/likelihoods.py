r"""Likelihoods of a decoder: the density of a row given the numbers that a network makes of its latent place.

Features are independent given the latent place. Each has one raw number from the network, or two: where scales are not
learned constants of the features they are the second half.
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Callable

import torch
from torch import nn
from torch.nn.functional import logsigmoid, softplus

from .transforms.scalar import soft_clamp

_LARGEST_LOG_SCALE = 7.0


class Likelihood(nn.Module, ABC):
    """Density of rows given raw numbers.

    Parameters
    ----------
    n_features : int
        Number D of features.
    n_raw : int, default=1
        Raw numbers P for each feature.
    """

    def __init__(self, n_features, n_raw=1):
        super().__init__()
        self.n_features = n_features
        self.n_outputs = n_raw * n_features

    @abstractmethod
    def log_prob(self, x, raw):
        """Log-density of rows (N, D), or any shape that goes with it, given raw numbers (..., N, P D): (..., N)."""

    @abstractmethod
    def mean(self, raw):
        """Mean of rows given raw numbers, (..., P D) -> (..., D)."""

    @abstractmethod
    def sample(self, raw, *, generator=None):
        """Draw a row for each, (..., P D) -> (..., D)."""


class Bernoulli(Likelihood):
    """Zeros and ones; raw numbers are logits.

    Of a number x between, it is the mean over zeros and ones of which the latter have the probability x.
    """

    def log_prob(self, x, raw):
        return torch.linalg.vecdot(x.expand_as(raw), raw) - softplus(raw).sum(-1)

    def mean(self, raw):
        return torch.sigmoid(raw)

    def sample(self, raw, *, generator=None):
        uniform = torch.rand(raw.shape, generator=generator, dtype=raw.dtype, device=raw.device)
        return (uniform < torch.sigmoid(raw)).to(raw.dtype)


class Scales(nn.Module):
    """Scales of features: learned constants, or functions of the latent place.

    Parameters
    ----------
    n_features : int
        Number D of features.
    heteroscedastic : bool
        Whether they are the second half of the raw numbers.
    least_scale : float
    """

    def __init__(self, n_features, heteroscedastic, least_scale):
        super().__init__()
        self.n_raw = 2 if heteroscedastic else 1
        self.least_scale = least_scale
        self.log_scale = None if heteroscedastic else nn.Parameter(torch.zeros(1, n_features))

    def forward(self, raw):
        """Means and scales, both (..., D), or the latter (D,)."""
        mean, log_scale = raw.chunk(2, -1) if self.log_scale is None else (raw, self.log_scale.squeeze(0))
        return mean, self.least_scale + soft_clamp(log_scale, _LARGEST_LOG_SCALE).exp()


class NormalLikelihood(Likelihood):
    """Normal numbers with learned variances.

    Parameters
    ----------
    n_features : int
    heteroscedastic : bool, default=False
    least_scale : float, default=1e-3
        As of `Scales`.
    """

    def __init__(self, n_features, *, heteroscedastic=False, least_scale=1e-3):
        scales = Scales(n_features, heteroscedastic, least_scale)
        super().__init__(n_features, scales.n_raw)
        self.scales = scales

    def mean(self, raw):
        return raw[..., : self.n_features]

    def log_prob(self, x, raw):
        mean, scale = self.scales(raw)
        constant = 0.5 * self.n_features * math.log(2 * math.pi)
        return -0.5 * ((x - mean) / scale).square().sum(-1) - scale.log().sum(-1) - constant

    def sample(self, raw, *, generator=None):
        mean, scale = self.scales(raw)
        return mean + scale * torch.randn(mean.shape, generator=generator, dtype=raw.dtype, device=raw.device)


class DiscretizedLogistic(Likelihood):
    r"""Recorded values that stand for an interval each, whose logistic probability they have.

    Kingma et al. (2016), arXiv:1606.04934: :math:`\sigma((x + h/2 - \mu) / s) - \sigma((x - h/2 - \mu) / s)`, the
    first and the last interval having no end.

    Parameters
    ----------
    n_features, heteroscedastic, least_scale
        As of `NormalLikelihood`.

    Attributes
    ----------
    width : Tensor of shape (1, D)
        Width h of the intervals; set by `set_grid`, as is what follows.
    low, high : Tensor of shape (1, D)
        The first and the last recorded value; values beyond stand for these.
    """

    width: torch.Tensor
    low: torch.Tensor
    high: torch.Tensor

    def __init__(self, n_features, *, heteroscedastic=False, least_scale=1e-3):
        scales = Scales(n_features, heteroscedastic, least_scale)
        super().__init__(n_features, scales.n_raw)
        self.scales = scales
        for name in ("width", "low", "high"):
            self.register_buffer(name, torch.ones(1, n_features))

    def mean(self, raw):
        return raw[..., : self.n_features]

    @torch.no_grad()
    def set_grid(self, width, low, high):
        """Tell which values there are, all Tensors of shape (D,); the width is any where there is one value alone."""
        for name, value in (("width", width), ("low", low), ("high", high)):
            getattr(self, name).copy_(value[None])

    def log_prob(self, x, raw):
        mean, scale = self.scales(raw)
        arm, half = x.clamp(self.low[0], self.high[0]) - mean, self.width[0] / 2
        above, below = (arm + half) / scale, (arm - half) / scale
        # sigma(a) - sigma(b) = sigma(a) sigma(-b) (1 - exp(b - a)), no digits cancelling
        inside = logsigmoid(above) + logsigmoid(-below) + torch.log(-torch.expm1(-self.width[0] / scale))
        first, last = x < self.low[0] + half, x > self.high[0] - half  # whatever type the grid was rounded in
        log_prob = torch.where(first, logsigmoid(above), torch.where(last, logsigmoid(-below), inside))
        return torch.where(first & last, 0.0, log_prob).sum(-1)

    def sample(self, raw, *, generator=None):
        mean, scale = self.scales(raw)
        uniform = torch.rand(mean.shape, generator=generator, dtype=raw.dtype, device=raw.device)
        x = mean + scale * torch.logit(uniform, eps=torch.finfo(raw.dtype).eps / 2)
        steps = ((x - self.low[0]) / self.width[0]).round()
        return torch.minimum((self.low[0] + steps * self.width[0]).clamp_min(self.low[0]), self.high[0])


LIKELIHOODS: dict[str, Callable[..., Likelihood]] = {
    "bernoulli": Bernoulli,
    "logistic": DiscretizedLogistic,
    "normal": NormalLikelihood,
}
