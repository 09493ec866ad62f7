"""What fits of autoencoders minimise."""

import math
from dataclasses import dataclass

from ..modules.weight_noise import weight_divergence


@dataclass(frozen=True)
class BoundObjective:
    """Minus the bound on the log-density of each row; see `training.protocols.Objective`.

    Rows that are held out are scored by the bound itself, without free bits, and with the whole divergence.

    Attributes
    ----------
    free_bits : float
        Nats of each latent feature's divergence that cost nothing in training.
    warms_up : bool
        Whether the divergence counts `progress` times only.
    n_rows : float
        Rows that are fitted, each of which has its share of the divergence of the weights, where they are `Uncertain`.
    """

    free_bits: float = 0.0
    warms_up: bool = False
    n_rows: float = math.inf

    @property
    def is_scored_in_full(self):
        """Not while the divergence comes in."""
        return not self.warms_up

    def __call__(self, model, batch, progress=1.0):
        """Loss (1, N), in nats."""
        terms = model.terms(batch.x, batch.noise.transpose(0, 1), batch.condition)
        return (self.of_terms(model, terms, progress) + self.of_weights(model))[None]

    def of_terms(self, model, terms, progress):
        """Loss of each row (N,), in nats."""
        warmth = progress if self.warms_up else 1.0
        loss = -terms.bound(warmth)
        if self.free_bits and model.training:
            loss = loss + warmth * terms.missing_bits(self.free_bits, model.encoder.n_latent)
        return loss

    def of_weights(self, model):
        """Share of a row in the divergence of the weights from their prior, in training: Tensor (1,)."""
        return weight_divergence(model) / (self.n_rows if model.training else math.inf)
