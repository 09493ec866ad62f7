"""Chains behind a mixture: where they begin, and the bound by which both are learned together."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import nn

from ..bridge import seeded_generator
from ..modules import Chain, Hamiltonian, OverRelaxation, OverRelaxed
from .approximation import Seen
from .objective import ReverseDivergence, log_density_of_draws

_FIRST_STEP = 0.5


class ExtendedMixture(nn.Module):
    """A mixture whose draws go on by a chain, which all components share; see `training.Model`.

    Parameters
    ----------
    mixture : FlowMixture
        Of one restart.
    chain : Chain
    """

    n_restarts = 1

    def __init__(self, mixture, chain):
        super().__init__()
        self.mixture, self.chain = mixture, chain

    @property
    def n_components(self):
        return self.mixture.n_components


@dataclass(frozen=True)
class ExtendedDivergence(ReverseDivergence):
    """Loss of latent draws and the noise of chains, which is the last part of each: log q - log r - log p of chains.

    Draws that end where the target is nil are pushed away by the mixture alone.
    """

    log_density: Seen

    def __call__(self, model, batch, progress=1.0):
        """Loss (1, N), in nats; see `training.Objective`."""
        mixture, chain = model.mixture, model.chain
        noise = batch.z.transpose(0, 1)
        of_base, of_chain = noise.split([noise.shape[2] - chain.n_noise, chain.n_noise], 2)
        x = mixture.restart_place(mixture.base.from_noise(of_base))
        log_q = log_density_of_draws(mixture, x)
        end, log_ratio = chain(x.flatten(0, 2), of_chain.flatten(0, 1), self.log_density.slope)
        log_q = log_q - log_ratio.view(log_q.shape)
        return self.of_draws(mixture, x, log_q, self.log_density(end), progress)


def _hamiltonian(settings, components, log_weight, seed):
    """Steps are half a deviation of the narrowest component at first, however many, so that more of them lead on."""
    narrowest = torch.linalg.svdvals(components.cholesky).min().item()
    generator = seeded_generator(seed, "cpu")
    how = {"hidden_layer_sizes": tuple(settings.hidden_layer_sizes), "generator": generator}
    sizes = components.mean.shape[1], settings.n_leapfrog_steps, _FIRST_STEP * narrowest
    return [Hamiltonian(*sizes, **how) for _ in range(settings.n_transitions)]


def _over_relaxed(settings, components, log_weight, seed):
    """The Gaussian has the moments of the components together."""
    weight = log_weight.exp()[:, None]
    mean = (weight * components.mean).sum(0)
    arms = torch.cat([components.cholesky, (components.mean - mean)[:, :, None]], 2)
    relaxation = OverRelaxation(mean.cpu(), (weight[:, :, None] * arms @ arms.mT).sum(0).cpu())
    return [OverRelaxed(relaxation) for _ in range(settings.n_transitions)]


TRANSITIONS: dict[str, Callable] = {"hamiltonian": _hamiltonian, "over-relaxed": _over_relaxed}
"""``make(settings, components, log_weight, seed) -> list of transitions``."""


def new_chain(settings, start, seed, device):
    """The transitions that settings ask for, fit for the Gaussians of a start; None where they ask for none."""
    if settings.transition is None:
        return None
    transitions = TRANSITIONS[settings.transition](settings, start.components, start.log_weight, seed)
    return Chain(transitions).to(device, getattr(torch, settings.dtype))
