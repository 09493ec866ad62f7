"""What happened in a fit, iteration by iteration."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass
class History:
    """Record of a fit of R restarts.

    Attributes
    ----------
    training_score, validation_score : list of list of float
        For each iteration, each restart's mean objective per row (a log-likelihood, in nats, of the
        standardised data where there are no labels). Without a validation split the second list is empty.
    learning_rate : list of list of float
        For each iteration, each restart's step size.
    n_rollbacks : int
        How often a restart was returned to its best state because a step was not finite.
    interrupted : bool
        Whether the fit was ended by Ctrl-C.
    warm_up : History or None
        What happened before, while each component learned the rows that the start had given it.
    """

    training_score: list = field(default_factory=list)
    validation_score: list = field(default_factory=list)
    learning_rate: list = field(default_factory=list)
    n_rollbacks: int = 0
    interrupted: bool = False
    warm_up: History | None = None
