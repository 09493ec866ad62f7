"""Batches of rows for autoencoders, with the noise of their latent places."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch

from ..training.batches import _Tensors

_FEWEST_STEPS = 10
_ROWS_AT_ONCE = 1024


@dataclass(frozen=True)
class Observed(_Tensors):
    """Rows, and the noise of S latent places for each; see `training.protocols.Batch`.

    Attributes
    ----------
    x : Tensor of shape (N, D)
    noise : Tensor of shape (N, S, M)
    condition : Tensor of shape (N, H), or None
        What else is known of each row.
    """

    x: torch.Tensor
    noise: torch.Tensor
    condition: torch.Tensor | None = None

    @property
    def weight(self):
        """Ones (N,)."""
        return self.x.new_ones(len(self.x))

    def chunks(self, model):
        """Parts on the model's device, of fewer rows the more draws each has."""
        size, device = max(_ROWS_AT_ONCE // self.noise.shape[1], 1), next(model.parameters()).device
        return (self[start : start + size].to(device) for start in range(0, len(self), size))


def binarized(x, generator):
    """Ones with the probabilities x, else zeros, a Tensor of the shape of x."""
    return (torch.rand(x.shape, generator=generator, dtype=x.dtype, device=x.device) < x).to(x.dtype)


def draw_noise(x, n_draws, n_noise, generator):
    """Standard normal numbers for rows (N, D), Tensor of shape (N, n_draws, n_noise)."""
    return torch.randn(len(x), n_draws, n_noise, generator=generator, dtype=x.dtype, device=x.device)


@dataclass(frozen=True)
class ObservedBatches:
    """Batches of rows, drawn without replacement; see `training.protocols.Source`.

    An iteration is a pass over the rows, several of few rows. What is left over in a pass waits for the next one.

    Attributes
    ----------
    x : Tensor of shape (N, D)
    n_draws, n_noise : int
        Shape of the noise of each row.
    most : int
        Rows of a batch, or all where there are fewer.
    binarizes : bool
        Whether rows are probabilities of ones, which are drawn anew for every batch.
    generator : torch.Generator
        On the device of the rows.
    """

    x: torch.Tensor
    n_draws: int
    n_noise: int
    most: int
    binarizes: bool
    generator: torch.Generator

    everything = None

    def open(self, model, objective) -> Callable[[int], Iterator[Observed]]:
        """What gives the batches of an iteration."""
        device = next(model.parameters()).device
        return lambda iteration: (self.batch(index).to(device) for index in self.indices())

    def indices(self):
        """Of the rows of each batch of an iteration, int Tensors."""
        size = min(self.most, len(self.x))
        n_batches = len(self.x) // size
        for _ in range(math.ceil(_FEWEST_STEPS / n_batches)):
            order = torch.randperm(len(self.x), generator=self.generator, device=self.x.device)
            yield from order[: n_batches * size].view(n_batches, size)

    def batch(self, index):
        """The rows of some indices, with new noise."""
        x = self.x.index_select(0, index)
        if self.binarizes:
            x = binarized(x, self.generator)
        return Observed(x, draw_noise(x, self.n_draws, self.n_noise, self.generator))
