"""Batches to learn from: of rows with noise on them, or of noise alone."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import torch

from ..modules.workload import rows_at_once
from .relevance import Relevance

_MIN_STEPS_PER_ITERATION = 10
_MAX_ROWS_PER_ITERATION = 40 * 1024


@dataclass(frozen=True)
class _Tensors:
    """Tensors with a common leading axis, but the first of which may be None; see `protocols.Batch`."""

    def __len__(self):
        return len(next(iter(vars(self).values())))

    def __getitem__(self, index):
        return self.each(lambda column: column[index])

    def each(self, function):
        """The same with a function applied to each of the tensors."""
        return replace(self, **{name: function(column) for name, column in vars(self).items() if column is not None})

    @property
    def nbytes(self):
        return sum(column.nbytes for column in vars(self).values() if column is not None)

    def to(self, device):
        """The same on a device; copies to a GPU come from pinned memory, so that nobody waits for them."""
        columns = [column for column in vars(self).values() if column is not None]
        if columns[0].device == device:
            return self
        pinned = self.each(torch.Tensor.pin_memory) if device.type == "cuda" else self
        return pinned.each(lambda column: column.to(device, non_blocking=True))

    def chunks(self, model):
        """Parts on the model's device, as large as it should evaluate at once."""
        size, device = rows_at_once(model), next(model.parameters()).device
        return (self[start : start + size].to(device) for start in range(0, len(self), size))


@dataclass(frozen=True)
class Rows(_Tensors):
    """Rows to learn from, on the device of the mixture or, where it has no room for them, on the CPU.

    They are the same for all R restarts, or else `x`, `weight`, `allowed` and `view` have each restart's own, as many
    for each, on a second axis of length R.

    Attributes
    ----------
    x : Tensor of shape (N, D) or (N, R, D)
    weight : Tensor of shape (N,) or (N, R)
        Positive, with mean one.
    allowed : bool Tensor of shape (N, K) or (N, R, K), or None
        Components that each row's label allows.
    resp : Tensor of shape (N, R, K), or None
        Responsibilities of the components for the rows, where a loss takes them as given.
    view : Tensor of shape (N, D) or (N, R, D), or None
        The rows with other noise, where a loss compares the two.
    relevant : bool Tensor of shape (N, R, K), or None
        Components that a loss should take into account, all of them by default.
    """

    x: torch.Tensor
    weight: torch.Tensor
    allowed: torch.Tensor | None = None
    resp: torch.Tensor | None = None
    view: torch.Tensor | None = None
    relevant: torch.Tensor | None = None

    @property
    def restart_x(self):
        """`x` as mixtures take it, (N, D) or (R, N, D)."""
        return _restarts_first(self.x, 2)

    @property
    def restart_view(self):
        """`view` as mixtures take it, (N, D) or (R, N, D)."""
        return _restarts_first(self.view, 2)

    @property
    def restart_weight(self):
        """`weight` as losses take it, (N,) or (R, N)."""
        return _restarts_first(self.weight, 1)

    @property
    def restart_allowed(self):
        """`allowed` as losses take it, (N, K) or (R, N, K)."""
        return _restarts_first(self.allowed, 2)

    def of_restarts(self, first, last):
        """The rows of some restarts, which have the same ones."""
        own = self.x.ndim == 3
        resp = None if self.resp is None else self.resp[:, first:last]
        if not own:
            return replace(self, resp=resp)
        allowed = None if self.allowed is None else self.allowed[:, first]
        return replace(self, x=self.x[:, first], weight=self.weight[:, first], allowed=allowed, resp=resp)

    def of_components(self, components):
        """The same rows for a mixture of some of the components, as they are without a start."""
        allowed = None if self.allowed is None else self.allowed[..., components]
        return Rows(self.x, self.weight, allowed)


def _restarts_first(column, n_axes):
    """A column that has so many axes where restarts share it, with the axis of restarts first where they do not."""
    return column if column is None or column.ndim == n_axes else column.transpose(0, 1)


@dataclass(frozen=True)
class Demands:
    """What an objective asks of batches of rows beside the rows.

    Attributes
    ----------
    view : bool
        A second draw of the noise on each row.
    relevance : bool
        Which components matter to each row, where steps may leave the others out.
    """

    view: bool = False
    relevance: bool = False


