"""What a fit of an autoencoder leaves behind."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch

from ..bridge import evaluate_in_chunks, seeded_generator, undisturbed
from ..modules.autoencoder import Autoencoder
from ..modules.description import describe, rebuild
from ..threads import one_torch_thread
from ..training import History
from .row_noise import noise_of_rows, paired_noise
from .units import Units

_ROWS_AT_ONCE = 1024
_DRAWS_OF_CLUSTERS = 16


@dataclass(frozen=True)
class FittedAutoencoder:
    """A fit; nothing of it changes any more.

    Attributes
    ----------
    model : Autoencoder
        In float64.
    likelihood : str
        Its name.
    units : Units
    seed : int
        Of the draws that scores are means of.
    score : float
        Bound of the state that was kept, in nats, in the units of X.
    converged : bool
    history : History
    """

    model: Autoencoder
    likelihood: str
    units: Units
    seed: int
    score: float
    converged: bool
    history: History

    @property
    def n_latent(self) -> int:
        return self.model.encoder.n_latent

    @property
    def n_features(self) -> int:
        return self.model.likelihood.n_features

    @property
    def n_components(self) -> int:
        return self.model.n_components

    def _tensor(self, values):
        return torch.tensor(values, dtype=torch.float64, device=next(self.model.parameters()).device)

    def _rows(self, X):
        return self._tensor(self.units.inner(X)[0])

    def transform(self, X: np.ndarray) -> np.ndarray:
        """Posterior means of the latent places of rows (N, D), ndarray of shape (N, L)."""
        encoder = self.model.encoder
        if encoder.has_mean:
            return evaluate_in_chunks(lambda rows: self.model.mean(self._rows(rows)), X, size=_ROWS_AT_ONCE)
        return self._mean_over_draws(X, encoder.n_draws_of_mean, lambda z: z)

    def resp(self, X: np.ndarray) -> np.ndarray:
        """Mean probabilities of the prior's components at draws of the latent places, ndarray of shape (N, K)."""

        def of_places(z):
            return self.model.prior.log_resp(z.flatten(0, 1)).exp().unflatten(0, z.shape[:2])

        return self._mean_over_draws(X, _DRAWS_OF_CLUSTERS, of_places)

    def _mean_over_draws(self, X, n_draws, function):
        """Mean over draws, with the same noise for all rows, of a function (S, n, L) -> (S, n, ...)."""
        noise = self._tensor(paired_noise(n_draws, self.model.encoder.n_noise, self.seed))[:, None]

        def of_rows(rows):
            return function(self.model.draw(self._rows(rows), noise).z).mean(0)

        return evaluate_in_chunks(of_rows, X, size=max(_ROWS_AT_ONCE // n_draws, 1))

    def inverse_transform(self, Z: np.ndarray) -> np.ndarray:
        """Means of rows given their latent places (N, L), ndarray of shape (N, D)."""

        def of_places(places):
            return self.model.likelihood.mean(self.model.raw(self._tensor(places)[None])[0])

        return self.units.outer(evaluate_in_chunks(of_places, Z, size=_ROWS_AT_ONCE))

    def sample(self, n_samples: int, seed: int) -> np.ndarray:
        """Rows in the units of X."""
        with undisturbed(), one_torch_thread(), torch.no_grad():
            generator = seeded_generator(seed, next(self.model.parameters()).device)
            x, _ = self.model.sample(n_samples, generator=generator)
        return self.units.outer(x.cpu().numpy())

    def bound(self, X: np.ndarray, n_draws: int) -> np.ndarray:
        """Mean of the bound over so many draws, of each row, in nats, in the units of X."""
        return self._of_terms(X, n_draws, lambda terms: terms.mean_bound())

    def log_density(self, X: np.ndarray, n_draws: int) -> np.ndarray:
        """Importance-weighted estimate of each row's log-density, in nats, in the units of X."""
        return self._of_terms(X, n_draws, lambda terms: terms.log_weights().logsumexp(0) - math.log(n_draws))

    def _of_terms(self, X, n_draws, function):
        shape = n_draws, self.model.encoder.n_noise

        def of_rows(rows):
            x, log_det = self.units.inner(rows)
            noise = self._tensor(noise_of_rows(rows, shape, self.seed)).transpose(0, 1)
            return function(self.model.terms(self._tensor(x), noise)) + self._tensor(log_det)

        return evaluate_in_chunks(of_rows, X, size=max(_ROWS_AT_ONCE // n_draws, 1))

    def __getstate__(self):
        """State without tensors: torch shares those between processes, which not all ways of starting one allow."""
        return {**vars(self), "model": describe(self.model)}

    def __setstate__(self, state):
        vars(self).update(state, model=rebuild(state["model"]))
