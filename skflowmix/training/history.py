"""What happened in a fit, iteration by iteration."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from .report import Listener


@dataclass
class History(Listener):
    """Record of a fit of R restarts.

    Attributes
    ----------
    training_score, validation_score : list of list of float
        For each iteration, each restart's mean objective per row (a log-likelihood, in nats, of the
        standardised data where there are no labels). Without a validation split the second list is empty.
    start_score : list of float
        Each restart's score before the first iteration, without noise.
    learning_rate : list of list of float
        For each iteration, each restart's step size.
    n_rollbacks : int
        How often a restart was returned to its best state because a step was not finite.
    interrupted : bool
        Whether it, or what came before, was ended by Ctrl-C.
    stopped : bool
        Whether a listener, a callback of the estimator's say, ended it.
    warm_up : History or None
        What happened before, while each component learned the rows that the start had given it.
    m_steps : History or None
        What happened in the M-steps of expectation-maximisation, whose scores and step sizes are those of all
        R x K components, while the scores here are bounds after every E-step.
    members : list of History
        Of an average of fits, the record of each, which is all that there is then.
    """

    training_score: list = field(default_factory=list)
    validation_score: list = field(default_factory=list)
    start_score: list = field(default_factory=list)
    learning_rate: list = field(default_factory=list)
    n_rollbacks: int = 0
    interrupted: bool = False
    stopped: bool = False
    warm_up: History | None = None
    m_steps: History | None = None
    members: list[History] = field(default_factory=list)

    @classmethod
    def of_members(cls, members):
        """The record of several fits."""
        return cls(
            members=members,
            n_rollbacks=sum(member.n_rollbacks for member in members),
            interrupted=any(member.interrupted for member in members),
            stopped=any(member.stopped for member in members),
        )

    def of_restarts(self, first, last):
        """The record of some of the restarts."""
        return replace(
            self,
            training_score=[scores[first:last] for scores in self.training_score],
            validation_score=[scores[first:last] for scores in self.validation_score],
            learning_rate=[sizes[first:last] for sizes in self.learning_rate],
            start_score=self.start_score[first:last],
            warm_up=None if self.warm_up is None else self.warm_up.of_restarts(first, last),
        )

    def follow(self, warm_up):
        """Take in what happened before."""
        self.warm_up = warm_up
        self.interrupted |= warm_up is not None and warm_up.interrupted

    def iterate(self, iteration):
        """Write down an iteration."""
        self.training_score.append(iteration.training_score)
        if iteration.validation_score is not None:
            self.validation_score.append(iteration.validation_score)
        self.learning_rate.append(iteration.learning_rate)

    @property
    def n_iter(self):
        """Iterations taken, those of the warm-up, of M-steps and of all members included."""
        if self.members:
            return sum(member.n_iter for member in self.members)
        n_before = 0 if self.warm_up is None else self.warm_up.n_iter
        return n_before + (len(self.training_score) if self.m_steps is None else self.m_steps.n_iter)

    @property
    def bounds(self):
        """Of each restart, what expectation-maximisation maximises, or else the score that tells the best state."""
        return self.training_score if self.m_steps is not None else self.validation_score or self.training_score
