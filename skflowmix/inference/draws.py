"""Draws of a fitted posterior: its own, by weights, or by Markov chains."""

from collections.abc import Callable

import numpy as np
import torch

from ..bridge import seeded_generator
from .approximation import Seen
from .importance import pareto_smoothed, resampled
from .markov import how_many_chains, run_chains

_CANDIDATES_PER_DRAW = 10
_FEWEST_CANDIDATES = 1000


def _flow(approximation, target, n_samples, random_state):
    """Draws of the mixture, or the ends of chains behind it."""
    return approximation.draw(n_samples, _seed(random_state), target), None


def _resample(approximation, target, n_samples, random_state):
    """Draws of the target, as well as smoothed weights of ten times as many draws of the mixture know it."""
    theta = _resampled(
        approximation, target, max(_CANDIDATES_PER_DRAW * n_samples, _FEWEST_CANDIDATES), n_samples, random_state
    )
    return theta, None


def _mcmc(approximation, target, n_samples, random_state):
    """States of chains that start at resampled draws, thinned at random; and the chains."""
    n_chains = how_many_chains(n_samples)
    start = _resampled(approximation, target, _FEWEST_CANDIDATES, n_chains, random_state)
    u, _ = approximation.coordinates.from_theta(torch.as_tensor(start).to(approximation.mixture.logits))
    generator = seeded_generator(_seed(random_state), u.device)
    seen = Seen(target, approximation.coordinates)
    chains = run_chains(approximation.mixture, seen, u, -(-n_samples // n_chains), generator=generator)
    states = chains.states.reshape(-1, u.shape[1])
    states = states[random_state.permutation(len(states))[:n_samples]]
    theta, _ = approximation.coordinates.to_theta(torch.as_tensor(states).to(u))
    return theta.cpu().numpy(), chains


METHODS: dict[str, Callable] = {"flow": _flow, "resample": _resample, "mcmc": _mcmc}
"""``method(approximation, target, n_samples, random_state) -> (ndarray of shape (n_samples, D), Chains or None)``."""


def _resampled(approximation, target, n_candidates, n_samples, random_state):
    theta, log_weight = approximation.weighted_draws(n_candidates, target, _seed(random_state))
    return theta[resampled(pareto_smoothed(log_weight)[0], n_samples, random_state)]


def _seed(random_state):
    return random_state.randint(np.iinfo(np.int32).max)
