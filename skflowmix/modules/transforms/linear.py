r"""Linear maps of all features together.

The affine map serves as the first layer of a flow: `initialize` sets it from the weighted mean
:math:`\mu` and covariance :math:`\Sigma = L L^\top` of the rows so that
:math:`z = A L^{-1} (x - \mu) + b` has mean zero and unit covariance at the start, where the learned A is
the identity and the learned b is zero. Learning in these whitened coordinates makes one step size fit
components of every scale and shape.
"""

import torch
from torch import nn
from torch.linalg import solve_triangular

from ..constants import constant
from ..draws import normal
from .base import Transform
from .compose import Compose
from .orthogonal import Permutation, product_of_reflections

_ROWS_AT_ONCE = 2**14
_ROUNDED_TIMES = 10
_MOST_LOG_DIAGONAL = 50.0  # Beyond, a step that was far too long would leave a matrix that is singular.


def weighted_moments(x, weight):
    """Means and covariances of rows under several sets of weights.

    Parameters
    ----------
    x : Tensor of shape (C, N, D)
    weight : Tensor of shape (C, N)
        Their type is that of the moments.

    Returns
    -------
    mean : Tensor of shape (C, 1, D)
    covariance : Tensor of shape (C, D, D)
    """
    share = weight[:, :, None] / weight.sum(1).clamp_min(torch.finfo(weight.dtype).tiny)[:, None, None]
    chunks = list(zip(share.split(_ROWS_AT_ONCE, 1), x.split(_ROWS_AT_ONCE, 1), strict=True))
    mean = sum(share.mT @ x.to(share) for share, x in chunks)
    covariance = sum(_scatter(share, x.to(share) - mean) for share, x in chunks)
    return mean, covariance


def _scatter(share, centred):
    return (share * centred).mT @ centred


@constant
def _places_below_diagonal(n_features, device):
    """Indices of the entries below the diagonal in a flattened matrix."""
    rows, columns = torch.tril_indices(n_features, n_features, -1, device=device)
    return rows * n_features + columns


def _strict_lower(entries, n_features):
    """Matrices (C, D, D) that hold entries (C, D (D - 1) / 2) below the diagonal and zeros elsewhere."""
    places = _places_below_diagonal(n_features, entries.device)
    matrix = entries.new_zeros(len(entries), n_features * n_features)
    return matrix.index_copy(1, places, entries).unflatten(1, (n_features, n_features))


def _bounded(log_diagonal):
    return log_diagonal.clamp(-_MOST_LOG_DIAGONAL, _MOST_LOG_DIAGONAL)


