r"""Amortised inference: a density of theta for every x, learned from simulated pairs.

Of pairs from :math:`p(\theta) p(x \mid \theta)` the mean of :math:`-\log q(\theta \mid x)` is, but for a constant, the
divergence of q from the posterior, in the mean over all x (Papamakarios and Murray, 2016, Fast epsilon-free inference
of simulation models with Bayesian conditional density estimation, arXiv:1605.06376). No likelihood is asked for.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch

from ..modules.conditional import ConditionalFlowMixture
from .batches import _Tensors
from .loop import QUIET, TrainingOptions, train

_FEWEST_STEPS = 10


@dataclass(frozen=True)
class Pairs(_Tensors):
    """Draws of theta, and what was observed with each.

    Attributes
    ----------
    theta : Tensor of shape (N, D)
    context : Tensor of shape (N, H)
    """

    theta: torch.Tensor
    context: torch.Tensor

    @property
    def weight(self):
        """Ones (N,)."""
        return self.theta.new_ones(len(self.theta))


@dataclass(frozen=True)
class PairBatches:
    """Batches of pairs, drawn without replacement; an iteration is a pass over them, or several of few pairs.

    Attributes
    ----------
    pairs : Pairs
    batch_size : int
    generator : torch.Generator
        On the CPU; orders the pairs.
    """

    pairs: Pairs
    batch_size: int
    generator: torch.Generator

    everything = None

    def open(self, model, objective) -> Callable[[int], Iterator[Pairs]]:
        """What gives the batches of an iteration, counted from one."""
        return self._of_iteration

    def _of_iteration(self, iteration):
        size = min(self.batch_size, len(self.pairs))
        n_batches = len(self.pairs) // size
        for _ in range(math.ceil(_FEWEST_STEPS / n_batches)):
            order = torch.randperm(len(self.pairs), generator=self.generator).to(self.pairs.theta.device)
            for index in order[: n_batches * size].view(n_batches, size):
                yield self.pairs[index]


@dataclass(frozen=True)
class ForwardDivergence:
    """Minus the log-density of each theta given its context."""

    is_scored_in_full = True

    def __call__(self, model, pairs, progress=1.0):
        """Loss (1, N), in nats; see `protocols.Objective`."""
        return -model.log_prob(pairs.theta, pairs.context)[None]


def fit_conditional(
    theta,
    context,
    *,
    n_components=1,
    flow="nsf-ar",
    n_layers=4,
    hidden_layer_sizes=(64, 64),
    max_iter=200,
    batch_size=256,
    learning_rate=2e-3,
    validation_fraction=0.1,
    n_iter_no_change=10,
    tol=1e-3,
    generator=None,
    report=QUIET,
):
    """Fit a conditional mixture of flows to pairs, stopping by pairs that are held out.

    Parameters
    ----------
    theta : Tensor of shape (N, D)
        Draws of the prior.
    context : Tensor of shape (N, H)
        What was simulated with each of them, or summaries of it.
    n_components : int, default=1
    flow : {"maf", "nsf-ar"}, default="nsf-ar"
    n_layers : int, default=4
    hidden_layer_sizes : tuple of int, default=(64, 64)
        These four as of `ConditionalFlowMixture`.
    max_iter : int, default=200
        Most passes over the pairs.
    batch_size : int, default=256
    learning_rate, n_iter_no_change, tol
        As of `TrainingOptions`; what counts is the mean log-density of the pairs that are held out, theta being
        standardised.
    validation_fraction : float, default=0.1
    generator : torch.Generator, default=None
        On the CPU; decides weights, held-out pairs and batches. None takes a new one.
    report : Report, default=QUIET

    Returns
    -------
    model : ConditionalFlowMixture
        In the type and on the device of `theta`; ``model.sample(n_samples, context)``, ``model.log_prob(theta,
        context)``.
    history : History

    Raises
    ------
    ValueError
        If pairs are not two tables of as many finite rows, or too few to hold some out.

    Examples
    --------
    >>> import torch
    >>> from skflowmix.training import fit_conditional
    >>> generator = torch.Generator().manual_seed(0)
    >>> theta = torch.randn(500, 1, generator=generator)
    >>> x = theta + torch.randn(500, 1, generator=generator)
    >>> model, history = fit_conditional(theta, x, flow="maf", n_layers=1, max_iter=5, generator=generator)
    >>> model.sample(100, torch.tensor([[1.0], [2.0]])).shape
    torch.Size([2, 100, 1])
    """
    _check_pairs(theta, context, validation_fraction)
    if generator is None:
        generator = torch.Generator()
        generator.seed()
    sizes = {"flow": flow, "n_layers": n_layers, "hidden_layer_sizes": tuple(hidden_layer_sizes)}
    model = ConditionalFlowMixture(n_components, theta.shape[1], context.shape[1], **sizes, generator=generator)
    model.to(theta)
    order = torch.randperm(len(theta), generator=generator).to(theta.device)
    pairs = Pairs(theta.detach(), context.detach().to(theta))[order]
    n_held_out = max(int(validation_fraction * len(theta)), 1)
    held_out, rest = pairs[:n_held_out], pairs[n_held_out:]
    model.standardize(rest.theta, rest.context)
    options = TrainingOptions(
        max_iter=max_iter, learning_rate=learning_rate, n_iter_no_change=n_iter_no_change, tol=tol
    )
    source = PairBatches(rest, batch_size, generator)
    *_, history = train(model, source, options, objective=ForwardDivergence(), validation=held_out, report=report)
    return model, history


def _check_pairs(theta, context, validation_fraction):
    for name, rows in (("theta", theta), ("context", context)):
        if rows.ndim != 2 or not rows.is_floating_point() or not rows.isfinite().all():
            raise ValueError(f"{name} must be a table of finite numbers, a Tensor of shape (N, number of features).")
    if len(theta) != len(context):
        raise ValueError(f"theta and context must have as many rows; got {len(theta)} and {len(context)}.")
    if not 0 < validation_fraction < 1:
        raise ValueError(f"validation_fraction must be between 0 and 1; got {validation_fraction!r}.")
    if len(theta) < 4:
        raise ValueError(f"Of {len(theta)} pairs none can be held out; at least 4 are required.")
