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

import copy
from dataclasses import dataclass

import numpy as np
import torch
from torch.nn.functional import one_hot

from ..modules.workload import rows_at_once
from .diagnostics import effective_sizes, split_r_hat

_FEWEST_CHAINS, _MOST_CHAINS = 16, 64
_WANTED_LENGTH = 250
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


def how_many_chains(n_samples):
    """Chains for so many states: a step of many side by side hardly takes longer, but each has to be long by itself."""
    return min(max(n_samples // _WANTED_LENGTH, _FEWEST_CHAINS), _MOST_CHAINS)


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
    for iteration, proposal in enumerate(run.proposals(_WARM_UP + n_kept)):
        rates = run.jump(proposal), run.move()
        if iteration < _WARM_UP:
            run.adapt(rates[1])
        else:
            states.append(run.state.x)
            accepted.append(rates)
    chains = torch.stack(states, 1).cpu().numpy()
    jumps, moves = np.mean(accepted, 0).tolist()
    return Chains(chains, split_r_hat(chains), effective_sizes(chains), jumps, moves)


@dataclass(frozen=True)
class _State:
    """Rows (M, D) with log p (M,), and the log-density of the mixture with each component (M, K)."""

    x: torch.Tensor
    log_p: torch.Tensor
    log_joint: torch.Tensor

    @property
    def log_weight(self):
        return self.log_p - self.log_joint.logsumexp(1)


class _Run:
    """M chains side by side."""

    def __init__(self, mixture, log_density, start, generator):
        self.mixture = copy.deepcopy(mixture).requires_grad_(False)  # no time for gradients that nobody asks for
        self.log_density, self.generator = log_density, generator
        self.state = self._look(start)
        self.step_size = 0.5 * start.shape[1] ** -0.25

    @torch.no_grad()
    def _look(self, x):
        return _State(x, self.log_density(x), self.mixture.log_joint(x))

    def _uniform(self, *shape):
        like = self.state.x
        return torch.rand(shape, generator=self.generator, dtype=like.dtype, device=like.device)

    def proposals(self, n_iterations):
        """Draws of the mixture for each iteration, which do not depend on where chains are: many are made at once."""
        n_chains = len(self.state.x)
        x, _ = self.mixture.sample(n_iterations * n_chains, generator=self.generator)
        x = x[torch.randperm(len(x), generator=self.generator, device=x.device)]
        for some in x.split(max(rows_at_once(self.mixture) // n_chains, 1) * n_chains):
            parts = (tensor.split(n_chains) for tensor in vars(self._look(some)).values())
            yield from (_State(*tensors) for tensors in zip(*parts, strict=True))

    def jump(self, proposal):
        """Propose a draw of the mixture to each chain; the share of those that were accepted."""
        return self._accept(proposal.log_weight - self.state.log_weight, proposal)

    def _accept(self, log_ratio, there):
        """Go on to proposals by the probability of each; the mean of these."""
        accepted = self._uniform(len(log_ratio)).log() < log_ratio
        self.state = _State(
            torch.where(accepted[:, None], there.x, self.state.x),
            torch.where(accepted, there.log_p, self.state.log_p),
            torch.where(accepted[:, None], there.log_joint, self.state.log_joint),
        )
        return float(log_ratio.nan_to_num(-torch.inf).clamp_max(0).exp().mean())

    def move(self):
        """Hamiltonian dynamics in the latent space of a component of each chain's state."""
        component = torch.multinomial(self.state.log_joint.softmax(1), 1, generator=self.generator).squeeze(1)
        z = self.mixture.latent(self.state.x)[component, torch.arange(len(component), device=component.device)]
        momentum = torch.randn(z.shape, generator=self.generator, dtype=z.dtype, device=z.device)
        step = self.step_size * (0.7 + 0.6 * self._uniform(len(z), 1))
        before, slope, _ = self._latent(z, component)
        energy = before - momentum.square().sum(1) / 2
        for _ in range(_LEAPFROG_STEPS):
            momentum = momentum + step / 2 * slope
            z = z + step * momentum
            value, slope, there = self._latent(z, component)
            momentum = momentum + step / 2 * slope
        return self._accept((value - momentum.square().sum(1) / 2 - energy).nan_to_num(-torch.inf), there)

    def _latent(self, z, component):
        """Log-density to move under (M,), its gradient (M, D), and the state (M, D) that latent rows stand for."""
        z = z.detach().requires_grad_()
        log_base, x, log_own = self._from_latent(z, component)
        log_p, log_joint = self.log_density(x), self._log_joint(x, component, log_own)
        value = log_base + log_p - log_joint.logsumexp(1)
        (slope,) = torch.autograd.grad(value.sum(), z)
        state = _State(x.detach(), log_p.detach(), log_joint.detach())
        return value.detach(), torch.where(slope.isfinite(), slope, 0.0), state

    def _from_latent(self, z, component):
        """Of latent rows of one component each: log-density of the base, rows, and their log-density there.

        A component's rows are gathered, so that its flow is asked for no others, but for what fills up the batch.
        """
        mine = one_hot(component, self.mixture.n_components)
        place = component, mine.cumsum(0)[mine.bool()] - 1
        gathered = z.new_zeros(mine.shape[1], int(mine.sum(0).max()), z.shape[1]).index_put(place, z)
        x, log_prob = self.mixture.from_latent(gathered)
        return self.mixture.base.log_prob(gathered)[place], x[place], log_prob[place]

    def _log_joint(self, x, component, log_own):
        """Log-density of the mixture with each component, the one of a row's own being known: (M, K)."""
        log_own = log_own[:, None] + self.mixture.log_weights()[0, component, None]
        if self.mixture.n_components == 1:
            return log_own
        mine = one_hot(component, self.mixture.n_components).bool()
        return torch.where(mine, log_own, self.mixture.restart_log_joint(x, ~mine[None])[0])

    def adapt(self, acceptance):
        """Make the moves' steps longer where more than enough are accepted, or else shorter."""
        self.step_size *= float(np.exp(_ADAPTATION * (acceptance - _WANTED_ACCEPTANCE)))
