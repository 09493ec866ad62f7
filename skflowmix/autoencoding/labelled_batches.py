"""Batches of rows some of which have labels, each with its share of both."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch

from ..training.batches import _Tensors
from .batches import binarized, draw_noise

_FEWEST_STEPS = 10
_ROWS_AT_ONCE = 4096
_LEAST_SHARE = 0.25


@dataclass(frozen=True)
class LabelledRows(_Tensors):
    """Rows, the noise of S styles for each, and codes of classes; see `training.protocols.Batch`.

    Attributes
    ----------
    x : Tensor of shape (N, D)
    noise : Tensor of shape (N, S, M)
    codes : int Tensor of shape (N,)
        -1 for rows without a label.
    weight : Tensor of shape (N,)
    guess : int Tensor of shape (N,)
        Codes of classes that labels nearby suggest, -1 for none.
    """

    x: torch.Tensor
    noise: torch.Tensor
    codes: torch.Tensor
    weight: torch.Tensor
    guess: torch.Tensor

    def chunks(self, model):
        """Parts on the model's device, of fewer rows the more draws and classes there are."""
        size = max(_ROWS_AT_ONCE // (self.noise.shape[1] * model.n_classes), 1)
        device = next(model.parameters()).device
        return (self[start : start + size].to(device) for start in range(0, len(self), size))


@dataclass(frozen=True)
class LabelledBatches:
    """Batches that hold labelled rows, and others where there are any; see `training.protocols.Source`.

    At least a quarter of a batch are labelled rows, but no more than there are. Weights make up for that, so that the
    mean over batches is the mean over rows. An iteration is a pass over the rows of both kinds, the fewer ones coming
    several times.

    Attributes
    ----------
    x : Tensor of shape (N, D)
    codes : int Tensor of shape (N,)
    weight : Tensor of shape (N,)
    guess : int Tensor of shape (N,)
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
    codes: torch.Tensor
    weight: torch.Tensor
    guess: torch.Tensor
    n_draws: int
    n_noise: int
    most: int
    binarizes: bool
    generator: torch.Generator

    everything = None

    def open(self, model, objective) -> Callable[[int], Iterator[LabelledRows]]:
        """What gives the batches of an iteration."""
        device = next(model.parameters()).device
        kinds = [kind for kind in ((self.codes >= 0).nonzero()[:, 0], (self.codes < 0).nonzero()[:, 0]) if len(kind)]
        sizes = self._sizes([len(kind) for kind in kinds])
        n_steps = max(max(len(kind) // size for kind, size in zip(kinds, sizes, strict=True)), _FEWEST_STEPS)
        factors = [
            torch.full((size,), len(kind) / len(self.x) * sum(sizes) / size, dtype=self.x.dtype, device=self.x.device)
            for kind, size in zip(kinds, sizes, strict=True)
        ]
        factor = torch.cat(factors)

        def of_iteration(iteration):
            orders = [self._order(kind, n_steps * size) for kind, size in zip(kinds, sizes, strict=True)]
            for step in range(n_steps):
                index = torch.cat([order[step * n : (step + 1) * n] for order, n in zip(orders, sizes, strict=True)])
                yield self._batch(index, factor).to(device)

        return of_iteration

    def _sizes(self, counts):
        """Rows of each kind in a batch."""
        size = min(self.most, len(self.x))
        if len(counts) == 1:
            return [size]
        size, n_known = max(size, 2), counts[0]
        share = round(size * n_known / len(self.x))
        n_labelled = min(max(share, min(math.ceil(_LEAST_SHARE * size), n_known)), size - 1)
        return [n_labelled, size - n_labelled]

    def _order(self, kind, n):
        """Rows of a kind, one pass after another until there are n."""
        n_passes = -(-n // len(kind))
        passes = [
            kind[torch.randperm(len(kind), generator=self.generator, device=kind.device)] for _ in range(n_passes)
        ]
        return torch.cat(passes)[:n]

    def _batch(self, index, factor):
        x = self.x.index_select(0, index)
        if self.binarizes:
            x = binarized(x, self.generator)
        noise = draw_noise(x, self.n_draws, self.n_noise, self.generator)
        return LabelledRows(x, noise, self.codes[index], self.weight[index] * factor, self.guess[index])
