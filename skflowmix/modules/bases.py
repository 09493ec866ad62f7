r"""Densities of the latent variable, one for each component.

Features are independent, so a base is a density of one number. Where it has parameters they lead with the
component axis, as a transform's do.
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Callable

import torch
from torch import nn
from torch.nn.functional import logsigmoid


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

    def noise(self, shape, *, generator=None, dtype=None, device=None):
        """Draw what `from_noise` makes z of shape (C, N, D) of: a Tensor of shape (C, N, M), M being D by default."""
        return self.sample(shape, generator=generator, dtype=dtype, device=device)

    def from_noise(self, noise):
        """The draws that some noise stands for, through which the base's parameters have their gradient."""
        return noise


class Normal(Base):
    """Standard normal."""

    def log_prob(self, z):
        # The gradient of a square by `pow` takes a pass more.
        return -0.5 * ((z * z).sum(-1) + z.shape[-1] * math.log(2 * math.pi))

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
        return self._polar(*torch.rand((2, *shape), generator=generator, dtype=dtype, device=device))

    def noise(self, shape, *, generator=None, dtype=None, device=None):
        return torch.cat(tuple(torch.rand((2, *shape), generator=generator, dtype=dtype, device=device)), -1)

    def from_noise(self, noise):
        return self._polar(*noise.chunk(2, -1))

    def _polar(self, radial, angular):
        # R. W. Bailey, 1994, Mathematics of Computation 62: a polar method that takes two uniform numbers.
        df = self.degrees_of_freedom()
        radius = (df * torch.expm1(-2 / df * (1 - radial).log())).sqrt()
        return radius * (2 * math.pi * angular).cos()


class Logistic(Base):
    """Logistic density of unit variance, the base of NICE (Dinh, Krueger and Bengio, 2015, arXiv:1410.8516).

    Unit variance, rather than unit scale, is what the first layer of a flow aims at.
    """

    scale = math.sqrt(3) / math.pi

    def log_prob(self, z):
        standard = z / self.scale
        return (logsigmoid(standard) + logsigmoid(-standard) - math.log(self.scale)).sum(-1)

    def sample(self, shape, *, generator=None, dtype=None, device=None):
        return self.scale * _standard_logistic(shape, generator, dtype, device)


class Uniform(Base):
    r"""Uniform density on the box from -B to B with soft walls, of unit variance.

    A density of zero outside the box would give a row there no gradient by which to get in, and a held-out row
    a score of minus infinity. So a little logistic noise of scale t is added to the uniform number, and the sum
    has, exactly, the density :math:`[\sigma((z + B) / t) - \sigma((z - B) / t)] / 2 B`: flat inside, falling by
    1 / t nats for each unit of length outside, and still integrating to one.

    Parameters
    ----------
    n_components : int
        Number C of components.
    n_features : int
        Number D of features.
    softness : float, default=0.1
        Scale t of the walls, below :math:`\sqrt 3 / \pi`; B follows from the unit variance, 1.72 for t = 0.1.
    """

    def __init__(self, n_components, n_features, *, softness=0.1):
        super().__init__(n_components, n_features)
        self.softness = softness
        self.bound = math.sqrt(3 - (math.pi * softness) ** 2)

    def log_prob(self, z):
        from_left, from_right = (self.bound + z) / self.softness, (self.bound - z) / self.softness
        constant = math.log(-math.expm1(-2 * self.bound / self.softness)) - math.log(2 * self.bound)
        return (logsigmoid(from_left) + logsigmoid(from_right) + constant).sum(-1)

    def sample(self, shape, *, generator=None, dtype=None, device=None):
        inside = self.bound * (2 * torch.rand(shape, generator=generator, dtype=dtype, device=device) - 1)
        return inside + self.softness * _standard_logistic(shape, generator, dtype, device)


def _standard_logistic(shape, generator, dtype, device):
    uniform = torch.rand(shape, generator=generator, dtype=dtype, device=device)
    return torch.logit(uniform, eps=torch.finfo(uniform.dtype).eps / 2)


BASES: dict[str, Callable[..., Base]] = {
    "logistic": Logistic,
    "normal": Normal,
    "student_t": StudentT,
    "uniform": Uniform,
}
