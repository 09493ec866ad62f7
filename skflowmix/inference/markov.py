r"""Markov chains that a mixture of flows helps along, and that are right whatever the mixture is.

Two steps by turns, each of which leaves the target p as it is. The first proposes a draw of the mixture q and accepts
it by the ratio of weights p / q: jumps between modes. The second draws a component k of the state's by its
probability :math:`r_k = w_k q_k / q` and moves by Hamiltonian dynamics in that component's latent space. There the
density to move under, that of p and k together, is

.. math:: p(x)\, r_k(x)\, |\partial x / \partial z| \propto p_0(z)\, p(x) / q(x),

which is the base's own where the mixture fits: round, whatever the shape of p (Hoffman et al., 2019, NeuTra,
arXiv:1903.03704; the mixture of both kinds of steps is Gabrié, Rotskoff and Vanden-Eijnden's, 2022, arXiv:2105.12603).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from .diagnostics import effective_sizes, split_r_hat

N_CHAINS = 16
_WARM_UP = 60
_FEWEST_KEPT = 100
_LEAPFROG_STEPS = 5
_WANTED_ACCEPTANCE = 0.8
_ADAPTATION = 0.15


@dataclass(frozen=True)
class Chains:
    """States of Markov chains, and whether they agree.

    Attributes
    ----------
    states : ndarray of shape (M, T, D)
        M chains of T states each, without the warm-up.
    r_hat : ndarray of shape (D,)
        Of each feature; 1 where the chains agree.
    ess : ndarray of shape (D,)
        Effective number of all states together, for each feature.
    jump_acceptance, move_acceptance : float
        Shares of proposals of the mixture, and of Hamiltonian moves, that were accepted.
    """

    states: np.ndarray
    r_hat: np.ndarray
    ess: np.ndarray
    jump_acceptance: float
    move_acceptance: float


def run_chains(mixture, log_density, start, n_kept, *, generator):
    """Run chains from some states.

    Parameters
    ----------
    mixture : FlowMixture
    log_density : callable
        Tensor of shape (N, D) -> Tensor of shape (N,), unnormalised, of the mixture's rows.
    start : Tensor of shape (M, D)
    n_kept : int
        States of each chain; at least as many are made as tell whether chains agree.
    generator : torch.Generator

    Returns
    -------
    Chains
    """
    run = _Run(mixture, log_density, start, generator)
    n_kept = max(n_kept, _FEWEST_KEPT)
    states, accepted = [], []
    for iteration in range(_WARM_UP + n_kept):
        rates = run.jump(), run.move()
        if iteration < _WARM_UP:
            run.adapt(rates[1])
        else:
            states.append(run.x)
            accepted.append(rates)
    chains = torch.stack(states, 1).cpu().numpy()
    jumps, moves = np.mean(accepted, 0).tolist()
    return Chains(chains, split_r_hat(chains), effective_sizes(chains), jumps, moves)


class _Run:
    """States of M chains, with log p and log q of each."""

    def __init__(self, mixture, log_density, start, generator):
        self.mixture, self.log_density, self.generator = mixture, log_density, generator
        self.x = start
        self.log_p, self.log_joint = self._look(start)
        self.step_size = 0.5 * start.shape[1] ** -0.25

    @torch.no_grad()
    def _look(self, x):
        """Log p (M,), and log-density of the mixture with each component (M, K)."""
        return self.log_density(x), self.mixture.log_joint(x)

    def _uniform(self, *shape):
        return torch.rand(shape, generator=self.generator, dtype=self.x.dtype, device=self.x.device)

    @torch.no_grad()
    def jump(self):
        """Propose a draw of the mixture to each chain; the share of those that were accepted."""
        x, _ = self.mixture.sample(len(self.x), generator=self.generator)
        x = x[torch.randperm(len(x), generator=self.generator, device=x.device)]
        log_p, log_joint = self._look(x)
        log_ratio = log_p - log_joint.logsumexp(1) - self.log_p + self.log_joint.logsumexp(1)
        return self._accept(log_ratio, x, log_p, log_joint)

    def _accept(self, log_ratio, x, log_p, log_joint):
        """Go on to proposals by the probability of each; the mean of these."""
        accepted = self._uniform(len(x)).log() < log_ratio
        self.x = torch.where(accepted[:, None], x, self.x)
        self.log_p = torch.where(accepted, log_p, self.log_p)
        self.log_joint = torch.where(accepted[:, None], log_joint, self.log_joint)
        return float(log_ratio.nan_to_num(-torch.inf).clamp_max(0).exp().mean())

    def move(self):
        """Hamiltonian dynamics in the latent space of a component of each chain's state."""
        component = torch.multinomial(self.log_joint.softmax(1), 1, generator=self.generator).squeeze(1)
        with torch.no_grad():
            z = self._own(self.mixture.latent(self.x), component)
        momentum = torch.randn(z.shape, generator=self.generator, dtype=z.dtype, device=z.device)
        step = self.step_size * (0.7 + 0.6 * self._uniform(len(z), 1))
        before, slope = self._latent(z, component)[:2]
        energy = before - momentum.square().sum(1) / 2
        for _ in range(_LEAPFROG_STEPS):
            momentum = momentum + step / 2 * slope
            z = z + step * momentum
            value, slope, x = self._latent(z, component)
            momentum = momentum + step / 2 * slope
        log_ratio = (value - momentum.square().sum(1) / 2 - energy).nan_to_num(-torch.inf)
        return self._accept(log_ratio, x, *self._look(x))

    def _latent(self, z, component):
        """Log-density to move under (M,), its gradient (M, D), and the rows (M, D) that latent ones stand for."""
        z = z.detach().requires_grad_()
        everyone = z.expand(self.mixture.n_components, *z.shape)
        x = self._own(self.mixture.restart_place(everyone)[0], component)
        log_base = self._own(self.mixture.base.log_prob(everyone), component)
        value = log_base + self.log_density(x) - self.mixture.log_prob(x)
        (slope,) = torch.autograd.grad(value.sum(), z)
        return value.detach(), torch.where(slope.isfinite(), slope, 0.0), x.detach()

    @staticmethod
    def _own(of_components, component):
        """Each chain's component out of (K, M, ...)."""
        return of_components[component, torch.arange(len(component), device=component.device)]

    def adapt(self, acceptance):
        """Make the moves' steps longer where more than enough are accepted, or else shorter."""
        self.step_size *= float(np.exp(_ADAPTATION * (acceptance - _WANTED_ACCEPTANCE)))
