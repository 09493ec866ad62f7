r"""The contract of a transform, and the two ways of making new ones out of old ones.

A transform is an invertible map of D features, one for each of C components. With :math:`z = f(x)`, a
density :math:`p_0` of z gives x the density

.. math:: \log p(x) = \log p_0(f(x)) + \log |\det \partial f / \partial x|,

so a transform returns the second term, ``ladj``, along with z.
"""

from abc import ABC, abstractmethod

from torch import nn


class Transform(nn.Module, ABC):
    """Invertible map from x to z for each component.

    A transform implements `forward` and `inverse`. Its parameters and buffers lead with the component
    axis C; that is what stacks, selects and shares components without the transform's help. A transform
    that wants a data-dependent start overrides `initialize`. In evaluation mode (``transform.eval()``) the map of a
    row must not depend on the other rows.
    """

    @abstractmethod
    def forward(self, x):
        """Map x to z.

        Parameters
        ----------
        x : Tensor of shape (C, N, D)

        Returns
        -------
        z : Tensor of shape (C, N, D)
        ladj : Tensor of shape (C, N)
            Logarithm of the absolute determinant of the Jacobian dz/dx.
        """

    @abstractmethod
    def inverse(self, z):
        """Map z to x.

        Parameters
        ----------
        z : Tensor of shape (C, N, D)

        Returns
        -------
        x : Tensor of shape (C, N, D)
        ladj : Tensor of shape (C, N)
            Logarithm of the absolute determinant of the Jacobian dx/dz.
        """

    def run_key(self):
        """What transforms in succession have in common if one call is to apply them all; None for nothing.

        A class with such keys has a static method ``forward_run(transforms, x)``, which returns what `forward` does.
        """

    def initialize(self, x, weight):
        """Set data-dependent parameters.

        Parameters
        ----------
        x : Tensor of shape (C, N, D)
            Rows as they reach this transform.
        weight : Tensor of shape (C, N)
            Non-negative weights of the rows, for each component.
        """


class Inverse(Transform):
    """The same map the other way: x to z by the wrapped transform's `inverse`.

    Parameters
    ----------
    transform : Transform
    """

    def __init__(self, transform):
        super().__init__()
        self.transform = transform

    def forward(self, x):
        return self.transform.inverse(x)

    def inverse(self, z):
        return self.transform(z)


class Compose(Transform):
    """Transforms one after the other, the first one nearest to the data.

    Parameters
    ----------
    transforms : iterable of Transform
    """

    def __init__(self, transforms):
        super().__init__()
        self.transforms = nn.ModuleList(transforms)

    def forward(self, x):
        total = x.new_zeros(())
        for run in _runs(self.transforms):
            x, ladj = run[0](x) if len(run) == 1 else run[0].forward_run(run, x)
            total = total + ladj
        return x, total.expand(x.shape[:-1])

    def inverse(self, z):
        total = z.new_zeros(())
        for transform in reversed(self.transforms):
            z, ladj = transform.inverse(z)  # type: ignore[operator]
            total = total + ladj
        return z, total.expand(z.shape[:-1])

    def initialize(self, x, weight):
        """Initialize each transform with the rows that reach it in evaluation mode; see `Transform.initialize`."""
        was_training = self.training
        self.eval()
        starts = [i for i, transform in enumerate(self.transforms) if _starts_from_data(transform)]
        for i in range(max(starts, default=-1) + 1):
            if i > 0:
                x, _ = self.transforms[i - 1](x)
            self.transforms[i].initialize(x, weight)  # type: ignore[operator]
        self.train(was_training)


def _runs(transforms):
    """Lists of transforms in succession whose keys are equal, and of those that have none."""
    runs: list = []
    last_key = None
    for transform in transforms:
        key = transform.run_key()
        if key is not None and key == last_key:
            runs[-1].append(transform)
        else:
            runs.append([transform])
        last_key = key
    return runs


def _starts_from_data(transform):
    if isinstance(transform, Compose):
        return any(map(_starts_from_data, transform.transforms))
    return type(transform).initialize is not Transform.initialize
