"""Draws of a fitted posterior: its own, by weights, or by Markov chains."""

from collections.abc import Callable

import numpy as np
import torch

from ..bridge import seeded_generator
from .fitted import Seen
from .importance import pareto_smoothed, resampled
from .markov import N_CHAINS, run_chains

_CANDIDATES_PER_DRAW = 10
_FEWEST_CANDIDATES = 1000


def _flow(fitted, target, n_samples, random_state):
    """Draws of the mixture."""
    return fitted.draw(n_samples, _seed(random_state)), None


def _resample(fitted, target, n_samples, random_state):
    """Draws of the target, as well as smoothed weights of ten times as many draws of the mixture know it."""
    theta = _resampled(
        fitted, target, max(_CANDIDATES_PER_DRAW * n_samples, _FEWEST_CANDIDATES), n_samples, random_state
    )
    return theta, None


def _mcmc(fitted, target, n_samples, random_state):
    """States of chains that start at resampled draws, thinned at random; and the chains."""
    start = _resampled(fitted, target, _FEWEST_CANDIDATES, N_CHAINS, random_state)
    u, _ = fitted.coordinates.from_theta(torch.as_tensor(start).to(fitted.mixture.logits))
    generator = seeded_generator(_seed(random_state), u.device)
    seen = Seen(target, fitted.coordinates)
    chains = run_chains(fitted.mixture, seen, u, -(-n_samples // N_CHAINS), generator=generator)
    states = chains.states.reshape(-1, u.shape[1])
    states = states[random_state.permutation(len(states))[:n_samples]]
    theta, _ = fitted.coordinates.to_theta(torch.as_tensor(states).to(u))
    return theta.cpu().numpy(), chains


METHODS: dict[str, Callable] = {"flow": _flow, "resample": _resample, "mcmc": _mcmc}
"""``method(fitted, target, n_samples, random_state) -> (ndarray of shape (n_samples, D), Chains or None)``."""


def _resampled(fitted, target, n_candidates, n_samples, random_state):
    theta, log_weight = fitted.weighted_draws(n_candidates, target, _seed(random_state))
    return theta[resampled(pareto_smoothed(log_weight)[0], n_samples, random_state)]


def _seed(random_state):
    return random_state.randint(np.iinfo(np.int32).max)
