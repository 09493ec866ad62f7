r"""Maps that keep volumes and distances: another order of the features, and rigid motions.

An orthogonal matrix is a product of D Householder reflections :math:`I - 2 v v^\top / |v|^2` (Tomczak and
Welling, 2016, arXiv:1611.09630). With unit vectors as the columns of V the product is
:math:`I - V S^{-1} V^\top`, where S is upper triangular, its diagonal one half and the rest that of
:math:`V^\top V` (T. Joffrain et al., 2006, ACM Transactions on Mathematical Software 32): one triangular solve
in place of D steps.
"""

import torch
from torch import nn
from torch.linalg import solve_triangular
from torch.nn.functional import normalize

from ..draws import normal
from .base import Transform
from .places import take


def product_of_reflections(vectors):
    """The matrices (C, D, D) that reflect along each of P vectors, columns of (C, D, P), the last one first."""
    vectors = normalize(vectors, dim=1)
    n_features, n_vectors = vectors.shape[1:]
    like = {"dtype": vectors.dtype, "device": vectors.device}
    triangle = (vectors.mT @ vectors).triu(1) + 0.5 * torch.eye(n_vectors, **like)
    return torch.eye(n_features, **like) - vectors @ solve_triangular(triangle, vectors.mT, upper=True)


class Permutation(Transform):
    """Another order of the features, the same one for all components.

    Parameters
    ----------
    order : sequence of int of length D
        Feature i of z is feature ``order[i]`` of x.
    """

    def __init__(self, order):
        super().__init__()
        self.order = list(order)
        self.inverse_order = sorted(range(len(self.order)), key=self.order.__getitem__)

    def forward(self, x, context=None):
        return take(x, -1, self.order), x.new_zeros(x.shape[:-1])

    def inverse(self, z, context=None):
        return take(z, -1, self.inverse_order), z.new_zeros(z.shape[:-1])


class Orthogonal(Transform):
    """Rigid motion `z = Q x + shift` with Q a product of D learned reflections; starts at a random one.

    Around another layer, ``Compose([motion, layer, Inverse(motion)])``, it lets the layer work in axes and from
    an origin of its own while the whole may still start at the identity.

    Parameters
    ----------
    n_components : int
        Number C of maps.
    n_features : int
        Number D of features.
    generator : torch.Generator, default=None
        Source of the initial reflections and shift.
    """

    def __init__(self, n_components, n_features, *, generator=None):
        super().__init__()
        self.vectors = nn.Parameter(normal(n_components, n_features, n_features, generator=generator))
        self.shift = nn.Parameter(normal(n_components, 1, n_features, generator=generator))

    def matrix(self):
        """Tensor of shape (C, D, D); its transpose is Q, as rows are multiplied from its left."""
        return product_of_reflections(self.vectors)

    def forward(self, x, context=None):
        return x @ self.matrix() + self.shift, x.new_zeros(x.shape[:-1])

    def inverse(self, z, context=None):
        return (z - self.shift) @ self.matrix().mT, z.new_zeros(z.shape[:-1])
