r"""Encoders: the density q(z | x) of the latent place of a row, and draws of it that have a gradient.

Each makes draws of normal numbers: a normal density with a diagonal or a full covariance, a chain of flows behind the
former, or leapfrog steps. Where z are ends of Markov chains, log q is that of the bound: the density of a whole chain
over that of its learned way back (arXiv:1410.6460).
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass

import torch
from torch import nn

from .chains import iaf_chain, planar_chain
from .transforms.scalar import soft_clamp
from .transitions import Chain, Hamiltonian

_LARGEST_LOG_SCALE = 7.0
_FIRST_STEP, _FIRST_PATH = 0.5, 1.5


@dataclass(frozen=True)
class Draws:
    """Draws of latent places.

    Attributes
    ----------
    z : Tensor of shape (S, N, L)
        S draws for each of N rows.
    log_q : Tensor of shape (S, N)
        Their log-density, in nats.
    divergence : Tensor of shape (N, L), or None
        The divergence of q from a standard normal density, as a sum over features, where it has a closed form.
    """

    z: torch.Tensor
    log_q: torch.Tensor
    divergence: torch.Tensor | None = None


class Encoder(nn.Module, ABC):
    """Density of z given a row.

    Parameters
    ----------
    make_network : callable
        ``make_network(n_outputs) -> nn.Module``, that maps rows (N, n_inputs) to (N, n_outputs).
    n_latent : int
        Number L of latent features.
    n_outputs : int
        Numbers that the network has to give for each row.

    Attributes
    ----------
    n_noise : int
        Normal numbers M that a draw takes.
    has_mean : bool
        Whether the mean of q is known, so that `mean` gives it.
    needs_slope : bool
        Whether draws take the gradient of the joint log-density.
    n_draws_of_mean : int
        Of how many draws, in pairs of noise and minus noise, a mean is taken that is not known.
    """

    has_mean = False
    needs_slope = False
    n_draws_of_mean = 16

    def __init__(self, make_network, n_latent, n_outputs):
        super().__init__()
        self.network = make_network(n_outputs)
        self.n_latent = n_latent
        self.n_noise = n_latent

    @abstractmethod
    def forward(self, x, noise, slope=None):
        """Draws for each row.

        Parameters
        ----------
        x : Tensor of shape (N, n_inputs)
        noise : Tensor of shape (S, N or 1, M)
            Standard normal.
        slope : callable, default=None
            Gradient of log p(x, z) by z, (S, N, L) -> (S, N, L). Required where `needs_slope`.

        Returns
        -------
        Draws
        """

    def mean(self, x):
        """Mean of q given each row, Tensor of shape (N, L), where it `has_mean`."""
        raise NotImplementedError


def _bounded(log_scale):
    return soft_clamp(log_scale, _LARGEST_LOG_SCALE)


def _log_standard_normal(noise):
    """(..., L) -> (...)"""
    return -0.5 * (noise.square().sum(-1) + noise.shape[-1] * math.log(2 * math.pi))


class NormalEncoder(Encoder):
    """Normal density with a diagonal covariance (Kingma and Welling, 2014, arXiv:1312.6114)."""

    has_mean = True

    def __init__(self, make_network, n_latent):
        super().__init__(make_network, n_latent, 2 * n_latent)

    def forward(self, x, noise, slope=None):
        mean, log_scale = self.network(x).chunk(2, 1)
        log_scale = _bounded(log_scale)
        scale = log_scale.exp()
        log_q = _log_standard_normal(noise) - log_scale.sum(1)
        divergence = 0.5 * (mean.square() + scale.square() - 1) - log_scale
        return Draws(mean + scale * noise, log_q, divergence)

    def mean(self, x):
        return self.network(x)[:, : self.n_latent]


class FullEncoder(Encoder):
    """Normal density with a full covariance, by the Cholesky factor that is the network's (Kingma, 2017, ch. 5)."""

    places: torch.Tensor
    has_mean = True

    def __init__(self, make_network, n_latent):
        super().__init__(make_network, n_latent, 2 * n_latent + n_latent * (n_latent - 1) // 2)
        rows, columns = torch.tril_indices(n_latent, n_latent, -1)
        self.register_buffer("places", (rows * n_latent + columns)[None], persistent=False)

    def forward(self, x, noise, slope=None):
        mean, log_scale, below = self.network(x).split((self.n_latent, self.n_latent, self.places.shape[1]), 1)
        log_scale = _bounded(log_scale)
        factor = self._factor(log_scale, below)
        z = mean + (factor @ noise[..., None]).squeeze(-1)
        log_q = _log_standard_normal(noise) - log_scale.sum(1)
        divergence = 0.5 * (mean.square() + factor.square().sum(2) - 1) - log_scale
        return Draws(z, log_q, divergence)

    def _factor(self, log_scale, below):
        """(N, L, L)"""
        flat = below.new_zeros(len(below), self.n_latent**2).index_copy(1, self.places[0], below)
        return flat.unflatten(1, (self.n_latent, self.n_latent)) + torch.diag_embed(log_scale.exp())

    def mean(self, x):
        return self.network(x)[:, : self.n_latent]


class FlowEncoder(Encoder):
    """A chain of flows behind a normal density; a context, the network's as well, steers it.

    Parameters
    ----------
    make_network, n_latent
        As of `Encoder`.
    make_chain : callable
        ``make_chain(n_components, n_features, n_steps, n_context, hidden_layer_sizes=..., generator=...)``, as of
        `chains`.
    n_steps : int
    n_context : int
        Numbers in the context.
    hidden_layer_sizes : tuple of int
        Units of each step's network.
    generator : torch.Generator, default=None
    """

    def __init__(self, make_network, n_latent, *, make_chain, n_steps, n_context, hidden_layer_sizes, generator=None):
        super().__init__(make_network, n_latent, 2 * n_latent + n_context)
        self.n_context = n_context
        how = {"hidden_layer_sizes": hidden_layer_sizes, "generator": generator}
        self.chain = make_chain(1, n_latent, n_steps, n_context, **how)

    def forward(self, x, noise, slope=None):
        outputs = self.network(x)
        mean, log_scale, context = outputs.split(
            (self.n_latent, self.n_latent, outputs.shape[1] - 2 * self.n_latent), 1
        )
        log_scale = _bounded(log_scale)
        start = mean + log_scale.exp() * noise
        n_draws, n_rows, _ = start.shape
        z, ladj = self.chain(start.flatten(0, 1)[None], context.repeat(n_draws, 1))
        log_q = _log_standard_normal(noise) - log_scale.sum(1) - ladj.view(n_draws, n_rows)
        return Draws(z.view_as(start), log_q)


class HamiltonianEncoder(Encoder):
    r"""Leapfrog steps from a normal density, in whose units they are taken.

    Salimans, Kingma and Welling (2015), arXiv:1410.6460. With :math:`z = \mu(x) + \sigma(x) u` the steps lead from a
    standard normal u up the joint density, so that step sizes and masses are in units that the network gives each row.
    The velocity's way back is a network's of the end and of a context.

    Parameters
    ----------
    make_network, n_latent
        As of `Encoder`.
    n_steps : int
        Leapfrog steps.
    n_context : int
    hidden_layer_sizes : tuple of int
        Units of the network of the way back.
    generator : torch.Generator, default=None
    """

    needs_slope = True
    n_draws_of_mean = 4

    def __init__(self, make_network, n_latent, *, n_steps, n_context, hidden_layer_sizes, generator=None):
        super().__init__(make_network, n_latent, 2 * n_latent + n_context)
        self.n_context = n_context
        step = min(_FIRST_STEP, _FIRST_PATH / n_steps)
        how = {"n_context": n_context, "hidden_layer_sizes": hidden_layer_sizes, "generator": generator}
        self.chain = Chain([Hamiltonian(n_latent, n_steps, step, **how)])
        self.n_noise = n_latent + self.chain.n_noise

    def forward(self, x, noise, slope=None):
        outputs = self.network(x)
        mean, log_scale, context = outputs.split(
            (self.n_latent, self.n_latent, outputs.shape[1] - 2 * self.n_latent), 1
        )
        log_scale = _bounded(log_scale)
        scale = log_scale.exp()
        noise = noise.expand(-1, len(x), -1)
        start, velocity = noise.split((self.n_latent, self.chain.n_noise), 2)

        def own_slope(u):
            return (scale * slope(mean + scale * u.view_as(start))).flatten(0, 1)

        end, log_ratio = self.chain(
            start.flatten(0, 1), velocity.flatten(0, 1), own_slope, context.repeat(len(start), 1)
        )
        log_q = _log_standard_normal(start) - log_scale.sum(1) - log_ratio.view(start.shape[:2])
        return Draws(mean + scale * end.view_as(start), log_q)


CHAINS = {"iaf": iaf_chain, "planar": planar_chain}
"""Chains of flows behind a normal density."""
