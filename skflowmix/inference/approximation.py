"""A mixture of flows with its coordinates and the target that it stands for: densities, draws and their weights."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from ..bridge import evaluate_in_chunks, seeded_generator
from ..modules import FlowMixture, component_axis
from ..modules.workload import rows_at_once
from .coordinates import Coordinates
from .target import Target


@dataclass(frozen=True)
class Seen:
    """A target as it is seen in the coordinates of a mixture."""

    target: Target
    coordinates: Coordinates

    def __call__(self, u):
        """Log-density of rows: Tensor of shape (N, D) -> Tensor of shape (N,), -inf where it is none."""
        theta, log_det = self.coordinates.to_theta(u)
        value = self.target(theta) + log_det
        return torch.where(value.isnan(), -torch.inf, value)

    def value_and_gradient(self, u):
        """Log-density of rows and its gradient, (N,) and (N, D); zeros where it is none."""
        with torch.enable_grad():
            u = u.detach().requires_grad_()
            value = self(u)
            (gradient,) = torch.autograd.grad(value.sum(), u)
        value = value.detach()
        usable = gradient.isfinite().all(1) & value.isfinite()
        return value, torch.where(usable[:, None], gradient, 0.0)


@dataclass(frozen=True)
class Approximation:
    """A mixture that stands for a target; nothing of it changes any more.

    Attributes
    ----------
    mixture : FlowMixture
        In float64, of the coordinates u.
    coordinates : Coordinates
    target : Target
        Without its function in copies by pickle.
    """

    mixture: FlowMixture
    coordinates: Coordinates
    target: Target

    @property
    def n_features(self) -> int:
        return self.mixture.base.n_features

    def log_prob(self, theta: np.ndarray) -> np.ndarray:
        """Log-density log q of rows (N, D), in nats; -inf beyond the bounds."""
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
            target.probe(torch.as_tensor(self.draw(16, 0)))
            return target
        if self.target.log_density is None:
            raise ValueError("A posterior that was copied by pickle has no log-density; hand it over as log_density.")
        return self.target

    def draw(self, n_samples: int, seed: int) -> np.ndarray:
        """Rows (n_samples, D) of the mixture, in random order."""
        generator = seeded_generator(seed, self.mixture.logits.device)
        u, _ = self.mixture.sample(n_samples, generator=generator)
        u = u[torch.randperm(n_samples, generator=generator, device=u.device)]
        parts = (self.coordinates.to_theta(part)[0] for part in u.split(rows_at_once(self.mixture)))
        return torch.cat(list(parts)).cpu().numpy()

    def weighted_draws(self, n_samples: int, target: Target, seed: int) -> tuple[np.ndarray, np.ndarray]:
        """Rows of the mixture, and log p - log q of each, in nats."""
        theta = self.draw(n_samples, seed)
        return theta, self.log_weight(theta, target)

    def log_weight(self, theta: np.ndarray, target: Target) -> np.ndarray:
        """Log p - log q of rows, in nats; -inf where p is nil."""
        log_p, log_q = self.log_target(theta, target), self.log_prob(theta)
        return np.subtract(log_p, log_q, out=np.full(len(theta), -np.inf), where=np.isfinite(log_q))

    def __getstate__(self):
        """State without tensors of a module, as a `fitting.FittedMixture` has it."""
        coordinates = {name: tensor.cpu().numpy() for name, tensor in vars(self.coordinates).items()}
        mixture = component_axis.split_off_arrays(self.mixture)
        return {**vars(self), "mixture": mixture, "coordinates": coordinates}

    def __setstate__(self, state):
        coordinates = Coordinates(**{name: torch.from_numpy(array) for name, array in state["coordinates"].items()})
        mixture = component_axis.put_arrays(*state["mixture"])
        vars(self).update(state, mixture=mixture, coordinates=coordinates)
