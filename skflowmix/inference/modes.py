"""Modes of a log-density: the distinct ends of ascents, the hills that they are on, and looks round for others."""

from dataclasses import dataclass

import torch

from .ascent import Gaussians, ascend

NOWHERE = -1
_MAX_ASCENT = 60
_MOST_ENDS = 96
_SAME = 1e-2
_VALLEY = 1.0
_ON_THE_WAY = 15
_ROWS_AT_ONCE = 4096
_MOST_LOOKS = 4
_WIDTHS = 0.5, 1.0, 2.0
_POINTS_OF_A_LOOK = 192


@dataclass(frozen=True)
class Ascents:
    """What ascents from some points have met.

    Attributes
    ----------
    points, reach : Tensor of shape (M, D) and (M,)
        Where they began, and how far each was meant to go.
    met : Gaussians
        The best one of each path.
    hill : Tensor of shape (M,)
        Of each path, counted from the one with the highest top; NOWHERE where the path has come to nothing.
    modes : Tensor of shape (m, D)
        Distinct ends: the top of each hill first, then the second ones, and so on.
    value : Tensor of shape (m,)
        Log-density there.
    mode_hill : Tensor of shape (m,)
    """

    points: torch.Tensor
    reach: torch.Tensor
    met: Gaussians
    hill: torch.Tensor
    modes: torch.Tensor
    value: torch.Tensor
    mode_hill: torch.Tensor

    @property
    def n_hills(self):
        return int(self.mode_hill.max()) + 1


def find_modes(target, points, reach, *, generator):
    """Ascents from a cloud, and, where they find several hills, from clouds about those until no further one is found.

    A cloud about zero has to be of all widths, so that few of its points are near any hill. Hills that are known tell
    how far apart others may lie.

    Parameters
    ----------
    target : callable
        As of `find_start`.
    points, reach : Tensor
    generator : torch.Generator

    Returns
    -------
    Ascents
    """
    found = _joined(target, None, points, reach, *climb(target, points, reach, generator))
    for _ in range(_MOST_LOOKS):
        n_hills = found.n_hills
        around = _cloud_about(found, generator) if n_hills > 1 else None
        if around is None:
            break
        points, reach = around
        found = _joined(target, found, points, reach, *climb(target, points, reach, generator))
        if found.n_hills <= n_hills:
            break
    return found


def climb(target, points, reach, generator):
    """As `ascend`."""
    return ascend(target.value_and_gradient, target, points, reach, max_iter=_MAX_ASCENT, generator=generator)


def _joined(target, before, points, reach, end, value, met):
    """Ascents before and after a look, with the distinct ends and the hills of all."""
    if before is not None:
        points, reach = torch.cat([before.points, points]), torch.cat([before.reach, reach])
        met = Gaussians.joined([before.met, met])
        end, value = torch.cat([before.modes, end]), torch.cat([before.value, value])
    order = value.nan_to_num(-torch.inf).argsort(descending=True)
    kept: list[int] = []
    owner = torch.full((len(end),), NOWHERE)
    for i in order[value[order].isfinite()].tolist():
        same = ((end[kept] - end[i]).abs() <= _SAME * (1 + end[i].abs())).all(1).nonzero()
        owner[i] = int(same[0]) if len(same) else len(kept)
        kept += [] if len(same) else [i]
    mode_hill = _hills(target, end[kept], value[kept])
    hill = torch.where(owner >= 0, mode_hill[owner], NOWHERE)
    if before is not None:
        # A hill of before is, by its top, one of now.
        n_modes = len(before.modes)
        tops = hill[:n_modes][: before.n_hills]
        hill = torch.cat([torch.where(before.hill >= 0, tops[before.hill], NOWHERE), hill[n_modes:]])
    first = by_turns(mode_hill)[:_MOST_ENDS]
    return Ascents(points, reach, met, hill, end[kept][first], value[kept][first], mode_hill[first])


def by_turns(group):
    """Order in which the first of each group come first, then the second ones, and so on: Tensor of shape (M,)."""
    rank = (group[:, None] == group).tril(-1).sum(1)
    return rank.argsort(stable=True)


def _hills(target, x, value):
    """Which hill each point is on: two are on one where the way between them has no valley, directly or by others."""
    share = torch.linspace(0, 1, _ON_THE_WAY + 2, dtype=x.dtype, device=x.device)[1:-1, None]
    hill = list(range(len(x)))
    pairs = torch.triu_indices(len(x), len(x), 1).to(x.device)
    for first, second in (part.unbind() for part in pairs.split(_ROWS_AT_ONCE // _ON_THE_WAY, 1)):
        if not len(first):
            break
        way = x[first, None] + share * (x[second] - x[first])[:, None]
        lowest = target(way.flatten(0, 1)).view(len(first), -1).amin(1)
        joined = lowest >= torch.minimum(value[first], value[second]) - _VALLEY
        for i, j in zip(first[joined].tolist(), second[joined].tolist(), strict=True):
            old, new = max(hill[i], hill[j]), min(hill[i], hill[j])
            hill = [new if h == old else h for h in hill]
    numbers = {h: n for n, h in enumerate(dict.fromkeys(hill))}
    return torch.tensor([numbers[h] for h in hill])


def _cloud_about(found, generator):
    """Points about the hills, as wide as those lie apart, and how far each is meant to go; None where there is none.

    Lengths are counted in the hills' own deviations, feature by feature. Half of the variance is that of the hills in
    a feature, half that in all of them, since two hills lie on one line.
    """
    best = []
    for hill in range(found.n_hills):
        members = (found.hill == hill).nonzero().squeeze(1).to(found.points.device)
        members = members[found.met.bound[members].isfinite()]
        if len(members):
            best.append(int(members[found.met.bound[members].argmax()]))
    if not best:
        return None
    mean, unit = found.met.mean[best], found.met.cholesky[best].square().sum(2).mean(0).sqrt()
    variance = (mean / unit).var(0, correction=0) + 1
    spread = unit * ((variance + variance.mean()) / 2).sqrt()
    width = torch.tensor(_WIDTHS).to(mean).repeat(_POINTS_OF_A_LOOK // len(_WIDTHS))
    z = torch.randn(len(width), mean.shape[1], generator=generator, dtype=mean.dtype, device=mean.device)
    return mean.mean(0) + width[:, None] * spread * z, width * spread.mean()
