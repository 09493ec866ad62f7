"""A mixture of flows with its coordinates and the target that it stands for: densities, draws and their weights."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import numpy as np
import torch

from ..bridge import evaluate_in_chunks, seeded_generator
from ..modules import Chain, FlowMixture
from ..modules.description import describe, rebuild
from ..modules.workload import rows_at_once
from .coordinates import Coordinates
from .target import Target


@dataclass(frozen=True)
class Seen:
    """A target as it is seen in the coordinates of a mixture, its logarithm counted from a level on, in nats."""

    target: Target
    coordinates: Coordinates
    level: float = 0.0

    def __call__(self, u):
        """Log-density of rows: Tensor of shape (N, D) -> Tensor of shape (N,), -inf where it is none."""
        theta, log_det = self.coordinates.to_theta(u)
        value = self.target(theta) + log_det - self.level
        return torch.where(value.isnan(), -torch.inf, value)

    def value_and_gradient(self, u):
        """Log-density of rows and its gradient, (N,) and (N, D); zeros where it is none."""
        value, gradient, usable = self._differentiate(u.detach(), False)
        return value, torch.where(usable[:, None], gradient, 0.0)

    def slope(self, u):
        """Gradient of rows (N, D), which autograd can go through where it is on; zeros where it is none."""
        goes_on = torch.is_grad_enabled()
        _, gradient, usable = self._differentiate(u, goes_on)
        if not goes_on or usable.all():
            return torch.where(usable[:, None], gradient, 0.0)
        zeros, place = torch.zeros_like(u), usable.nonzero().squeeze(1)
        if not len(place):
            return zeros
        # Alone, since what is not finite would spoil the derivatives of zeros in its place.
        return zeros.index_copy(0, place, self._differentiate(u[place], goes_on)[1])

    def _differentiate(self, u, goes_on):
        """Log-density, gradient, and whether both are finite."""
        with torch.enable_grad():
            u = u if u.requires_grad else u.detach().requires_grad_()
            value = self(u)
            (gradient,) = torch.autograd.grad(value.sum(), u, create_graph=goes_on)
        value = value.detach()
        return value, gradient, gradient.isfinite().all(1) & value.isfinite()


@dataclass(frozen=True)
class Approximation:
    """A mixture, and maybe a chain behind it, that stands for a target; nothing of it changes any more.

    Attributes
    ----------
    mixture : FlowMixture
        In float64, of the coordinates u.
    coordinates : Coordinates
    target : Target
        Without its function in copies by pickle.
    chain : Chain or None
        In float64, of the coordinates u.
    """

    mixture: FlowMixture
    coordinates: Coordinates
    target: Target
    chain: Chain | None = None

    @property
    def n_features(self) -> int:
        return self.mixture.base.n_features

    def log_prob(self, theta: np.ndarray) -> np.ndarray:
        """Log-density log q of rows (N, D) of the mixture, in nats; -inf beyond the bounds."""
        return evaluate_in_chunks(self._log_prob, theta, self.mixture)

    def _log_prob(self, theta):
        u, inside = self.coordinates.from_theta(torch.as_tensor(theta).to(self.mixture.logits))
        u = torch.where(inside[:, None], u, 0.0)
        return torch.where(inside, self.mixture.log_prob(u) - self.coordinates.to_theta(u)[1], -torch.inf)

    def log_target(self, theta: np.ndarray, target: Target) -> np.ndarray:
        """Log-density of the target at rows (N, D), in nats.

        Raises
        ------
        ValueError
            If it is +inf somewhere.
        """
        values = evaluate_in_chunks(lambda rows: self._log_target(rows, target), theta, self.mixture)
        target.check(torch.as_tensor(values))
        return values

    def _log_target(self, theta, target):
        return target(torch.as_tensor(theta).to(self.mixture.logits))

    def target_of(self, log_density) -> Target:
        """The target that a function stands for, which is None for the one that was fitted.

        Raises
        ------
        ValueError, TypeError
            If this is a copy, which has no function; if the function is not what it has to be.
        """
        if log_density is not None:
            target = self.target.of(log_density)
            target.probe(torch.as_tensor(self._to_theta(self._begin(16, 0)[0])))
            return target
        if self.target.log_density is None:
            raise ValueError("A posterior that was copied by pickle has no log-density; hand it over as log_density.")
        return self.target

    @property
    def draws_take_the_target(self) -> bool:
        """Whether draws go by its gradient."""
        return self.chain is not None and self.chain.needs_slope

    def draw(self, n_samples: int, seed: int, target: Target | None = None) -> np.ndarray:
        """Rows (n_samples, D), in random order: of the mixture, or the ends of chains where there is a chain.

        The target is asked for where `draws_take_the_target`.
        """
        u, generator = self._begin(n_samples, seed)
        if self.chain is None:
            return self._to_theta(u)
        end = partial(self._end, self.chain, target)
        return evaluate_in_chunks(lambda rows: end(rows)[2], _with_noise(self.chain, u, generator), self.mixture)

    def weighted_draws(self, n_samples: int, target: Target, seed: int) -> tuple[np.ndarray, np.ndarray]:
        """Rows as of `draw` and their log-weights in nats: log p - log q, or log p + log r - log q of whole chains."""
        if self.chain is None:
            theta = self.draw(n_samples, seed)
            return theta, self.log_weight(theta, target)
        rows = _with_noise(self.chain, *self._begin(n_samples, seed))
        found = evaluate_in_chunks(partial(self._weighted_end, self.chain, target), rows, self.mixture)
        theta, log_p, log_ratio = found[:, :-2], found[:, -2], found[:, -1]
        target.check(torch.as_tensor(log_p))
        return theta, log_p + log_ratio

    def _begin(self, n_samples, seed):
        """Rows of the mixture in its own coordinates, in random order, and the generator that has drawn them."""
        generator = seeded_generator(seed, self.mixture.logits.device)
        u, _ = self.mixture.sample(n_samples, generator=generator)
        return u[torch.randperm(n_samples, generator=generator, device=u.device)], generator

    def _to_theta(self, u):
        parts = (self.coordinates.to_theta(part)[0] for part in u.split(rows_at_once(self.mixture)))
        return torch.cat(list(parts)).cpu().numpy()

    def _end(self, chain, target, rows):
        """Beginnings, ends in the coordinates u and in parameters, all (N, D), and log r - log q of the way, (N,)."""
        rows = torch.as_tensor(rows).to(self.mixture.logits)
        u, noise = rows[:, : self.n_features], rows[:, self.n_features :]
        end, log_ratio = chain(u, noise, Seen(target, self.coordinates).slope)
        return u, end, self.coordinates.to_theta(end)[0], log_ratio

    def _weighted_end(self, chain, target, rows):
        """Parameters, log p of the mixture's coordinates, and log r - log q of all states, (N, D + 2)."""
        u, end, theta, log_ratio = self._end(chain, target, rows)
        log_ratio = log_ratio - self.mixture.log_prob(u)
        return torch.cat([theta, Seen(target, self.coordinates)(end)[:, None], log_ratio[:, None]], 1)

    def log_weight(self, theta: np.ndarray, target: Target) -> np.ndarray:
        """Log p - log q of rows, in nats; -inf where p is nil."""
        log_p, log_q = self.log_target(theta, target), self.log_prob(theta)
        return np.subtract(log_p, log_q, out=np.full(len(theta), -np.inf), where=np.isfinite(log_q))

    def __getstate__(self):
        """State without tensors of a module, as a `fitting.FittedMixture` has it."""
        coordinates = {name: tensor.cpu().numpy() for name, tensor in vars(self.coordinates).items()}
        mixture, chain = describe(self.mixture), None if self.chain is None else describe(self.chain)
        return {**vars(self), "mixture": mixture, "coordinates": coordinates, "chain": chain}

    def __setstate__(self, state):
        coordinates = Coordinates(**{name: torch.from_numpy(array) for name, array in state["coordinates"].items()})
        mixture, chain = rebuild(state["mixture"]), None if state["chain"] is None else rebuild(state["chain"])
        vars(self).update(state, mixture=mixture, coordinates=coordinates, chain=chain)


def _with_noise(chain, u, generator):
    """Beginnings of chains and the noise that they take, ndarray of shape (N, D + n_noise)."""
    noise = torch.randn(len(u), chain.n_noise, generator=generator, dtype=u.dtype, device=u.device)
    return torch.cat([u, noise], 1).cpu().numpy()
