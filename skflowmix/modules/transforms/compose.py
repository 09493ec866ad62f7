"""New transforms out of old ones: one after the other, or the other way."""

from torch import nn

from .base import Transform
from .coupling_runs import fuse_runs


class Inverse(Transform):
    """The same map the other way: x to z by the wrapped transform's `inverse`.

    Parameters
    ----------
    transform : Transform
    """

    def __init__(self, transform):
        super().__init__()
        self.transform = transform

    def forward(self, x, context=None):
        return self.transform.inverse(x, context)

    def inverse(self, z, context=None):
        return self.transform(z, context)


class Compose(Transform):
    """Transforms one after the other, the first one nearest to the data.

    Parameters
    ----------
    transforms : iterable of Transform
    """

    def __init__(self, transforms):
        super().__init__()
        self.transforms = nn.ModuleList(transforms)

    def forward(self, x, context=None):
        total = x.new_zeros(())
        for step in fuse_runs(self.transforms):
            x, ladj = step(x, context)
            total = total + ladj
        return x, total.expand(x.shape[:-1])

    def inverse(self, z, context=None):
        total = z.new_zeros(())
        for step in reversed(fuse_runs(self.transforms)):
            z, ladj = step.inverse(z, context)
            total = total + ladj
        return z, total.expand(z.shape[:-1])

    def initialize(self, x, weight):
        """Initialize each transform with the rows that reach it in evaluation mode; see `Transform.initialize`.

        Rows pass no further than the last transform that starts from them.
        """
        was_training = self.training
        self.eval()
        starts = [i for i, transform in enumerate(self.transforms) if starts_from_data(transform)]
        for i in range(max(starts, default=-1) + 1):
            if i > 0:
                x, _ = self.transforms[i - 1](x)
            self.transforms[i].initialize(x, weight)  # type: ignore[operator]
        self.train(was_training)


def starts_from_data(transform):
    """Whether a transform has parameters that its `initialize` sets."""
    if isinstance(transform, Compose):
        return any(map(starts_from_data, transform.transforms))
    return type(transform).initialize is not Transform.initialize
