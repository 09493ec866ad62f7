"""What a fit of an autoencoder of rows with classes leaves behind."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from ..bridge import evaluate_in_chunks, seeded_generator, undisturbed
from ..modules.description import describe, rebuild
from ..modules.labelled_autoencoder import LabelledAutoencoder
from ..threads import one_torch_thread
from ..training import History
from .row_noise import paired_noise
from .units import Units

_ROWS_AT_ONCE = 1024


@dataclass(frozen=True)
class FittedLabelledAutoencoder:
    """A fit; nothing of it changes any more.

    Attributes
    ----------
    model : LabelledAutoencoder
        In float64.
    classes : ndarray of shape (n_classes,)
        In the order of the model's codes, which is that of the rows that first have them.
    likelihood : str
        Its name.
    units : Units
    seed : int
        Of the draws that styles are means of, where an encoder does not know them.
    score : float
        Objective of the state that was kept, in nats a row, in the model's units.
    converged : bool
    history : History
    """

    model: LabelledAutoencoder
    classes: np.ndarray
    likelihood: str
    units: Units
    seed: int
    score: float
    converged: bool
    history: History

    @property
    def in_order(self) -> np.ndarray:
        """Codes of the sorted classes."""
        return np.argsort(self.classes, kind="stable")

    @property
    def n_latent(self) -> int:
        return self.model.autoencoder.encoder.n_latent

    def log_resp(self, X: np.ndarray) -> np.ndarray:
        """Log-probabilities of the classes given rows (N, D), ndarray of shape (N, K)."""
        return evaluate_in_chunks(lambda rows: self.model.log_resp(self._rows(rows)), X, size=_ROWS_AT_ONCE)

    def predict(self, X: np.ndarray) -> np.ndarray:
        """Codes of the most probable classes."""
        return self.log_resp(X).argmax(1)

    def sample(self, codes: np.ndarray, seed: int) -> np.ndarray:
        """A row of each class, given by codes, in the units of X."""
        with undisturbed(), one_torch_thread(), torch.no_grad():
            generator = seeded_generator(seed, self.model.log_prior.device)
            condition = self.model.condition(self._codes(codes))
            x, _ = self.model.autoencoder.sample(len(codes), condition, generator=generator)
        return self.units.outer(x.cpu().numpy())

    def draw_classes(self, n_samples: int, random_state: np.random.RandomState) -> np.ndarray:
        """Codes of classes, by their probabilities, in the order of the sorted classes."""
        prior = self.model.log_prior[0].exp().cpu().numpy()
        codes = random_state.choice(len(prior), n_samples, p=prior / prior.sum())
        return self.in_order[np.sort(np.argsort(self.in_order)[codes])]

    def reconstruct(self, X: np.ndarray, codes: np.ndarray) -> np.ndarray:
        """Means of rows with the style of X and the classes of codes, in the units of X."""

        def of_rows(part):
            rows, wanted = self._rows(X[part]), self._codes(codes[part])
            style = self._style(rows, self.model.log_resp(rows).argmax(1))
            raw = self.model.autoencoder.raw(style[None], self.model.condition(wanted))[0]
            return self.model.autoencoder.likelihood.mean(raw)

        return self.units.outer(evaluate_in_chunks(of_rows, np.arange(len(X)), size=_ROWS_AT_ONCE))

    def _style(self, x, codes):
        encoder = self.model.autoencoder.encoder
        if encoder.has_mean:
            return self.model.style(x, codes)
        noise = paired_noise(encoder.n_draws_of_mean, encoder.n_noise, self.seed)
        noise = torch.as_tensor(noise[:, None], dtype=x.dtype, device=x.device)
        return self.model.autoencoder.draw(x, noise, self.model.condition(codes)).z.mean(0)

    def _rows(self, X):
        rows, _ = self.units.inner(X)
        return torch.tensor(rows, dtype=torch.float64, device=self.model.log_prior.device)

    def _codes(self, codes):
        return torch.as_tensor(codes, device=self.model.log_prior.device)

    def __getstate__(self):
        """State without tensors: torch shares those between processes, which not all ways of starting one allow."""
        return {**vars(self), "model": describe(self.model)}

    def __setstate__(self, state):
        vars(self).update(state, model=rebuild(state["model"]))
