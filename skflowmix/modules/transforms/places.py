"""Reordering along an axis, by places that are copied to a device once and not in every step of training."""

import torch

from ..constants import constant


def take(x, dim, places):
    """The entries of a tensor that stand at some places of an axis, in their order.

    Parameters
    ----------
    x : Tensor
    dim : int
    places : sequence of int
    """
    return x.index_select(dim, _on_device(tuple(places), x.device))


@constant
def _on_device(places, device):
    return torch.tensor(places, device=device)