class TriangularMatrix(nn.Module):
    """Learned lower triangular matrices with a positive diagonal; they start at the identity.

    Parameters
    ----------
    n_components : int
        Number C of matrices.
    n_features : int
        Number D of rows and columns.
    """

    def __init__(self, n_components, n_features):
        super().__init__()
        self.log_diagonal = nn.Parameter(torch.zeros(n_components, n_features))
        self.lower = nn.Parameter(torch.zeros(n_components, n_features * (n_features - 1) // 2))

    def forward(self):
        """The matrices, (C, D, D), and the logarithms of their absolute determinants, (C, 1)."""
        log_diagonal = _bounded(self.log_diagonal)
        matrix = _strict_lower(self.lower, log_diagonal.shape[1]) + torch.diag_embed(log_diagonal.exp())
        return matrix, log_diagonal.sum(1, keepdim=True)

    @staticmethod
    def solve(matrix, columns):
        """What the matrices (C, D, D) map to some columns (C, D, N)."""
        return solve_triangular(matrix, columns, upper=False)

    def reset(self):
        """Go back to the identity."""
        self.log_diagonal.zero_()
        self.lower.zero_()


class FullMatrix(nn.Module):
    """Any learned invertible matrices, whose determinants cost O(D^3); parameters and methods as `TriangularMatrix`."""

    def __init__(self, n_components, n_features):
        super().__init__()
        self.matrix = nn.Parameter(torch.eye(n_features).repeat(n_components, 1, 1))

    def forward(self):
        return self.matrix, torch.linalg.slogdet(self.matrix).logabsdet[:, None]

    solve = staticmethod(torch.linalg.solve)

    def reset(self):
        self.matrix.copy_(torch.eye(self.matrix.shape[1]))


class WhitenedAffine(Transform):
    """Affine map `z = A W (x - location) + shift`, with W and location set from data and A, shift learned.

    With triangular matrices and a standard normal base this is the Gaussian density in its Cholesky parameterisation,
    which is all of `sklearn.mixture.GaussianMixture`'s component.

    Parameters
    ----------
    n_components : int
        Number C of maps.
    n_features : int
        Number D of features.
    matrix : callable, default=TriangularMatrix
        What A is: `TriangularMatrix` or `FullMatrix`.
    reg_covar : float, default=1e-6
        Variance added to each feature of the covariance that `initialize` starts from.
    """

    location: torch.Tensor
    whitening: torch.Tensor

    def __init__(self, n_components, n_features, *, matrix=TriangularMatrix, reg_covar=1e-6):
        super().__init__()
        eye = torch.eye(n_features).repeat(n_components, 1, 1)
        self.reg_covar = reg_covar
        self.register_buffer("location", torch.zeros(n_components, 1, n_features))
        self.register_buffer("whitening", eye)
        self.shift = nn.Parameter(torch.zeros(n_components, 1, n_features))
        self.learned = matrix(n_components, n_features)

    def _log_det_whitening(self):
        return self.whitening.diagonal(dim1=1, dim2=2).log().sum(1, keepdim=True)

    def forward(self, x, context=None):
        matrix, log_det = self.learned()
        z = torch.bmm(matrix @ self.whitening, (x - self.location).mT).add_(self.shift.mT).mT
        return z, (log_det + self._log_det_whitening()).expand(z.shape[:-1])

    def inverse(self, z, context=None):
        matrix, log_det = self.learned()
        whitened = self.learned.solve(matrix, (z - self.shift).mT)
        x = solve_triangular(self.whitening, whitened, upper=False).mT + self.location
        return x, -(log_det + self._log_det_whitening()).expand(z.shape[:-1])

    @torch.no_grad()
    def initialize(self, x, weight):
        """Set the maps from weighted moments; see `Transform.initialize`.

        Each covariance takes in D + 1 pseudo-rows of the pooled covariance (as the conjugate prior of Fraley and
        Raftery, 2007, Journal of Classification 24, has D + 2), so that a component of few rows starts with a scale
        that other components know, and is not drawn to a few outliers. Where none has any, all rows are theirs.
        """
        weight = weight.double()
        if not weight.any():
            weight = torch.ones_like(weight)
        mean, covariance = weighted_moments(x, weight)
        n_rows = weight.sum(1)[:, None, None]
        pooled = (n_rows * covariance).sum(0) / n_rows.sum()
        n_pseudo = x.shape[-1] + 1
        self.set_gaussian(mean.squeeze(1), (n_rows * covariance + n_pseudo * pooled) / (n_rows + n_pseudo))

    @torch.no_grad()
    def set_gaussian(self, mean, covariance):
        """Make z standard normal for x of a given mean and covariance.

        Parameters
        ----------
        mean : Tensor of shape (C, D)
        covariance : Tensor of shape (C, D, D)
            Positive semi-definite; `reg_covar` is added to its diagonal, or as much as rounding may have taken away.
        """
        largest = covariance.diagonal(dim1=1, dim2=2).amax(1)
        rounding = _ROUNDED_TIMES * mean.shape[1] * torch.finfo(covariance.dtype).eps * largest
        ridge = torch.eye(mean.shape[1]).to(covariance) * rounding.clamp(min=self.reg_covar)[:, None, None]
        cholesky = torch.linalg.cholesky(covariance + ridge)
        self.location.copy_(mean[:, None])
        self.whitening.copy_(solve_triangular(cholesky, torch.eye(mean.shape[1]).to(mean), upper=False))
        self.learned.reset()
        self.shift.zero_()


class LULinear(Transform):
    """Linear map `z = L U x + shift` with unit lower L and upper U of positive diagonal; starts at the identity.

    Mixes features between coupling layers at the price of two triangular solves for the inverse
    (Oliva et al., 2018, arXiv:1801.09819; Kingma and Dhariwal, 2018, arXiv:1807.03039).

    Parameters
    ----------
    n_components : int
        Number C of maps.
    n_features : int
        Number D of features.
    """

    def __init__(self, n_components, n_features):
        super().__init__()
        self.lower = nn.Parameter(torch.zeros(n_components, n_features * (n_features - 1) // 2))
        self.upper = nn.Parameter(torch.zeros(n_components, n_features * (n_features - 1) // 2))
        self.log_diagonal = nn.Parameter(torch.zeros(n_components, n_features))
        self.shift = nn.Parameter(torch.zeros(n_components, 1, n_features))

    def _factors(self):
        n_features = self.log_diagonal.shape[1]
        eye = torch.eye(n_features, dtype=self.lower.dtype, device=self.lower.device)
        upper = _strict_lower(self.upper, n_features).mT + torch.diag_embed(_bounded(self.log_diagonal).exp())
        return _strict_lower(self.lower, n_features) + eye, upper

    def forward(self, x, context=None):
        lower, upper = self._factors()
        z = torch.baddbmm(self.shift.mT, lower @ upper, x.mT).mT
        return z, _bounded(self.log_diagonal).sum(1, keepdim=True).expand(z.shape[:-1])

    def inverse(self, z, context=None):
        lower, upper = self._factors()
        half = solve_triangular(lower, (z - self.shift).mT, upper=False, unitriangular=True)
        x = solve_triangular(upper, half, upper=True).mT
        return x, -_bounded(self.log_diagonal).sum(1, keepdim=True).expand(z.shape[:-1])


class PLULinear(Transform):
    """Linear map `z = P (L U x + shift)`, Glow's with P fixed; starts at P alone.

    Kingma and Dhariwal (2018), Glow, arXiv:1807.03039. It is an `LULinear` and a `Permutation`.

    Parameters
    ----------
    n_components : int
        Number C of maps.
    order : sequence of int of length D
        The permutation P: feature i of z is feature ``order[i]`` of `L U x + shift`.
    """

    def __init__(self, n_components, order):
        super().__init__()
        self.steps = Compose([LULinear(n_components, len(order)), Permutation(order)])

    def forward(self, x, context=None):
        return self.steps(x)

    def inverse(self, z, context=None):
        return self.steps.inverse(z)


class QRLinear(Transform):
    """Linear map `z = Q R x + shift` with Q a rotation and R upper triangular with a positive diagonal.

    Hoogeboom, van den Berg and Welling (2019), Emerging convolutions, arXiv:1901.11137. Q is a product of D or D - 1
    learned reflections, an even number, which reaches every rotation and so the product every matrix of positive
    determinant. They start in equal pairs, along random vectors, so that the map is the identity.

    Parameters
    ----------
    n_components : int
        Number C of maps.
    n_features : int
        Number D of features.
    generator : torch.Generator, default=None
        Source of the initial reflections.
    """

    def __init__(self, n_components, n_features, *, generator=None):
        super().__init__()
        pairs = normal(n_components, n_features, n_features // 2, generator=generator)
        self.vectors = nn.Parameter(pairs.repeat_interleave(2, dim=2))
        self.upper = nn.Parameter(torch.zeros(n_components, n_features * (n_features - 1) // 2))
        self.log_diagonal = nn.Parameter(torch.zeros(n_components, n_features))
        self.shift = nn.Parameter(torch.zeros(n_components, 1, n_features))

    def _factors(self):
        upper = _strict_lower(self.upper, self.log_diagonal.shape[1]).mT + torch.diag_embed(
            _bounded(self.log_diagonal).exp()
        )
        return product_of_reflections(self.vectors), upper

    def forward(self, x, context=None):
        rotation, upper = self._factors()
        z = torch.baddbmm(self.shift.mT, rotation @ upper, x.mT).mT
        return z, _bounded(self.log_diagonal).sum(1, keepdim=True).expand(z.shape[:-1])

    def inverse(self, z, context=None):
        rotation, upper = self._factors()
        x = solve_triangular(upper, rotation.mT @ (z - self.shift).mT, upper=True).mT
        return x, -_bounded(self.log_diagonal).sum(1, keepdim=True).expand(z.shape[:-1])
