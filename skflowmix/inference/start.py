"""Where a posterior's components begin: ascents from a wide cloud, the Gaussians that they meet, and as many of those
as there are to be components, chosen by the bound of the mixture that they make."""

import math
from dataclasses import dataclass
from typing import Any

import torch

from .ascent import Gaussians, gain, gaussians
from .modes import NOWHERE, by_turns, climb, find_modes

_REACHES = 0.3, 1.0, 3.0, 10.0, 30.0, 100.0
_N_STARTS = 96
_MOST_CANDIDATES = 48
_DRAWS = 64
_MOST_BESIDE_MODES = 3
_ENOUGH_GAIN = 0.1


@dataclass(frozen=True)
class Start:
    """What a mixture begins with.

    Attributes
    ----------
    components : Gaussians
        K of them.
    log_weight : Tensor of shape (K,)
    n_modes : int
        Hills of the density that valleys set apart, as far as the ascents have found them.
    """

    components: Gaussians
    log_weight: torch.Tensor
    n_modes: int


def cloud(n_features, *, generator, device):
    """Points about zero from near to far, Tensor of shape (M, D), and how far each is meant to go, (M,)."""
    reach = torch.tensor(_REACHES, dtype=torch.float64, device=device).repeat(_N_STARTS // len(_REACHES))
    points = torch.randn(len(reach), n_features, generator=generator, dtype=torch.float64, device=device)
    return points * reach[:, None], reach


@dataclass(frozen=True)
class Tempered:
    """A target whose log-density is multiplied by a number."""

    target: Any
    temperature: float

    def __call__(self, x):
        return self.temperature * self.target(x)

    def value_and_gradient(self, x):
        """As of `approximation.Seen`."""
        value, gradient = self.target.value_and_gradient(x)
        return self.temperature * value, self.temperature * gradient


def find_start(target, points, reach, n_components, *, temperature=1.0, generator):
    """Gaussians to begin with.

    Parameters
    ----------
    target : callable
        ``target(x) -> (N,)`` and ``target.value_and_gradient(x)``, in unbounded coordinates. Bounds are compared with a
        price of draws without density, so that its logarithm should be counted from about the log-evidence on.
    points, reach : Tensor
        As of `cloud`.
    n_components : int or "auto"
    temperature : float, default=1.0
        What the log-density is multiplied by when training begins: less than one makes wide Gaussians, on several
        modes at once where there are fewer components than those.
    generator : torch.Generator

    Returns
    -------
    Start
    """
    found = find_modes(target, points, reach, generator=generator)
    n_modes, modes, met = found.n_hills, found.modes[:_MOST_CANDIDATES], found.met
    if temperature != 1:
        target = Tempered(target, temperature)
        _, _, met = climb(target, found.points, found.reach, generator)
    z = torch.randn(_DRAWS, points.shape[1], generator=generator, dtype=points.dtype, device=points.device)
    z = torch.cat([z, -z])
    at_modes = _laplace(target, modes, z)
    hill = torch.cat([found.hill, found.mode_hill[: len(modes)]])
    candidates, hill = _candidates(Gaussians.joined([met, at_modes]), hill)
    chosen, log_weight = _choose(target, candidates, hill.tolist(), n_components, n_modes, z)
    return Start(chosen, log_weight, n_modes)


def _laplace(target, modes, z):
    """The Gaussian at each mode whose precision is the curvature there, by differences of the gradient."""
    n_features = modes.shape[1]
    step = 1e-3 * (1 + modes.abs())
    moves = torch.eye(n_features).to(modes) * step[:, None]
    ahead, behind = (
        target.value_and_gradient((modes[:, None] + sign * moves).flatten(0, 1))[1].view(len(modes), n_features, -1)
        for sign in (1, -1)
    )
    curvature = (behind - ahead) / (2 * step[:, :, None])
    curvature = (curvature + curvature.mT) / 2
    size, axes = torch.linalg.eigh(curvature)
    size = size.abs().clamp_min(1e-4 * size.abs().amax(1, keepdim=True)).clamp_min(1e-12)
    return gaussians(modes, axes @ (1 / size[:, :, None] * axes.mT), target, z)


def _candidates(found, hill):
    """The best ones of each hill, and of those that are nearly the same the better one, with their hills (M,)."""
    hill, found = hill[found.bound.isfinite().cpu()], found[found.bound.isfinite()]
    order = found.bound.argsort(descending=True)
    order = order[by_turns(hill[order.cpu()]).to(order.device)]
    found, hill = found[order], hill[order.cpu()]
    kept: list[int] = []
    for i in range(len(found.bound)):
        near = [j for j in kept if found.bound[j] - found.bound[i] < 30]
        if not near or not _alike(found[near], found[[i]]).any():
            kept.append(i)
        if len(kept) == _MOST_CANDIDATES:
            break
    return found[kept], hill[kept]


def _alike(one, other):
    """Whether the divergences of several Gaussians from another are small, bool Tensor of shape (M,)."""
    columns = torch.cat([other.cholesky.expand_as(one.cholesky), (other.mean - one.mean)[:, :, None]], 2)
    ratio = torch.linalg.solve_triangular(one.cholesky, columns, upper=False)
    log_ratio = ratio.diagonal(dim1=1, dim2=2).log().sum(1)
    return 0.5 * (ratio.square().sum((1, 2)) - one.mean.shape[1]) - log_ratio < 0.05


def _choose(target, candidates, hill, n_components, n_modes, z):
    """The candidates that together have the best bound, one after the other, and their log-weights.

    With draws of each candidate, their log p and their density under every other one, the bound of any mixture of
    them takes no more evaluations. Its weights climb by multiplying each by the exponential of its part of the bound.
    "auto" goes on up to the number of modes, and further while the bound gains enough. Where there are as many
    components as hills each has one, or several on the highest would leave no room for the others.
    """
    x = candidates.draw(z)
    log_p = target(x.flatten(0, 1)).view(x.shape[:2])
    log_q = candidates.log_prob(x.flatten(0, 1)).view(-1, *x.shape[:2])
    at_least, at_most = (n_modes, n_modes + _MOST_BESIDE_MODES) if n_components == "auto" else (n_components,) * 2
    hills = set(hill) - {NOWHERE}
    without = hills if at_most >= len(hills) else set()
    chosen: list[int] = []
    log_weight, bound = None, -math.inf
    while len(chosen) < at_most:
        rest = [c for c in range(len(log_p)) if c not in chosen and (hill[c] in without or not without)]
        rest = rest or list(range(len(log_p)))
        trials = [(*_weighted(log_p, log_q, [*chosen, c]), c) for c in rest]
        bound_then, log_weight_then, best = max(trials, key=lambda trial: trial[0])
        if len(chosen) >= at_least and bound_then < bound + _ENOUGH_GAIN:
            break
        bound, log_weight = bound_then, log_weight_then
        chosen.append(best)
        without.discard(hill[best])
    return candidates[chosen], log_weight


def _weighted(log_p, log_q, members, n_steps=12):
    """The bound of a mixture of some candidates, and its log-weights."""
    log_p, log_q = log_p[members], log_q[members][:, members]
    log_weight = log_p.new_full((len(members),), -math.log(len(members)))
    floor = math.log(0.02 / len(members))
    for _ in range(n_steps):
        part = gain(log_p, (log_q + log_weight[:, None, None]).logsumexp(0)).mean(1)
        log_weight = (log_weight + part).log_softmax(0).clamp_min(floor).log_softmax(0)
    part = gain(log_p, (log_q + log_weight[:, None, None]).logsumexp(0)).mean(1)
    return float((log_weight.exp() * part).sum()), log_weight
