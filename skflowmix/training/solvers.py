"""Ways to maximise an objective, by name, and what each of them requires."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

import torch

from .em import by_em, most_probable
from .loop import QUIET, train
from .objectives import AssignedPosterior


def by_gradient(mixture, batches, options, *, objective, validation=None, after_warm_up=None, report=QUIET):
    """Let each component learn the rows that the start gave it, then all of them compete for the rows.

    Where held-out rows tell that they learned nothing, as on few rows, the step size that the warm-up had is not tried
    again. A flow that starts as the Gaussian of a ring would, in open competition, lose it before it has its shape. A
    posterior network learns the start's assignments too, so that the flows do not learn its first mistakes; its
    iterations are not counted. After Ctrl-C before that there is none, and the posterior is the exact one.

    Parameters
    ----------
    mixture : FlowMixture
    batches : RowBatches
        The `resp` of their rows, where they have it, is the start that the warm-up follows.
    options : TrainingOptions
    objective : LikelihoodObjective
    validation : Rows, default=None
    after_warm_up : callable, default=None
        Called with the mixture as it is then.
    report : Report, default=QUIET

    Returns
    -------
    score : list of float
    converged : bool
    history : History
        As `train` returns them; `history.warm_up` tells of the first iterations.
    """
    warm_up = n_cuts = None
    if batches.rows.resp is not None and mixture.n_components > 1:
        alone = replace(options, max_iter=options.max_iter // 2, ramp_iter=0, n_step_sizes=1)
        how = {"validation": validation, "report": report, "phase": "warm-up"}
        after, _, warm_up = train(mixture, batches, alone, objective=objective.of_warm_up, **how)
        if validation is not None:
            n_cuts = torch.tensor(after) <= torch.tensor(warm_up.start_score) + options.tol
        if mixture.posterior is not None and not warm_up.interrupted:
            _, _, lesson = train(mixture.posterior, batches, alone, objective=AssignedPosterior(), **how)
            warm_up.interrupted = lesson.interrupted
        if warm_up.interrupted:
            mixture.posterior = None
        elif after_warm_up is not None:
            after_warm_up(mixture)
        n_left = 0 if warm_up.interrupted else options.max_iter - len(warm_up.training_score)
        options = replace(options, max_iter=n_left)
    score, converged, history = train(
        mixture, batches, options, objective=objective, validation=validation, n_cuts=n_cuts, report=report
    )
    history.follow(warm_up)
    return score, converged, history


@dataclass(frozen=True)
class Solver:
    """A way to maximise an objective.

    Attributes
    ----------
    solve : callable
        As `by_gradient`.
    name : str
    is_em : bool
        Whether it maximises the joint likelihood alone, and takes the exact posterior in its E-step.
    """

    solve: Callable
    name: str
    is_em: bool = False

    def check(self, *, posterior, consistency_weight):
        """Raise a ValueError where a parameter of an estimator is not what this solver requires."""
        if self.is_em and posterior != "exact":
            raise ValueError(f"solver={self.name!r} takes the exact posterior in its E-step; got {posterior=}.")
        if self.is_em and consistency_weight:
            raise ValueError(f"solver={self.name!r} maximises the joint likelihood alone; got {consistency_weight=}.")


SOLVERS = {
    solver.name: solver
    for solver in (
        Solver(by_gradient, "gradient"),
        Solver(by_em, "em", is_em=True),
        Solver(partial(by_em, assign=most_probable), "hard-em", is_em=True),
    )
}
