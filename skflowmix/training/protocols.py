"""What the training loop asks of a model, of an objective and of where its batches come from.

`train` knows no mixtures and no rows. Whatever meets these three contracts can be trained, its restarts side by side.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Protocol

import torch


class Model(Protocol):
    """What has parameters in rows of restarts; a torch module, but for `n_restarts`.

    Every trainable parameter, and every buffer that a state dictionary holds, leads with an axis of R times any number,
    restart by restart; those of a model of one restart may have any shape. No restart's output depends on another's
    parameters. `modules.FlowMixture` is one.
    """

    training: bool

    @property
    def n_restarts(self) -> int:
        """Number R of restarts."""

    def parameters(self) -> Iterator[torch.nn.Parameter]:
        """As of `torch.nn.Module`, and so are the following."""

    def named_buffers(self) -> Iterator[tuple[str, torch.Tensor]]: ...

    def state_dict(self) -> dict[str, torch.Tensor]: ...

    def train(self, mode: bool = True) -> Model: ...

    def eval(self) -> Model: ...


class Batch(Protocol):
    """What a loss is computed of: some tensors with a common leading axis N, a frozen dataclass of theirs or None.

    `batches.Rows` is one, `batches.Noise` another.
    """

    @property
    def weight(self) -> torch.Tensor:
        """Positive numbers (N,), by which a mean over the batch is weighted; the loss contains them already."""

    def __len__(self) -> int:
        """N."""

    def each(self, function: Callable[[torch.Tensor], torch.Tensor]) -> Batch:
        """The batch with a function applied to each of its tensors."""

    def chunks(self, model: Model) -> Iterable[Batch]:
        """The batch in parts that the model should evaluate together, on the model's device."""


class Objective(Protocol):
    """What is minimised: ``objective(model, batch, progress) -> loss``.

    Attributes
    ----------
    is_scored_in_full : bool
        Whether the loss of batches that are held out has all the terms that the loss of training batches has. If not,
        scores of different `progress` cannot be compared.
    """

    @property
    def is_scored_in_full(self) -> bool: ...

    def __call__(self, model, batch, progress: float = 1.0) -> torch.Tensor:
        """Loss of each restart and member of the batch, Tensor of shape (R, N), in nats.

        `progress` goes from 0 to 1 over the first iterations of a fit, for terms that come in gradually; scores are
        computed at 1.
        """


class Source(Protocol):
    """Where the batches of steps come from: rows, or noise.

    Attributes
    ----------
    everything : Batch or None
        What the batches are drawn from, which tells the start's score where nothing is held out; None of noise.
    """

    @property
    def everything(self) -> Batch | None: ...

    def open(self, model, objective) -> Callable[[int], Iterable[Batch]]:
        """What gives the batches of an iteration, counted from one, on the model's device, for one run of `train`."""
