"""Ways to maximise an objective, by name."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial

import torch

from .em import by_em, most_probable
from .loop import train
from .objectives import assigned_posterior


def by_gradient(mixture, rows, options, *, objective, after_warm_up=None, **how):
    """Let each component learn the rows that the start gave it, then all of them compete for the rows.

    Where held-out rows tell that they learned nothing, as on few rows, the step size that the warm-up had is not tried
    again. A flow that starts as the Gaussian of a ring would, in open competition, lose it before it has its shape. A
    posterior network learns the start's assignments too, so that the flows do not learn its first mistakes; that is
    quick, also after Ctrl-C, and its iterations are not counted.

    Parameters
    ----------
    mixture : FlowMixture
    rows : Rows
        Their `resp`, where they have it, is the start that the warm-up follows.
    options : TrainingOptions
    objective : Objective
    after_warm_up : callable, default=None
        Called with the mixture as it is then.
    **how
        Further arguments of `train`.

    Returns
    -------
    score : list of float
    converged : bool
    history : History
        As `train` returns them; `history.warm_up` tells of the first iterations.
    """
    warm_up = n_cuts = None
    if rows.resp is not None and mixture.n_components > 1:
        alone = replace(options, max_iter=options.max_iter // 2, ramp_iter=0, n_step_sizes=1)
        after, _, warm_up = train(mixture, rows, alone, objective=objective.of_warm_up, **how)
        if how.get("validation") is not None:
            n_cuts = torch.tensor(after) <= torch.tensor(warm_up.start_score) + options.tol
        if mixture.posterior is not None:
            _, _, lesson = train(mixture.posterior, rows, alone, objective=assigned_posterior, **how)
            warm_up.interrupted |= lesson.interrupted
        if after_warm_up is not None:
            after_warm_up(mixture)
        n_left = 0 if warm_up.interrupted else options.max_iter - len(warm_up.training_score)
        options = replace(options, max_iter=n_left)
    score, converged, history = train(mixture, rows, options, objective=objective, n_cuts=n_cuts, **how)
    history.warm_up = warm_up
    return score, converged, history


SOLVERS: dict[str, Callable] = {
    "gradient": by_gradient,
    "em": by_em,
    "hard-em": partial(by_em, assign=most_probable),
}
