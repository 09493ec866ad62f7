r"""A variational autoencoder in one module: a density of rows by latent places that an encoder guesses.

.. math::
    \log p(x) \ge E_{q(z \mid x)} [\log p(x \mid z) + \log p(z) - \log q(z \mid x)]

(Kingma and Welling, 2014, Auto-encoding variational Bayes, arXiv:1312.6114; Kingma, 2017, Variational inference and
deep learning.) What else is known of each row, its class say, is a *condition*: encoder and decoder have it as further
inputs, and everything is given it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import nn


@dataclass(frozen=True)
class Terms:
    """What the bound of each row is made of, in nats.

    Attributes
    ----------
    log_likelihood : Tensor of shape (S, N)
        log p(x | z) of S draws.
    log_ratio : Tensor of shape (S, N)
        log p(z) - log q(z | x) of the draws.
    divergence : Tensor of shape (N, G), or None
        Of q(z | x) from p(z), as a sum over groups of latent features, where it has a closed form.
    """

    log_likelihood: torch.Tensor
    log_ratio: torch.Tensor
    divergence: torch.Tensor | None

    def log_weights(self, warmth=1.0):
        """log p(x, z) - log q(z | x) of each draw, (S, N); the divergence counts `warmth` times."""
        return self.log_likelihood + warmth * self.log_ratio

    def bound(self, warmth=1.0):
        """Bound on log p(x) of each row, (N,): with several draws the importance-weighted one (arXiv:1509.00519)."""
        n_draws = len(self.log_ratio)
        if n_draws > 1:
            return self.log_weights(warmth).logsumexp(0) - math.log(n_draws)
        if self.divergence is None:
            return self.log_weights(warmth)[0]
        return self.log_likelihood[0] - warmth * self.divergence.sum(1)

    def mean_bound(self):
        """Mean of the bound over draws, each by itself: (N,)."""
        if self.divergence is None:
            return self.log_weights().mean(0)
        return self.log_likelihood.mean(0) - self.divergence.sum(1)

    def missing_bits(self, free_bits, n_latent):
        r"""What the mean divergence of a batch lacks to some nats for each of L latent features, Tensor of shape ().

        Added to the divergence it makes the first nats free, :math:`\sum_j \max(\lambda, KL_j)` (Kingma et al., 2016,
        arXiv:1606.04934). Where the divergence is no sum over features they are one group, which has L times as many.
        """
        if self.divergence is None:
            return (n_latent * free_bits + self.log_ratio.mean()).clamp_min(0)
        return (free_bits - self.divergence.mean(0)).clamp_min(0).sum()


class StandardNormal(nn.Module):
    """The density of latent places that knows nothing.

    Parameters
    ----------
    n_latent : int
        Number L of latent features.
    """

    def __init__(self, n_latent):
        super().__init__()
        self.n_latent = n_latent

    def log_prob(self, z):
        """Tensor of shape (N, L) -> Tensor of shape (N,), in nats."""
        return -0.5 * (z.square().sum(1) + self.n_latent * math.log(2 * math.pi))

    def sample(self, n_samples, *, generator=None):
        """Draws (n_samples, L), and None, as there are no components. On the device of the generator."""
        return torch.randn(n_samples, self.n_latent, generator=generator, device=generator.device), None


class Autoencoder(nn.Module):
    """Encoder q(z | x), decoder p(x | z) and prior p(z).

    Parameters
    ----------
    encoder : Encoder
        Of n_features + n_condition inputs.
    decoder : nn.Module
        Latent places and conditions (N, L + n_condition) -> raw numbers (N, likelihood.n_outputs).
    likelihood : Likelihood
    prior : nn.Module
        With ``log_prob(z)`` and ``sample(n, generator=...)``: `StandardNormal`, or a `FlowMixture`.
    """

    n_restarts = 1

    def __init__(self, encoder, decoder, likelihood, prior):
        super().__init__()
        self.encoder, self.decoder, self.likelihood, self.prior = encoder, decoder, likelihood, prior

    @property
    def n_components(self):
        """Number of the prior's components."""
        return getattr(self.prior, "n_components", 1)

    def draw(self, x, noise, condition=None):
        """Latent places for each row.

        Parameters
        ----------
        x : Tensor of shape (N, D)
        noise : Tensor of shape (S, N or 1, M)
            Standard normal; M is the encoder's `n_noise`.
        condition : Tensor of shape (N, H), default=None

        Returns
        -------
        Draws
        """
        slope = None
        if self.encoder.needs_slope:

            def slope(z):
                return self.slope(x, z, condition)

        return self.encoder(_with(x, condition), noise, slope)

    def mean(self, x, condition=None):
        """Mean of q(z | x) where the encoder knows it, Tensor of shape (N, L)."""
        return self.encoder.mean(_with(x, condition))

    def raw(self, z, condition=None):
        """The likelihood's raw numbers at latent places (S, N, L), Tensor of shape (S, N, n_outputs)."""
        n_draws, n_rows, _ = z.shape
        if condition is not None:
            z = torch.cat([z, condition.expand(n_draws, -1, -1)], 2)
        return self.decoder(z.flatten(0, 1)).unflatten(0, (n_draws, n_rows))

    def terms(self, x, noise, condition=None):
        """What the bound of each row is made of; parameters as of `draw`.

        Returns
        -------
        Terms
        """
        draws = self.draw(x, noise, condition)
        log_likelihood = self.likelihood.log_prob(x, self.raw(draws.z, condition))
        is_plain = isinstance(self.prior, StandardNormal)
        divergence = draws.divergence if is_plain else None
        return Terms(log_likelihood, self.log_prior(draws.z) - draws.log_q, divergence)

    def log_prior(self, z):
        """(S, N, L) -> (S, N)"""
        return self.prior.log_prob(z.flatten(0, 1)).view(z.shape[:2])

    def log_joint(self, x, z, condition=None):
        """log p(x, z) of rows (N, D) and latent places (S, N, L), Tensor of shape (S, N)."""
        return self.likelihood.log_prob(x, self.raw(z, condition)) + self.log_prior(z)

    def slope(self, x, z, condition=None):
        """Gradient of `log_joint` by z, (S, N, L); with a gradient of its own where gradients are on."""
        keeps = torch.is_grad_enabled()
        with torch.enable_grad():
            place = z if z.requires_grad else z.detach().requires_grad_()
            (slope,) = torch.autograd.grad(self.log_joint(x, place, condition).sum(), place, create_graph=keeps)
        return slope

    def sample(self, n_samples, condition=None, *, generator):
        """Rows (n_samples, D), and the prior's component of each, or None; for conditions (n_samples, H), if any."""
        like = next(self.decoder.parameters())
        z, component = self.prior.sample(n_samples, generator=generator)
        raw = self.raw(z.to(like)[None], condition)[0]
        return self.likelihood.sample(raw, generator=generator), component


def _with(x, condition):
    return x if condition is None else torch.cat([x, condition], 1)
