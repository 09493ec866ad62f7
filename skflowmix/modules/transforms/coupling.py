"""Coupling: some features pass unchanged and condition a scalar map of the others.

Dinh, Krueger and Bengio (2015), NICE, arXiv:1410.8516. The Jacobian is triangular, and both directions cost
the same. Affine couplings that follow each other in a `Compose` are evaluated in one step; see `coupling_runs`.
"""

import torch

from ..nets import MLP
from .base import Transform
from .places import take


class Coupling(Transform):
    """Scalar map of the features outside a mask, given those inside it; starts at the identity.

    Parameters
    ----------
    n_components : int
        Number C of maps.
    mask : sequence of bool of length D
        True for the features that pass unchanged. With none of them (D = 1, say) the scalar map's
        parameters are learned constants.
    scalar_map : ScalarMap
    hidden_layer_sizes : tuple of int
        Units in the hidden layers of the conditioners.
    n_context : int, default=0
        Number H of context features that the conditioners read beside the features that pass.
    generator : torch.Generator, default=None
        Source of the conditioners' initial weights.
    """

    def __init__(self, n_components, mask, scalar_map, hidden_layer_sizes, *, n_context=0, generator=None):
        super().__init__()
        mask = [bool(kept) for kept in mask]
        self.kept = _positions(mask, True)
        self.moved = _positions(mask, False)
        self.order = _reading_order(self.kept, self.moved)
        self.scalar_map = scalar_map
        sizes = (sum(mask), *hidden_layer_sizes, (len(mask) - sum(mask)) * scalar_map.n_parameters)
        self.conditioner = MLP(n_components, sizes, n_context=n_context, generator=generator)

    def forward(self, x, context=None):
        return self._couple(self.scalar_map.forward, x, context)

    def inverse(self, z, context=None):
        return self._couple(self.scalar_map.inverse, z, context)

    def _couple(self, scalar_map, value, context):
        kept, moved = self._split(value.mT)
        moved, log_slope = scalar_map(moved, self.conditioner(kept, context))
        return self._merge(kept, moved).mT, log_slope.sum(1)

    def _split(self, value):
        if self.order is None:
            # Unlike two slices, a split has one backward step, which fills one tensor.
            first, second = sorted((self.kept, self.moved), key=lambda part: part.stop)
            parts = value.split((first.stop, second.stop - first.stop), 1)
            return parts if first is self.kept else parts[::-1]
        return _part(value, self.kept), _part(value, self.moved)

    def _merge(self, kept, moved):
        if self.order is None:
            return torch.cat((kept, moved) if self.kept.start == 0 else (moved, kept), 1)
        return take(torch.cat((kept, moved), 1), 1, self.order)


def _part(value, places):
    return value[:, places] if isinstance(places, slice) else take(value, 1, places)


def _positions(mask, value):
    """Where the mask has a value: a slice if the places are consecutive, which avoids copies, else a list."""
    places = [i for i, kept in enumerate(mask) if kept == value]
    if not places:
        return slice(0, 0)
    consecutive = places[-1] - places[0] + 1 == len(places)
    return slice(places[0], places[-1] + 1) if consecutive else places


def _reading_order(kept, moved):
    """The permutation that puts concatenated (kept, moved) features back; None if both are slices."""
    if isinstance(kept, slice) and isinstance(moved, slice):
        return None
    places = [
        place for part in (kept, moved) for place in (range(part.start, part.stop) if isinstance(part, slice) else part)
    ]
    return sorted(range(len(places)), key=places.__getitem__)
