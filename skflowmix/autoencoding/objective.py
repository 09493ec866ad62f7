"""What fits of autoencoders minimise."""

from dataclasses import dataclass


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
    """

    free_bits: float = 0.0
    warms_up: bool = False

    @property
    def is_scored_in_full(self):
        """Not while the divergence comes in."""
        return not self.warms_up

    def __call__(self, model, batch, progress=1.0):
        """Loss (1, N), in nats."""
        terms = model.terms(batch.x, batch.noise.transpose(0, 1), batch.condition)
        return self.of_terms(model, terms, progress)[None]

    def of_terms(self, model, terms, progress):
        """Loss of each row (N,), in nats."""
        warmth = progress if self.warms_up else 1.0
        loss = -terms.bound(warmth)
        if self.free_bits and model.training:
            loss = loss + warmth * terms.missing_bits(self.free_bits, model.encoder.n_latent)
        return loss
