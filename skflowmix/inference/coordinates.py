r"""From parameters that may be bounded to coordinates that flows are at home in: unbounded, of scale one.

A parameter between a and b is :math:`a + (b - a) \sigma(y)`, one that is bounded on one side :math:`a + e^y` or
:math:`b - e^y`; then :math:`y = m + s u` feature by feature.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
from torch.nn.functional import logsigmoid


@dataclass(frozen=True)
class Coordinates:
    """The map between coordinates u and parameters theta.

    Attributes
    ----------
    low, high : Tensor of shape (D,)
        Bounds of each parameter, infinite where there are none.
    location, scale : Tensor of shape (D,)
        Of y, which is u where they are zero and one.
    """

    low: torch.Tensor
    high: torch.Tensor
    location: torch.Tensor
    scale: torch.Tensor

    @classmethod
    def within(cls, bounds, n_features, device):
        """Coordinates of scale one within bounds.

        Parameters
        ----------
        bounds : sequence of (float, float) or None, or None
        n_features : int
        device : torch.device

        Raises
        ------
        ValueError
            If bounds are not a pair for each feature, the lower one first.
        """
        pairs = [(-np.inf, np.inf)] * n_features if bounds is None else list(bounds)
        pairs = [(-np.inf, np.inf) if pair is None else pair for pair in pairs]
        try:
            sides = np.array(pairs, dtype=np.float64).reshape(n_features, 2)
        except (TypeError, ValueError) as error:
            raise ValueError(
                f"bounds must be None or hold a pair (low, high), or None, for each of the {n_features} features; "
                f"got {bounds!r}."
            ) from error
        low, high = torch.as_tensor(sides.T.copy(), device=device)
        if not (low < high).all() or (low == torch.inf).any() or (high == -torch.inf).any():
            raise ValueError(f"bounds must hold pairs (low, high) with low < high; got {bounds!r}.")
        return cls(low, high, torch.zeros_like(low), torch.ones_like(low))

    def interior(self, dtype):
        """The least and the greatest numbers of a type within the bounds, float64 ndarray of shape (2, D), or None.

        In the type's rounding a number near a bound may be the bound itself, where a density may be infinite.
        """
        if not (self.low.isfinite() | self.high.isfinite()).any():
            return None
        low, high, type_ = self.low.cpu().to(dtype), self.high.cpu().to(dtype), torch.finfo(dtype)
        above = torch.nextafter(low, torch.full_like(low, torch.inf)).where(low != 0, type_.tiny)
        below = torch.nextafter(high, torch.full_like(high, -torch.inf)).where(high != 0, -type_.tiny)
        least = low.clone().masked_fill_(high.isfinite(), type_.min)
        greatest = high.clone().masked_fill_(low.isfinite(), type_.max)
        sides = torch.where(low.isfinite(), above, least), torch.where(high.isfinite(), below, greatest)
        return torch.stack(sides).double().numpy()

    def scaled(self, location, scale):
        """The same bounds with other units."""
        return replace(self, location=location, scale=scale)

    def to_theta(self, u):
        """Parameters and the log-determinant of the map to them.

        Parameters
        ----------
        u : Tensor of shape (N, D)

        Returns
        -------
        theta : Tensor of shape (N, D)
        log_det : Tensor of shape (N,)
        """
        low, high, location, scale = self._like(u)
        y, log_det = location + scale * u, scale.log().expand(u.shape)
        from_below, from_above, between = low.isfinite(), high.isfinite(), low.isfinite() & high.isfinite()
        if not (from_below | from_above).any():
            return y, log_det.sum(-1)
        low, high = torch.where(from_below, low, 0.0), torch.where(from_above, high, 1.0)
        one_sided = (from_below | from_above) & ~between
        rise = torch.where(one_sided, y, 0.0).exp()
        theta = torch.where(from_below, low + rise, torch.where(from_above, high - rise, y))
        theta = torch.where(between, low + (high - low) * y.sigmoid(), theta)
        bend = torch.where(between, (high - low).abs().log() + logsigmoid(y) + logsigmoid(-y), 0.0)
        return theta, (log_det + torch.where(one_sided, y, bend)).sum(-1)

    def from_theta(self, theta):
        """The inverse of `to_theta`, and whether rows are within bounds, without which u has no meaning.

        Parameters
        ----------
        theta : Tensor of shape (N, D)

        Returns
        -------
        u : Tensor of shape (N, D)
        inside : bool Tensor of shape (N,)
        """
        low, high, location, scale = self._like(theta)
        inside = (theta > low) & (theta < high)
        from_below, from_above = low.isfinite(), high.isfinite()
        above, below = (
            torch.where(inside & from_below, theta - low, 1.0),
            torch.where(inside & from_above, high - theta, 1.0),
        )
        y = torch.where(from_below, above.log(), torch.where(from_above, below.log(), theta))
        y = torch.where(from_below & from_above, above.log() - below.log(), y)
        return (y - location) / scale, inside.all(-1)

    def _like(self, x):
        return (side.to(x) for side in vars(self).values())
