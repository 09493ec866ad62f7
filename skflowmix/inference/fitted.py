"""What a fit to a log-density leaves behind."""

from __future__ import annotations

from dataclasses import dataclass

from ..training import History
from .approximation import Approximation


@dataclass(frozen=True)
class Verdict:
    """What draws of the mixture and their weights say of it.

    Attributes
    ----------
    elbo : float
        Mean of log p - log q over draws where p is not nil, in nats.
    log_evidence, log_evidence_se : float
        In nats.
    ess : float
        Effective number of the draws.
    pareto_k : float
    n_draws, n_nil : int
        How many there were, and at how many of them p is nil.
    """

    elbo: float
    log_evidence: float
    log_evidence_se: float
    ess: float
    pareto_k: float
    n_draws: int
    n_nil: int


@dataclass(frozen=True)
class FittedPosterior:
    """A fit; nothing of it changes any more.

    Attributes
    ----------
    approximation : Approximation
    n_modes : int
        How many hills the start has found.
    converged : bool
    history : History
    verdict : Verdict or None
        None where Ctrl-C came before there was one.
    """

    approximation: Approximation
    n_modes: int
    converged: bool
    history: History
    verdict: Verdict | None
