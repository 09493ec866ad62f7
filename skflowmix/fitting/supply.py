"""What training gets: rows as tensors, in batches with noise, and those that are held out."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from ..bridge import device_of_rows, resolve_device, seeded_generator
from ..training import RowBatches, Rows
from .rows import nearest_neighbors

_FULL_BATCH = 512
_SMALL_BATCH, _LARGE_BATCH = 256, 1024
_NEIGHBOR_NOISE = 0.5


@dataclass(frozen=True)
class Supply:
    """What a fit learns from.

    Attributes
    ----------
    batches : RowBatches
    validation : Rows, or None
        What is held out.
    device : torch.device
        Where the mixture is.
    """

    batches: RowBatches
    validation: Rows | None
    device: torch.device


def make_supply(X, data, parts, resp, plan, settings, random_state):
    """Rows of a training set as training gets them.

    Parameters
    ----------
    X : ndarray of shape (N, D)
        Standardised.
    data : TrainingSet
    parts : pair of int ndarray
        Rows to learn from, and rows to hold out.
    resp : ndarray of shape (N, R, K), or None
        First responsibilities.
    plan : Plan
    settings : Settings
    random_state : RandomState

    Returns
    -------
    Supply
    """
    training, validation = parts
    rows, device = _to_rows(X, data, resp, plan, settings), resolve_device(settings.device)
    # Pruning begins new flows with all rows at once.
    home = device if settings.prunes else device_of_rows(rows.nbytes, device)
    rows = rows.each(lambda column: column.to(home))
    neighbors, neighbor_scale = nearest_neighbors(X[training], data.codes[training], random_state)
    batches = RowBatches(
        rows[training],
        _batch_size(settings, len(training)),
        noise=float(np.sqrt(settings.reg_covar)),
        neighbors=torch.as_tensor(neighbors, device=home),
        neighbor_noise=_NEIGHBOR_NOISE * neighbor_scale,
        generator=seeded_generator(random_state.randint(np.iinfo(np.int32).max), home),
    )
    return Supply(batches, rows[validation] if len(validation) else None, device)


def _to_rows(X, data, resp, plan, settings):
    dtype, allowed = getattr(torch, settings.dtype), None
    if len(data.classes):
        component_class = plan.component_class[plan.slots]
        allowed = torch.as_tensor((data.codes[:, None] == component_class) | (data.codes[:, None] < 0))
    return Rows(
        torch.as_tensor(X).to(dtype),
        torch.as_tensor(data.weight / data.weight.mean()).to(dtype),
        allowed,
        None if resp is None else torch.as_tensor(resp).to(dtype),
    )


def _batch_size(settings, n_rows):
    if settings.batch_size != "auto":
        return settings.batch_size
    return n_rows if n_rows <= _FULL_BATCH else min(max(_SMALL_BATCH, n_rows // 32), _LARGE_BATCH)
