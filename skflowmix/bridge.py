"""Between numpy and torch: devices, types, generators, and evaluation in chunks."""

import numpy as np
import torch

from .mixture import rows_at_once


def resolve_device(device):
    """The torch device that a `device` parameter names.

    Parameters
    ----------
    device : str or torch.device
        "auto" takes a CUDA device if there is one.

    Raises
    ------
    ValueError
        If there is no such device here.
    """
    present = ["cpu", *(f"cuda:{i}" for i in range(torch.cuda.device_count()))]
    if device == "auto":
        return torch.device(present[-1].partition(":")[0])
    try:
        chosen = torch.device(device)
        torch.empty(0, device=chosen)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        raise ValueError(f"device={device!r} is not available; use 'auto' or one of {present}.") from error
    return chosen


def seeded_generator(seed, device):
    """A generator on a device that owes nothing to torch's global one."""
    return torch.Generator(device=device).manual_seed(int(seed))


@torch.no_grad()
def evaluate_in_chunks(function, X, mixture):
    """Apply a function of rows to all rows, with bounded memory.

    Parameters
    ----------
    function : callable
        Tensor of shape (n, D) -> Tensor of shape (n, ...).
    X : ndarray of shape (N, D)
    mixture : FlowMixture
        Whose device, type and size the chunks are made for.

    Returns
    -------
    ndarray of shape (N, ...)
    """
    size = rows_at_once(mixture)
    like = mixture.logits
    return np.concatenate(
        [
            function(torch.as_tensor(X[start : start + size], dtype=like.dtype, device=like.device)).cpu().numpy()
            for start in range(0, len(X), size)
        ]
    )
