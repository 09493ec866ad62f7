r"""The contract of a transform.

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

    A *context* is what else is known of each row: where a network gives the parameters of the map, they may depend on
    it. Such a transform is made with a number of context features, ``n_context``; all others take a context, so that
    they stand in one chain with those, and do not look at it.
    """

    @abstractmethod
    def forward(self, x, context=None):
        """Map x to z.

        Parameters
        ----------
        x : Tensor of shape (C, N, D)
        context : Tensor of shape (C, N, H) or (N, H), default=None

        Returns
        -------
        z : Tensor of shape (C, N, D)
        ladj : Tensor of shape (C, N)
            Logarithm of the absolute determinant of the Jacobian dz/dx.
        """

    @abstractmethod
    def inverse(self, z, context=None):
        """Map z to x.

        Parameters
        ----------
        z : Tensor of shape (C, N, D)
        context : Tensor of shape (C, N, H) or (N, H), default=None

        Returns
        -------
        x : Tensor of shape (C, N, D)
        ladj : Tensor of shape (C, N)
            Logarithm of the absolute determinant of the Jacobian dx/dz.
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
