"""Training of a stack of restarts, and the choice among the states that they went through."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import dataclass

import numpy as np

from ..modules import FlowMixture
from ..training import (
    SOLVERS,
    History,
    LikelihoodObjective,
    Report,
    TrainingOptions,
    compiled,
    evaluate,
    plain_copy,
)
from .choice import best_score
from .recipe import Recipe
from .settings import Settings

_RAMP_SHARE = 20
_SUPERVISED_SHARE = 0.1


@dataclass(frozen=True)
class State:
    """A mixture of one restart, its score, the bounds of its restart, and how it was found."""

    mixture: FlowMixture
    score: float
    bounds: list
    converged: bool
    history: History


@dataclass(frozen=True)
class Training:
    """How a fit trains and chooses."""

    settings: Settings
    recipe: Recipe
    options: TrainingOptions
    objective: LikelihoodObjective
    report: Report

    @classmethod
    def of(cls, settings, recipe, data, split, *, continues, report):
        """The training of some rows, of which the split's first part, or others as many, are learned from."""
        objective = _objective(settings, recipe, data, data.weight[split[0]].sum())
        return cls(settings, recipe, _options(settings, continues), objective, report)

    def solve(self, mixture, supply, random_state):
        """Train a stack of restarts, and choose one of the states that each member's restarts went through.

        Returns
        -------
        list of State
            As many as the supply has members.
        """
        mixture = mixture.to(supply.device)
        early: list[FlowMixture] = []
        with compiled(mixture.flow) if self.settings.compile else nullcontext():
            scores, converged, history = SOLVERS[self.settings.solver].solve(
                mixture,
                supply.batches,
                self.options,
                objective=self.objective,
                validation=supply.validation,
                after_warm_up=self._keeper(early),
                report=self.report,
            )
        if supply.n_members > 1:
            return _of_members(mixture, scores, converged, history, supply.n_members)
        rows, n_restarts, choose = supply.batches.rows, mixture.n_restarts, self.recipe.choose
        if history.interrupted:
            early, choose = [], best_score
        for mixture_then in early:
            scores += evaluate(mixture_then, supply.validation or rows, self.objective).tolist()
        states = FlowMixture.stack([mixture, *early])
        try:
            best = choose(states, np.array(scores), n_restarts, rows, random_state)
        except KeyboardInterrupt:
            best, history.interrupted = best_score(states, np.array(scores), n_restarts, rows, random_state), True
        bounds = [bound[best % n_restarts] for bound in history.bounds]
        return [State(states.restart(best), scores[best], bounds, converged, history)]

    def _keeper(self, states):
        """What adds a copy of the mixture to a list, where clusters are sought."""
        return (lambda mixture: states.append(plain_copy(mixture))) if self.recipe.seeks_clusters else None


def _of_members(mixture, scores, converged, history, n_members):
    """The state with the best score of each member's restarts."""
    states, size = [], mixture.n_restarts // n_members
    for first in range(0, mixture.n_restarts, size):
        best = first + int(np.argmax(scores[first : first + size]))
        bounds = [bound[best] for bound in history.bounds]
        own = history.of_restarts(first, first + size)
        states.append(State(mixture.restart(best), scores[best], bounds, converged, own))
    return states


def _objective(settings, recipe, data, n_rows):
    concentration, supervised_weight = settings.weight_concentration_prior, _supervised_weight(settings, data)
    return LikelihoodObjective(
        supervised_weight=supervised_weight,
        unlabelled_weight=settings.unlabelled_weight,
        consistency_weight=settings.consistency_weight,
        log_weight_factor=0.0 if concentration is None else (concentration - 1) / n_rows,
        start_weight=supervised_weight if recipe.seeks_clusters and not len(data.classes) else 0.0,
    )


def _supervised_weight(settings, data):
    """A number; "auto" is a tenth of the rows for each labelled row (arXiv:1406.5298), and one at least."""
    if settings.supervised_weight != "auto":
        return settings.supervised_weight
    labelled = data.weight[data.codes >= 0].sum()
    return max(1.0, float(_SUPERVISED_SHARE * data.weight.sum() / labelled)) if labelled else 1.0


def _options(settings, continues):
    ramps = not continues and (settings.posterior == "amortized" or settings.consistency_weight > 0)
    return TrainingOptions(
        max_iter=settings.max_iter,
        ramp_iter=-(-settings.max_iter // _RAMP_SHARE) if ramps else 0,
        learning_rate=settings.learning_rate_init,
        alpha=settings.alpha,
        n_iter_no_change=settings.n_iter_no_change,
        tol=settings.tol,
    )