@dataclass(frozen=True)
class RowBatches:
    """Batches of rows, drawn without replacement until all have been drawn, with noise; see `protocols.Source`.

    An iteration is a pass over the rows, several on small data, or over 40,960 of many rows.

    Attributes
    ----------
    rows : Rows
    most : int
        Rows of a batch, or all where there are fewer; what is left over in a pass waits for the next one.
    noise : float, or Tensor of shape (D,)
        Standard deviation of the normal noise that is added to the rows of every step. Scales of the fitted
        density cannot fall much below it.
    neighbors : int Tensor of shape (N, M) or (N, R, M), or None
        Indices of each row's neighbours among the rows of its restart.
    neighbor_noise : float
        Standard deviation of another noise: the part of the way to one of its neighbours, drawn anew, that a row
        is moved in every step.
    own_noise : Tensor of shape (N, D) or (N, R, D), or None
        Standard deviation of normal noise that each row has of its own in each feature, in addition.
    generator : torch.Generator, or None
        On the device of the rows; orders them and draws the noise.
    """

    rows: Rows
    most: int = 256
    noise: float | torch.Tensor = 0.0
    neighbors: torch.Tensor | None = None
    neighbor_noise: float = 0.0
    own_noise: torch.Tensor | None = None
    generator: torch.Generator | None = None

    @property
    def batch_size(self) -> int:
        return min(self.most, len(self.rows))

    @property
    def everything(self) -> Rows:
        return self.rows

    def open(self, model, objective) -> Callable[[int], Iterator[Rows]]:
        """What gives the batches of an iteration, which has what the objective demands."""
        demands, device = objective.demands(model), next(model.parameters()).device
        relevance = Relevance(model, self.rows) if demands.relevance else None

        def of_iteration(iteration):
            for index in self._indices(relevance, iteration):
                yield self._batch(index, demands.view, relevance).to(device)

        return of_iteration

    def _indices(self, relevance, iteration):
        """Of the rows of each batch, int Tensor of shape (batch_size,)."""
        size = self.batch_size
        n_batches = max(min(len(self.rows), _MAX_ROWS_PER_ITERATION) // size, 1)
        for _ in range(math.ceil(_MIN_STEPS_PER_ITERATION / n_batches)):
            order = torch.randperm(len(self.rows), generator=self.generator, device=self.rows.x.device)
            order = order[: n_batches * size]
            if relevance is not None:
                relevance.renew(order, iteration)
            yield from order.view(n_batches, size)

    def _batch(self, index, with_view, relevance):
        batch = self.rows.each(lambda column: column.index_select(0, index))
        view = self._add_noise(batch.x, index) if with_view else None
        relevant = None if relevance is None else relevance.relevant[index]
        return replace(batch, x=self._add_noise(batch.x, index), view=view, relevant=relevant)

    def _add_noise(self, x, index):
        """Blur rows, so that no structure is learned that is finer than the distances between them."""
        noisy = x + self.noise * self._draw(x.shape)
        if self.neighbors is not None:
            way = self._a_neighbor(self.neighbors, index) - x
            noisy = noisy + self.neighbor_noise * self._draw((*x.shape[:-1], 1)) * way
        if self.own_noise is not None:
            noisy = noisy + self.own_noise.index_select(0, index) * self._draw(x.shape)
        return noisy

    def _a_neighbor(self, neighbors, index):
        """One of each row's neighbours, Tensor of shape (B, D) or (B, R, D)."""
        shape, device = neighbors[index].shape, self.rows.x.device
        column = torch.randint(shape[-1], shape[:-1], generator=self.generator, device=device)
        if len(shape) == 2:
            return self.rows.x.index_select(0, neighbors[index, column])
        restart = torch.arange(shape[1], device=device)
        return self.rows.x[neighbors[index[:, None], restart, column], restart]

    def _draw(self, shape):
        return torch.randn(shape, generator=self.generator, dtype=self.rows.x.dtype, device=self.rows.x.device)


@dataclass(frozen=True)
class Noise(_Tensors):
    """Latent draws, of which a model makes what it learns from.

    Attributes
    ----------
    z : Tensor of shape (N, C, D)
        N draws for each of C components.
    """

    z: torch.Tensor

    @property
    def weight(self):
        """Ones (N,)."""
        return self.z.new_ones(len(self.z))


@dataclass(frozen=True)
class NoiseBatches:
    """Batches of latent draws, new ones in every step; see `protocols.Source`.

    Attributes
    ----------
    draw : callable
        ``draw(n) -> Tensor`` of shape (n, C, D), on the device of the model.
    batch_size : int
        Draws of a step.
    n_steps : int
        Steps of an iteration.
    """

    draw: Callable[[int], torch.Tensor]
    batch_size: int = 64
    n_steps: int = 50

    everything = None

    def open(self, model, objective) -> Callable[[int], Iterator[Noise]]:
        """What gives the batches of an iteration."""
        return lambda iteration: (Noise(self.draw(self.batch_size)) for _ in range(self.n_steps))
