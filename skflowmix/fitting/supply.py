"""What training gets: rows as tensors, in batches with noise, and those that are held out."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch

from ..bridge import device_of_rows, resolve_device, seeded_generator
from ..training import RowBatches, Rows
from .plan import codes_of_components
from .row_noise import independent_share, own_noise
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
    n_members : int
        How many fits learn side by side, each from rows of its own where there are several.
    """

    batches: RowBatches
    validation: Rows | None
    device: torch.device
    n_members: int = 1

    def of_member(self, index, n_restarts):
        """What one of the fits learns from, of so many restarts each."""
        if self.n_members == 1:
            return self
        batches, restarts = self.batches, (index * n_restarts, (index + 1) * n_restarts)
        neighbors, noise = (
            None if column is None else column[:, restarts[0]] for column in (batches.neighbors, batches.own_noise)
        )
        own = replace(batches, rows=batches.rows.of_restarts(*restarts), neighbors=neighbors, own_noise=noise)
        validation = None if self.validation is None else self.validation.of_restarts(*restarts)
        return Supply(own, validation, self.device)


def make_supply(X, data, splits, resp, plan, settings, recipe, random_state):
    """Rows of a training set as training gets them.

    Parameters
    ----------
    X : ndarray of shape (N, D)
        Standardised.
    data : TrainingSet
    splits : list of (int ndarray, int ndarray)
        For each fit rows to learn from, and rows to hold out.
    resp : ndarray of shape (N, R, K), or None
        First responsibilities.
    plan : Plan
    settings : Settings
    recipe : Recipe
    random_state : RandomState

    Returns
    -------
    Supply
    """
    rows, device = _to_rows(X, data, resp, plan, settings), resolve_device(settings.device)
    # Pruning begins new flows with all rows at once.
    home = device if settings.prunes else device_of_rows(len(splits) * rows.nbytes, device)
    rows = rows.each(lambda column: column.to(home))
    found = [nearest_neighbors(X[training], data.codes[training], random_state) for training, _ in splits]
    neighbors, scales = zip(*found, strict=True)
    share = independent_share(X[splits[0][0]], random_state) if recipe.shrinks_noise else 0.0
    batches = RowBatches(
        _side_by_side(rows, [training for training, _ in splits], settings.n_init),
        _batch_size(settings, len(splits[0][0])),
        noise=_noise(settings, plan, rows.x),
        neighbors=_stack([torch.as_tensor(of_split, device=home) for of_split in neighbors], settings.n_init),
        neighbor_noise=_NEIGHBOR_NOISE * scales[0] * (1 - share) ** 0.5,
        own_noise=_own_noise(X, splits, neighbors, _NEIGHBOR_NOISE * scales[0] * share**0.5, rows.x, settings),
        generator=seeded_generator(random_state.randint(np.iinfo(np.int32).max), home),
    )
    held_out = [validation for _, validation in splits]
    validation = _side_by_side(rows, held_out, settings.n_init) if len(held_out[0]) else None
    return Supply(batches, validation, device, n_members=len(splits))


def _noise(settings, plan, like):
    """Standard deviation of the noise: one number, or one for each feature."""
    if plan.noise is None:
        return float(np.sqrt(settings.reg_covar))
    return torch.as_tensor(np.sqrt(settings.reg_covar + plan.noise)).to(like)


def _own_noise(X, splits, neighbors, size, like, settings):
    """Standard deviation of what each feature of a row is blurred by on its own, or None where it is not."""
    if not size:
        return None
    found = zip(splits, neighbors, strict=True)
    noise = [torch.as_tensor(size * own_noise(X[training], of_split)).to(like) for (training, _), of_split in found]
    return _stack(noise, settings.n_init)


def _side_by_side(rows, indices, n_init):
    """Some of the rows for each fit, as they are where there is one, or else on an axis of their own."""
    if len(indices) == 1:
        return rows[indices[0]]
    some = [rows[index] for index in indices]
    return Rows(
        _stack([part.x for part in some], n_init),
        _stack([part.weight for part in some], n_init),
        None if rows.allowed is None else _stack([part.allowed for part in some], n_init),
        None if rows.resp is None else _own_restarts([part.resp for part in some], n_init),
    )


def _stack(columns, n_init):
    """The column of the only fit, or those of several on a second axis, each as often as the fit has restarts."""
    return columns[0] if len(columns) == 1 else torch.stack(columns, 1).repeat_interleave(n_init, 1)


def _own_restarts(resps, n_init):
    """Of each fit the responsibilities of its restarts, which are so many of all."""
    return torch.cat([resp[:, i * n_init : (i + 1) * n_init] for i, resp in enumerate(resps)], 1)


def _to_rows(X, data, resp, plan, settings):
    dtype, allowed = getattr(torch, settings.dtype), None
    if len(data.classes):
        of_component = codes_of_components(plan, data)
        allowed = torch.as_tensor((data.codes[:, None] == of_component) | (data.codes[:, None] < 0))
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
