"""Components of different architecture."""

import torch
from torch import nn

from .base import Transform
from .places import take


class Grouped(Transform):
    """Different transforms for different components of a mixture, one batch for each group.

    Parameters
    ----------
    transforms : sequence of Transform
    members : sequence of sequence of int
        Components of each group. Together the groups hold every component of one mixture once; a longer component
        axis is one mixture after the other.
    """

    def __init__(self, transforms, members):
        super().__init__()
        self.transforms = nn.ModuleList(transforms)
        self.members = [list(group) for group in members]

    @property
    def n_components(self):
        """Number K of components of a mixture."""
        return sum(map(len, self.members))

    def _split(self, x):
        """The components of each group out of a Tensor of shape (R K, ...)."""
        by_mixture = x.unflatten(0, (-1, self.n_components))
        return [take(by_mixture, 1, group).flatten(0, 1) for group in self.members]

    def _join(self, parts):
        parts = [part.unflatten(0, (-1, len(group))) for part, group in zip(parts, self.members, strict=True)]
        position = {k: i for i, k in enumerate(k for group in self.members for k in group)}
        order = [position[k] for k in range(self.n_components)]
        return take(torch.cat(parts, 1), 1, order).flatten(0, 1)

    def _apply_groups(self, x, context, *, inverse):
        contexts = self._split(context) if context is not None and context.ndim == 3 else [context] * len(self.members)
        results = [
            (transform.inverse if inverse else transform)(part, own)  # type: ignore[operator]
            for transform, part, own in zip(self.transforms, self._split(x), contexts, strict=True)
        ]
        return tuple(self._join(parts) for parts in zip(*results, strict=True))

    def forward(self, x, context=None):
        return self._apply_groups(x, context, inverse=False)

    def inverse(self, z, context=None):
        return self._apply_groups(z, context, inverse=True)

    def initialize(self, x, weight):
        for transform, *rows in zip(self.transforms, self._split(x), self._split(weight), strict=True):
            transform.initialize(*rows)  # type: ignore[operator]
