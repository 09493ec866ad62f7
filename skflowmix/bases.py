r"""Densities of the latent variable, one for each component.

Features are independent, so a base is a density of one number. Where it has parameters they lead with the
component axis, as a transform's do.
"""

import math
from abc import ABC, abstractmethod

import torch
from torch import nn


class Base(nn.Module, ABC):
    """Density of z for each component.

    Parameters
    ----------
    n_components : int
        Number C of components.
    n_features : int
        Number D of features.
    """

    def __init__(self, n_components, n_features):
        super().__init__()
        self.n_features = n_features

    @abstractmethod
    def log_prob(self, z):
        """Log-density, in nats.

        Parameters
        ----------
        z : Tensor of shape (C, N, D)

        Returns
        -------
        Tensor of shape (C, N)
        """

    @abstractmethod
    def sample(self, shape, *, generator=None, dtype=None, device=None):
        """Draw z of shape (C, N, D)."""


class Normal(Base):
    """Standard normal."""

    def log_prob(self, z):
        return -0.5 * (z.square().sum(-1) + z.shape[-1] * math.log(2 * math.pi))

    def sample(self, shape, *, generator=None, dtype=None, device=None):
        return torch.randn(shape, generator=generator, dtype=dtype, device=device)


class StudentT(Base):
    """Student's t with learned degrees of freedom for each component and feature, all above one.

    Its polynomial tails keep a handful of outlying rows from ruling the fit (Laszkiewicz, Lederer and
    Fischer, 2022, Marginal tail-adaptive normalizing flows, arXiv:2206.10311).

    Parameters
    ----------
    n_components : int
        Number C of components.
    n_features : int
        Number D of features.
    initial_df : float, default=10.0
        Degrees of freedom at the start.
    """

    def __init__(self, n_components, n_features, *, initial_df=10.0):
        super().__init__(n_components, n_features)
        start = math.log(initial_df - 1)
        self.log_excess_df = nn.Parameter(torch.full((n_components, 1, n_features), start))

    def degrees_of_freedom(self):
        """Tensor of shape (C, 1, D)."""
        return 1 + self.log_excess_df.clamp(-10, 10).exp()

    def log_prob(self, z):
        df = self.degrees_of_freedom()
        constant = torch.lgamma((df + 1) / 2) - torch.lgamma(df / 2) - 0.5 * (df * math.pi).log()
        return (constant - (df + 1) / 2 * torch.log1p(z.square() / df)).sum(-1)

    def sample(self, shape, *, generator=None, dtype=None, device=None):
        # R. W. Bailey, 1994, Mathematics of Computation 62: a polar method that takes two uniform numbers.
        df = self.degrees_of_freedom()
        radial, angular = torch.rand((2, *shape), generator=generator, dtype=dtype, device=device)
        radius = (df * torch.expm1(-2 / df * (1 - radial).log())).sqrt()
        return radius * (2 * math.pi * angular).cos()


BASES = {"normal": Normal, "student_t": StudentT}
