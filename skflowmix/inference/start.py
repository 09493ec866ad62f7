"""Where a posterior's components begin: ascents from a wide cloud, the Gaussians that they meet, and as many of those
as there are to be components, chosen by the bound of the mixture that they make."""

import math
from dataclasses import dataclass
from typing import Any

import torch

from .ascent import Gaussians, ascend, gain, gaussians

_REACHES = 0.3, 1.0, 3.0, 10.0, 30.0, 100.0
_N_STARTS = 96
_MAX_ASCENT = 60
_MOST_CANDIDATES = 48
_DRAWS = 64
_SAME = 1e-2
_VALLEY = 1.0
_ON_THE_WAY = 15
_MOST_UNASKED = 4
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
    how = {"max_iter": _MAX_ASCENT, "generator": generator}
    end, value, met = ascend(target.value_and_gradient, target, points, reach, **how)
    modes, group = _modes(target, end, value)
    if temperature != 1:
        target = Tempered(target, temperature)
        _, _, met = ascend(target.value_and_gradient, target, points, reach, **how)
    z = torch.randn(_DRAWS, points.shape[1], generator=generator, dtype=points.dtype, device=points.device)
    z = torch.cat([z, -z])
    at_modes = _laplace(target, modes, z)
    n_modes = int(group.max()) + 1
    candidates = _candidates(Gaussians.joined([met, at_modes]))
    chosen, log_weight = _choose(target, candidates, n_components, n_modes, z)
    return Start(chosen, log_weight, n_modes)


def _modes(target, end, value):
    """Distinct ends of ascents, the highest of each hill first, and the hill of each, (M,)."""
    order = value.nan_to_num(-torch.inf).argsort(descending=True)
    end, value = end[order], value[order]
    kept: list[int] = []
    for i in range(len(end)):
        if not value[i].isfinite():
            break
        if all(_apart(end[i], end[j]) for j in kept):
            kept.append(i)
        if len(kept) == _MOST_CANDIDATES:
            break
    modes, value = end[kept], value[kept]
    return modes, _hills(target, modes, value)


def _apart(one, other):
    return bool(((one - other).abs() > _SAME * (1 + one.abs())).any())


def _hills(target, x, value):
    """Which hill each point is on: two are on one where the way between them has no valley, directly or by others."""
    share = torch.linspace(0, 1, _ON_THE_WAY + 2, dtype=x.dtype, device=x.device)[1:-1, None]
    first, second = torch.triu_indices(len(x), len(x), 1).to(x.device)
    if len(first):
        way = x[first, None] + share * (x[second] - x[first])[:, None]
        lowest = target(way.flatten(0, 1)).view(len(first), -1).amin(1)
        joined = lowest >= torch.minimum(value[first], value[second]) - _VALLEY
        first, second = first[joined], second[joined]
    hill = list(range(len(x)))
    for i, j in zip(first.tolist(), second.tolist(), strict=True):
        old, new = max(hill[i], hill[j]), min(hill[i], hill[j])
        hill = [new if h == old else h for h in hill]
    numbers = {h: n for n, h in enumerate(dict.fromkeys(hill))}
    return torch.tensor([numbers[h] for h in hill])


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


def _candidates(found):
    """The best ones, and of those that are nearly the same the better one."""
    found = found[found.bound.isfinite()]
    found = found[found.bound.argsort(descending=True)]
    kept: list[int] = []
    for i in range(len(found.bound)):
        near = [j for j in kept if found.bound[j] - found.bound[i] < 30]
        if not near or not _alike(found[near], found[[i]]).any():
            kept.append(i)
        if len(kept) == _MOST_CANDIDATES:
            break
    return found[kept]


def _alike(one, other):
    """Whether the divergences of several Gaussians from another are small, bool Tensor of shape (M,)."""
    columns = torch.cat([other.cholesky.expand_as(one.cholesky), (other.mean - one.mean)[:, :, None]], 2)
    ratio = torch.linalg.solve_triangular(one.cholesky, columns, upper=False)
    log_ratio = ratio.diagonal(dim1=1, dim2=2).log().sum(1)
    return 0.5 * (ratio.square().sum((1, 2)) - one.mean.shape[1]) - log_ratio < 0.05


def _choose(target, candidates, n_components, n_modes, z):
    """The candidates that together have the best bound, one after the other, and their log-weights.

    With draws of each candidate, their log p and their density under every other one, the bound of any mixture of
    them takes no more evaluations. Its weights climb by multiplying each by the exponential of its part of the bound.
    "auto" goes on up to the number of modes, or while the bound gains enough.
    """
    x = candidates.draw(z)
    log_p = target(x.flatten(0, 1)).view(x.shape[:2])
    log_q = candidates.log_prob(x.flatten(0, 1)).view(-1, *x.shape[:2])
    at_least, at_most = (n_modes, max(n_modes, _MOST_UNASKED)) if n_components == "auto" else (n_components,) * 2
    chosen: list[int] = []
    log_weight, bound = None, -math.inf
    while len(chosen) < at_most:
        rest = [c for c in range(len(log_p)) if c not in chosen] or list(range(len(log_p)))
        trials = [(*_weighted(log_p, log_q, [*chosen, c]), c) for c in rest]
        bound_then, log_weight_then, best = max(trials, key=lambda trial: trial[0])
        if len(chosen) >= at_least and bound_then < bound + _ENOUGH_GAIN:
            break
        bound, log_weight = bound_then, log_weight_then
        chosen.append(best)
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
