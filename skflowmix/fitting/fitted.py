"""What a fit leaves behind: a mixture of standardised rows, and the way there from the units of X and back."""

from __future__ import annotations

import copy
from dataclasses import dataclass, replace

import numpy as np

from ..bridge import evaluate_in_chunks, seeded_generator
from ..modules import FlowMixture
from ..training import History
from .plan import Plan

_MAX_STANDARDISED = 1e30


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
        Which of the plan's components the mixture has; the others were pruned.
    score : float
        Of the state that was kept, in nats, in the units of X.
    bounds : list of float
    converged : bool
    history : History
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

    @property
    def weights(self) -> np.ndarray:
        """Mixture weights of the plan's components, zero for those that were pruned."""
        weights = np.zeros(len(self.plan.component_class))
        weights[self.slots] = self.mixture.log_weights().exp().squeeze(0).detach().cpu().numpy()
        return weights

    def predict(self, X: np.ndarray) -> np.ndarray:
        """Most probable component of each row."""
        return self.evaluate("log_resp", X).argmax(1)

    def evaluate(self, method: str, X: np.ndarray) -> np.ndarray:
        """A method of the mixture, by its name, for the rows of X, standardised.

        Columns are those of the plan's components; -inf for those that were pruned.
        """
        values = evaluate_in_chunks(getattr(self.mixture, method), X, self.mixture, self._standardise)
        n_components = len(self.plan.component_class)
        if values.ndim == 1 or values.shape[1] == n_components:
            return values
        spread = np.full((len(values), n_components), -np.inf)
        spread[:, self.slots] = values
        return spread

    def log_density(self, method: str, X: np.ndarray) -> np.ndarray:
        """`evaluate` of a method that gives log-densities, in the units of X."""
        return self.evaluate(method, X) - np.log(self.plan.scaler.scale_).sum()

    def _standardise(self, X):
        """Standardised rows in double precision, as far out as a flow can take them."""
        with np.errstate(over="ignore"):
            X = self.plan.scaler.transform(X.astype(np.float64))
        return np.clip(X, -_MAX_STANDARDISED, _MAX_STANDARDISED)

    def sample(self, n_samples: int | np.integer, seed: int) -> tuple[np.ndarray, np.ndarray]:
        """Rows in the units of X, and the component of each, sorted by component."""
        generator = seeded_generator(seed, self.mixture.logits.device)
        x, component = self.mixture.sample(n_samples, generator=generator)
        return self.plan.scaler.inverse_transform(x.cpu().numpy()), self.slots[component.cpu().numpy()]

    @property
    def n_parameters(self) -> int:
        """Those of the density, which a posterior network is no part of."""
        named = self.mixture.named_parameters()
        learned = [p for name, p in named if p.requires_grad and not name.startswith("posterior.")]
        return sum(p.numel() for p in learned) - self.mixture.logits.requires_grad

    def on_cpu(self) -> FittedMixture:
        """The same where there need be no GPU."""
        return replace(self, mixture=copy.deepcopy(self.mixture).cpu())
