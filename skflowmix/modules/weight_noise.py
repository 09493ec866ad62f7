r"""Linear layers whose weights are noisy in training: Gaussian dropout, with a given rate or with learned ones.

Each weight is :math:`w = \theta (1 + \sqrt{\alpha}\, \epsilon)`, another one for each row. Of such weights an output
:math:`b = \sum_i a_i w_i` is normal given the inputs a, with mean :math:`\sum_i a_i \theta_i` and variance
:math:`\sum_i \alpha_i a_i^2 \theta_i^2`, and is drawn from that: two matrix products for all rows, and a gradient that
is less noisy than with one draw of the weights for a batch. This is the local reparameterisation of Kingma, Salimans
and Welling (2015, Variational dropout and the local reparameterization trick, arXiv:1506.02557).
"""

import math
from abc import ABC, abstractmethod
from functools import partial
from typing import Protocol, runtime_checkable

import torch
from torch import nn
from torch.nn import functional

from .draws import normal

_FIRST_RATIO = 0.1
_LEAST_VARIANCE = 1e-16


@runtime_checkable
class Uncertain(Protocol):
    """A module with a density over its own weights, whose divergence from their prior belongs to the objective."""

    def weight_divergence(self) -> torch.Tensor:
        """In nats, for all rows together, Tensor of shape (1,); those of modules within it are not counted."""


def weight_divergence(module):
    """Divergence of all weights of a module from their prior, in nats, Tensor of shape (1,).

    An objective whose loss is of a row adds it divided by the number of rows that are fitted.
    """
    like = next(module.parameters())
    terms = [part.weight_divergence() for part in module.modules() if isinstance(part, Uncertain)]
    return sum(terms, like.new_zeros(1))


def seed_weight_noise(module, generator):
    """Let all layers of a module draw the noise of their weights from a torch.Generator, on the module's device."""
    for part in module.modules():
        if isinstance(part, NoisyLinear):
            part.noise_generator = generator


def log_uniform_divergence(ratio):
    r"""Divergence of one weight's density :math:`N(\theta, \alpha \theta^2)` from the log-uniform prior, in nats.

    But for a constant, as the prior is improper, and for ratios up to one; the weight itself does not matter. This is
    the polynomial of arXiv:1506.02557, section 4.2, which is right to within .04 nats, and to .007 from .1 on.

    Parameters
    ----------
    ratio : Tensor
        Numbers alpha in (0, 1].

    Returns
    -------
    Tensor
    """
    return -(0.5 * ratio.log() + ratio * (1.16145124 + ratio * (-1.50204118 + ratio * 0.58629921)))


class NoisyLinear(nn.Module, ABC):
    """Linear map of rows with noise on its weights in training, and none in evaluation.

    A subclass has `ratio`, and nothing else.

    Parameters
    ----------
    n_inputs, n_outputs : int
    gain : float, default=1.0
        Deviation of the outputs at the start, for inputs of the size one.
    generator : torch.Generator, default=None
        Source of the initial weights.

    Attributes
    ----------
    noise_generator : torch.Generator or None
        Source of the noise; see `seed_weight_noise`. None is torch's own. Copies have none.
    """

    def __init__(self, n_inputs, n_outputs, *, gain=1.0, generator=None):
        super().__init__()
        scale = gain / math.sqrt(max(n_inputs, 1))
        self.weight = nn.Parameter(normal(1, n_outputs, n_inputs, generator=generator) * scale)
        self.bias = nn.Parameter(torch.zeros(1, n_outputs))
        self.noise_generator = None

    def __getstate__(self):
        return vars(self) | {"noise_generator": None}

    @abstractmethod
    def ratio(self):
        """Variance alpha of a weight's noise in units of the weight's square: a number, or Tensor (n_inputs,)."""

    def moments(self, x):
        """Mean and variance of the outputs, both Tensor of shape (..., n_outputs), for rows (..., n_inputs)."""
        weight = self.weight.squeeze(0)
        mean = functional.linear(x, weight, self.bias.squeeze(0))
        return mean, functional.linear(self.ratio() * x.square(), weight.square())

    def forward(self, x):
        """Tensor of shape (..., n_inputs) -> Tensor of shape (..., n_outputs)."""
        if not self.training:
            return functional.linear(x, self.weight.squeeze(0), self.bias.squeeze(0))
        mean, variance = self.moments(x)
        noise = torch.randn(mean.shape, generator=self.noise_generator, dtype=mean.dtype, device=mean.device)
        return mean + (variance + _LEAST_VARIANCE).sqrt() * noise


class GaussianDropout(NoisyLinear):
    """Noise of a given strength on each weight, which replaces the dropout of inputs (Srivastava et al., 2014).

    Parameters
    ----------
    n_inputs, n_outputs, gain, generator
        As of `NoisyLinear`.
    rate : float
        Number p in (0, 1): the noise has the variance p / (1 - p) of what dropout at this rate does to an input.
    """

    def __init__(self, n_inputs, n_outputs, *, rate, gain=1.0, generator=None):
        super().__init__(n_inputs, n_outputs, gain=gain, generator=generator)
        self.rate = rate

    def ratio(self):
        return self.rate / (1 - self.rate)


class VariationalDropout(NoisyLinear):
    """Noise whose strength is learned for each input, at most as strong as the weight itself; it is `Uncertain`.

    The prior of the weights is log-uniform, so that only the strength matters to their divergence from it.

    Parameters
    ----------
    n_inputs, n_outputs, gain, generator
        As of `NoisyLinear`.
    """

    def __init__(self, n_inputs, n_outputs, *, gain=1.0, generator=None):
        super().__init__(n_inputs, n_outputs, gain=gain, generator=generator)
        self.ratio_logits = nn.Parameter(torch.full((1, n_inputs), math.log(_FIRST_RATIO / (1 - _FIRST_RATIO))))

    def ratio(self):
        return self.ratio_logits.squeeze(0).sigmoid()

    def weight_divergence(self):
        """See `Uncertain`."""
        return self.weight.shape[1] * log_uniform_divergence(self.ratio_logits.sigmoid()).sum(1)


def noisy_linear(dropout):
    """What makes a layer, ``make(n_inputs, n_outputs, gain=..., generator=...)``, of an estimator's `dropout`.

    Parameters
    ----------
    dropout : float or "variational"
        A rate in (0, 1), of `GaussianDropout`, or `VariationalDropout`.
    """
    return VariationalDropout if dropout == "variational" else partial(GaussianDropout, rate=float(dropout))
