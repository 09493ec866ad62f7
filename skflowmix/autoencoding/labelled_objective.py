"""What fits of autoencoders of rows with classes minimise."""

from dataclasses import dataclass

import torch

from .objective import BoundObjective


@dataclass(frozen=True)
class LabelledObjective:
    r"""Minus :math:`L(x, y) + \alpha \log q(y \mid x)` of labelled rows and :math:`U(x)` of others, by their weights.

    Others for which there is a guess of the class have :math:`\beta \log q(y \mid x)` of that in addition.

    See `modules.labelled_autoencoder` for L and U, `training.protocols.Objective` for the rest.

    Attributes
    ----------
    bound : BoundObjective
        How the bounds count that L and U are made of.
    supervised_weight : float
        Number alpha.
    spreading_weight : float
        Number beta.
    """

    bound: BoundObjective
    supervised_weight: float
    spreading_weight: float = 0.0

    @property
    def is_scored_in_full(self):
        """As the bounds are."""
        return self.bound.is_scored_in_full

    def __call__(self, model, batch, progress=1.0):
        """Loss (1, N), in nats."""
        known = batch.codes >= 0
        log_resp = model.log_resp(batch.x)
        loss = torch.zeros_like(batch.weight)
        loss[known] = self._of_labelled(model, batch[known], log_resp[known], progress)
        loss[~known] = self._of_unlabelled(model, batch[~known], log_resp[~known], progress)
        return (batch.weight * (loss + self.bound.of_weights(model)))[None]

    def _of_labelled(self, model, rows, log_resp, progress):
        if not len(rows):
            return log_resp.sum(1)
        terms = model.terms(rows.x, rows.codes, rows.noise.transpose(0, 1))
        joint = self.bound.of_terms(model.autoencoder, terms, progress) - model.log_prior[0, rows.codes]
        return joint - self.supervised_weight * log_resp.gather(1, rows.codes[:, None])[:, 0]

    def _of_unlabelled(self, model, rows, log_resp, progress):
        if not len(rows):
            return log_resp.sum(1)
        terms = model.terms_of_classes(rows.x, rows.noise.transpose(0, 1))
        bounds = self.bound.of_terms(model.autoencoder, terms, progress).view(model.n_classes, len(rows)).T
        loss = (log_resp.exp() * (bounds - model.log_prior + log_resp)).sum(1)
        guessed = log_resp.gather(1, rows.guess[:, None].clamp_min(0))[:, 0]
        return loss - self.spreading_weight * guessed * (rows.guess >= 0)
