"""Coupling: some features pass unchanged and condition a scalar map of the others.

Dinh, Krueger and Bengio (2015), NICE, arXiv:1410.8516. The Jacobian is triangular, and both directions cost
the same.
"""

import torch

from ..nets import MLP
from .affine_coupling import AffineCouplings, Layer
from .base import Transform
from .places import take
from .scalar import AffineMap


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
    generator : torch.Generator, default=None
        Source of the conditioners' initial weights.
    """

    def __init__(self, n_components, mask, scalar_map, hidden_layer_sizes, *, generator=None):
        super().__init__()
        mask = [bool(kept) for kept in mask]
        self.kept = _positions(mask, True)
        self.moved = _positions(mask, False)
        self.order = _reading_order(self.kept, self.moved)
        self.scalar_map = scalar_map
        sizes = (sum(mask), *hidden_layer_sizes, (len(mask) - sum(mask)) * scalar_map.n_parameters)
        self.conditioner = MLP(n_components, sizes, generator=generator)

    def forward(self, x):
        return self._couple(self.scalar_map.forward, x) if self.run_key() is None else self.forward_run([self], x)

    def run_key(self):
        """For affine maps, the slices that are kept and moved, in the features' order."""
        if self.order is None and type(self.scalar_map) is AffineMap and not torch.compiler.is_compiling():
            return sorted((self.kept, self.moved), key=lambda part: part.stop)
        return None

    @staticmethod
    def forward_run(transforms, x):
        parts = transforms[0].run_key()
        sizes = [part.stop - part.start for part in parts]
        layers = [
            Layer(parts.index(one.moved), one.scalar_map.max_log_scale, len(one.conditioner.weights))
            for one in transforms
        ]
        weights, biases = (
            [parameter for one in transforms for parameter in getattr(one.conditioner, kind).parameters()]
            for kind in ("weights", "biases")
        )
        z, ladj = AffineCouplings.apply(x.mT, sizes, layers, torch.is_grad_enabled(), *weights, *biases)
        return z.mT, ladj

    def inverse(self, z):
        return self._couple(self.scalar_map.inverse, z)

    def _couple(self, scalar_map, value):
        kept, moved = self._split(value.mT)
        moved, log_slope = scalar_map(moved, self.conditioner(kept))
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
