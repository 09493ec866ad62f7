r"""Ascent of a log-density from many points at once, and the Gaussians that are met on the way.

Each path climbs by BFGS. Where a density is skewed its mode may be far from its bulk (a funnel's is infinitely deep
in its neck), so that of all states of a path the one counts whose Gaussian, the inverse Hessian being its
covariance, has the best bound :math:`E_q[\log \tilde p - \log q]`: Zhang, Carpenter, Gelman and Vehtari, 2022,
Pathfinder, arXiv:2108.03782.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch

from .objective import PRICE

_ARMIJO = 1e-4
_HALVINGS = 12
_DRAWS = 16


@dataclass
class Gaussians:
    """Normal densities with the bound that each has.

    Attributes
    ----------
    mean : Tensor of shape (M, D)
    cholesky : Tensor of shape (M, D, D)
    bound : Tensor of shape (M,)
        In nats.
    """

    mean: torch.Tensor
    cholesky: torch.Tensor
    bound: torch.Tensor

    def __getitem__(self, index):
        return Gaussians(*(tensor[index] for tensor in vars(self).values()))

    @classmethod
    def joined(cls, parts):
        """All of several."""
        return cls(*(torch.cat(tensors) for tensors in zip(*(vars(part).values() for part in parts), strict=True)))

    def take_in(self, other):
        """Put the others' members in the place of those whose bound is less."""
        better = other.bound > self.bound
        for mine, others in zip(vars(self).values(), vars(other).values(), strict=True):
            mine[better] = others[better]

    def draw(self, z):
        """Rows of each for latent rows (n, D): Tensor of shape (M, n, D)."""
        return self.mean[:, None] + z @ self.cholesky.mT

    def log_prob(self, x):
        """Log-density of rows (N, D) under each, Tensor of shape (M, N)."""
        arm = (x - self.mean[:, None]).mT
        z = torch.linalg.solve_triangular(self.cholesky, arm, upper=False)
        return -0.5 * z.square().sum(1) + self._log_scale()[:, None]

    def _log_scale(self):
        n_features = self.mean.shape[1]
        return -self.cholesky.diagonal(dim1=1, dim2=2).log().sum(1) - n_features / 2 * math.log(2 * math.pi)


def gain(log_p, log_q):
    """What draws add to the bound: log p - log q, but a price where there is no density."""
    return torch.where(log_p == -torch.inf, -PRICE, log_p - log_q)


def gaussians(mean, covariance, log_density, z):
    """Gaussians of means (M, D) and covariances (M, D, D), the bound being that of the draws for latent rows z (n, D).

    A bound of -inf is that of a covariance that is none.
    """
    cholesky, info = torch.linalg.cholesky_ex(covariance)
    good = (info == 0) & cholesky.isfinite().all((1, 2)) & mean.isfinite().all(1)
    eye = torch.eye(mean.shape[1]).to(mean)
    found = Gaussians(
        torch.where(good[:, None], mean, 0.0),
        torch.where(good[:, None, None], cholesky, eye),
        mean.new_full((len(mean),), -torch.inf),
    )
    value = log_density(found.draw(z).flatten(0, 1)).view(len(mean), -1)
    log_q = found._log_scale()[:, None] - 0.5 * z.square().sum(1)
    found.bound = torch.where(good, gain(value, log_q).mean(1), -torch.inf).nan_to_num(-torch.inf)
    return found


def ascend(value_and_gradient, log_density, x, reach, *, max_iter, generator):
    """Climb from many points, and find the best Gaussian of each path.

    Parameters
    ----------
    value_and_gradient : callable
        Tensor of shape (M, D) -> Tensor of shape (M,), Tensor of shape (M, D).
    log_density : callable
        Tensor of shape (M, D) -> Tensor of shape (M,).
    x : Tensor of shape (M, D)
    reach : Tensor of shape (M,)
        Length of each first step, at most.
    max_iter : int
    generator : torch.Generator

    Returns
    -------
    end : Tensor of shape (M, D)
        Where the paths end.
    value : Tensor of shape (M,)
    best : Gaussians
    """
    z = torch.randn(_DRAWS, x.shape[1], generator=generator, dtype=x.dtype, device=x.device)
    z = z - z.mean(0)
    value, gradient = value_and_gradient(x)
    hessian = _first_step(gradient, reach)
    best = gaussians(x, hessian, log_density, z)
    for iteration in range(max_iter):
        direction = (hessian @ gradient[:, :, None]).squeeze(2)
        following, value_there = _search(log_density, x, value, gradient, direction)
        moved = (following != x).any(1) & value.isfinite()
        if not moved.any():
            break
        gradient_there = torch.zeros_like(gradient)
        _, gradient_there[moved] = value_and_gradient(following[moved])
        gradient_there = torch.where(moved[:, None], gradient_there, gradient)
        hessian = _updated(hessian, following - x, gradient - gradient_there, first=iteration == 0)
        climbed, x, value, gradient = value_there - value, following, value_there, gradient_there
        best.take_in(gaussians(x, hessian, log_density, z))
        if (climbed < 1e-6).all():
            break
    return x, value, best


def _first_step(gradient, reach):
    """Multiples of the identity by which no first step is longer than it may be, Tensor of shape (M, D, D)."""
    norm = torch.linalg.vector_norm(gradient, dim=1)
    size = torch.minimum(reach / norm.clamp_min(1e-300), reach.square())
    return size[:, None, None] * torch.eye(gradient.shape[1]).to(gradient)


def _search(log_density, x, value, gradient, direction):
    """The first of ever shorter steps that gains enough; no step where none does."""
    slope = (gradient * direction).sum(1)
    found, value_there = x.clone(), value.clone()
    searching = (slope > 0) & value.isfinite()
    step = torch.ones_like(value)
    for _ in range(_HALVINGS):
        if not searching.any():
            break
        trial = x[searching] + step[searching, None] * direction[searching]
        there = log_density(trial)
        enough = there >= value[searching] + _ARMIJO * step[searching] * slope[searching]
        index = searching.nonzero().squeeze(1)[enough]
        found[index], value_there[index] = trial[enough], there[enough]
        searching[index] = False
        step = step / 3
    return found, value_there


def _updated(hessian, step, change, *, first):
    """The inverse Hessians of -log p after a step of each path, and the fall of its gradient."""
    curvature = (step * change).sum(1)
    size = change.square().sum(1)
    usable = curvature > 1e-10 * torch.linalg.vector_norm(step, dim=1) * size.sqrt()
    curvature, size = torch.where(usable, curvature, 1.0), torch.where(usable & (size > 0), size, 1.0)
    eye = torch.eye(step.shape[1]).to(step)
    before = (curvature / size)[:, None, None] * eye if first else hessian
    turn = eye - step[:, :, None] * change[:, None] / curvature[:, None, None]
    after = turn @ before @ turn.mT + step[:, :, None] * step[:, None] / curvature[:, None, None]
    return torch.where(usable[:, None, None], after, hessian)
