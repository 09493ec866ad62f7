"""What a fit leaves behind: a mixture of standardised rows, and the way there from the units of X and back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from ..bridge import evaluate_in_chunks, seeded_generator, undisturbed
from ..modules import FlowMixture
from ..modules.description import describe, rebuild
from ..threads import one_torch_thread
from ..training import History
from .plan import Plan

_ROWS_AT_ONCE = 2**14


@dataclass(frozen=True)
class FittedMixture:
    """A fitted mixture with all that belongs to it; nothing of it changes any more.

    Attributes
    ----------
    mixture : FlowMixture
        In float64.
    plan : Plan
    classes : ndarray of shape (n_classes,)
    labels : ndarray of shape (n_samples,), or None
        Component of each row of the table, of a clustering.
    slots : int ndarray
        Which of the plan's components the mixture has, in its order; others were pruned.
    score : float
        Of the state that was kept, in nats, in the units of X.
    bounds : list of float
    converged : bool
    history : History
    members : tuple of FittedMixture
        The fits that this one is the mean of; empty where it is none.
    offset : float, or None
        Log-density below which a row is an outlier.
    """

    mixture: FlowMixture
    plan: Plan
    classes: np.ndarray
    slots: np.ndarray
    score: float
    bounds: list[float]
    converged: bool
    history: History
    labels: np.ndarray | None = None
    members: tuple[FittedMixture, ...] = ()
    offset: float | None = None

    @property
    def weights(self) -> np.ndarray:
        """Mixture weights of the plan's components, zero for those that were pruned."""
        weights = np.zeros(len(self.plan.component_class))
        weights[self.slots] = self.mixture.log_weights().exp().squeeze(0).detach().cpu().numpy()
        return weights

    def components_of(self, label: Any) -> np.ndarray:
        """Which of the plan's components stand for a class, int ndarray.

        Raises
        ------
        ValueError
            If there is no such class.
        """
        classes = self.classes.tolist()
        if label not in classes:
            raise ValueError(f"y must be one of the classes {classes}, or None; got {label!r}.")
        return np.flatnonzero(self.plan.component_class == classes.index(label))

    def predict(self, X: np.ndarray) -> np.ndarray:
        """Most probable component of each row."""
        return self.slots[self._in_chunks(X, lambda rows: self._values("log_resp", rows)[0].argmax(1))]

    def log_resp_of_classes(self, X: np.ndarray) -> np.ndarray:
        """Log-probabilities of the classes given each row, ndarray of shape (N, n_classes)."""
        return self._in_chunks(X, self._of_classes)

    def predict_class(self, X: np.ndarray) -> np.ndarray:
        """Most probable class of each row."""
        return self.classes[self._in_chunks(X, lambda rows: self._of_classes(rows).argmax(1))]

    def evaluate(self, method: str, X: np.ndarray) -> np.ndarray:
        """A method of the mixture, by its name, for the rows of X, scaled.

        Columns are those of the plan's components; -inf for those that were pruned.
        """
        return self._spread(self._in_chunks(X, lambda rows: self._values(method, rows)[0]))

    def log_density(self, method: str, X: np.ndarray) -> np.ndarray:
        """`evaluate` of a method that gives log-densities, in the units of X."""
        return self._spread(self._in_chunks(X, lambda rows: sum(self._values(method, rows))))

    def latent(self, X: np.ndarray) -> np.ndarray:
        """Latent coordinates of each row under its most probable component, ndarray of shape (N, D)."""
        return self._in_chunks(X, self._latent)

    def _latent(self, X):
        component, mixture = self._values("log_resp", X)[0].argmax(1), self.mixture
        z = mixture.latent(torch.as_tensor(self.plan.scaler.transform(X)).to(mixture.logits))
        return z[component, torch.arange(len(X), device=z.device)]

    def _in_chunks(self, X, function):
        return evaluate_in_chunks(function, X, self.mixture)

    def _of_classes(self, X):
        log_resp, _ = self._values("log_resp", X)
        of_class = torch.as_tensor(self.plan.component_class[self.slots], device=log_resp.device)
        return torch.stack([log_resp[:, of_class == code].logsumexp(1) for code in range(len(self.classes))], 1)

    def _values(self, method, X):
        """What the method gives, (n,) or (n, K), and the log-determinant of the scaling, (n,) or (n, 1)."""
        rows, log_det = self.plan.scaler.transform_and_log_det(X)
        values = getattr(self.mixture, method)(torch.as_tensor(rows).to(self.mixture.logits))
        log_det = torch.as_tensor(log_det).to(values)
        return values, log_det if values.ndim == 1 else log_det[:, None]

    def _spread(self, values):
        if values.ndim == 1 or np.array_equal(self.slots, np.arange(len(self.plan.component_class))):
            return values
        spread = np.full((len(values), len(self.plan.component_class)), -np.inf)
        spread[:, self.slots] = values
        return spread

    def sample(
        self, n_samples: int | np.integer, seed: int, among: np.ndarray | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """Rows in the units of X, and the component of each, sorted by component; of some components only, or of all.

        Raises
        ------
        ValueError
            If there are none of these components.
        """
        mixture, slots = self.mixture, self.slots
        if among is not None:
            chosen = np.flatnonzero(np.isin(slots, among))
            if not len(chosen):
                raise ValueError(f"There is no such component; the mixture has {slots.tolist()}.")
            mixture, slots = mixture.select(chosen), slots[chosen]
        with undisturbed(), one_torch_thread():
            generator = seeded_generator(seed, mixture.logits.device)
            x, component = (tensor.cpu().numpy() for tensor in mixture.sample(n_samples, generator=generator))
            for start in range(0, len(x), _ROWS_AT_ONCE):
                rows = slice(start, start + _ROWS_AT_ONCE)
                x[rows] = self.plan.scaler.inverse_transform(x[rows])
        component = slots[component]
        if (np.diff(slots) < 0).any():
            order = np.argsort(component, kind="stable")
            x, component = x[order], component[order]
        return x, component

    def __getstate__(self):
        """State without tensors: torch shares those between processes, which not all ways of starting one allow."""
        return {**vars(self), "mixture": describe(self.mixture)}

    def __setstate__(self, state):
        vars(self).update(state, mixture=rebuild(state["mixture"]))
