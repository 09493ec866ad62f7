"""A fit, from rows and settings to a fitted mixture.

`fit_mixture` tells it on one screen: rows, start, train, choose, keep. Nothing that is given changes, so that whoever
calls it has the old fit until the new one is there.
"""

import copy
from dataclasses import replace

import numpy as np
import torch
from sklearn.utils import check_random_state

from ..modules import FlowMixture
from ..training import QUIET, SOLVERS
from .architecture import check_architecture, make_posterior, new_mixture
from .fitted import FittedMixture
from .plan import make_plan
from .pruning import check_pruning, without_needless
from .rows import split_rows, training_set
from .solving import Training
from .start import check_start, first_responsibilities
from .supply import make_supply


def fit_mixture(settings, table, recipe, *, before=None, report=QUIET):
    """Fit a mixture to rows.

    Parameters
    ----------
    settings : Settings
    table : Table
    recipe : Recipe
    before : FittedMixture, default=None
        What to go on from.
    report : Report, default=QUIET

    Returns
    -------
    FittedMixture

    Raises
    ------
    ValueError
        If parameters or rows are not what they have to be.
    """
    check_settings(settings)
    random_state = check_random_state(settings.random_state)
    data = training_set(table, settings, recipe)
    with report.phase("start"):
        plan = make_plan(data, settings, recipe, before, random_state)
        X, parts = plan.scaler.transform(data.X), split_rows(data, settings, random_state)
        if before is None:
            mixture, resp = _start(X, data, plan, settings, random_state)
        else:
            mixture, resp = _go_on(before, settings, random_state), None
        supply = make_supply(X, data, parts, resp, plan, settings, random_state)
    training = Training.of(settings, recipe, data, parts, continues=before is not None, report=report)
    state, slots = training.solve(mixture, supply, random_state), plan.slots
    if settings.prunes and supply.validation is not None and not state.history.interrupted:
        state, slots = without_needless(state, slots, plan, supply, training, random_state)
    fitted = _keep(state, slots, plan, data, parts)
    return replace(fitted, labels=fitted.predict(table.X)) if recipe.seeks_clusters else fitted


def check_settings(settings):
    """Raise a ValueError where one parameter is not what another requires; each part says what it requires."""
    check_architecture(settings)
    check_start(settings)
    check_pruning(settings)
    SOLVERS[settings.solver].check(posterior=settings.posterior, consistency_weight=settings.consistency_weight)


def _start(X, data, plan, settings, random_state):
    """A stack of restarts, and their first responsibilities (N, R, K)."""
    started, resps, trust = [], [], plan.scaler.trust(data.X)
    for seed in random_state.randint(np.iinfo(np.int32).max, size=settings.n_init):
        resp = first_responsibilities(plan.initializer, X, data, plan.component_class, np.random.RandomState(seed))
        started.append(new_mixture(settings, X, data.weight, trust, resp, seed))
        resps.append(resp)
    return FlowMixture.stack(started), np.stack(resps, axis=1)


def _go_on(before, settings, random_state):
    """The mixture of the fit before; where that was interrupted before it had a posterior network, with a new one."""
    mixture = copy.deepcopy(before.mixture)
    if mixture.posterior is None and settings.posterior != "exact":
        sizes = mixture.n_components, before.plan.architecture["n_features"]
        mixture.posterior = make_posterior(settings, *sizes, random_state.randint(np.iinfo(np.int32).max))
    mixture.logits.requires_grad_(settings.learn_weights)
    return mixture.to(getattr(torch, settings.dtype))


def _keep(state, slots, plan, data, parts):
    scored = parts[1] if len(parts[1]) else parts[0]
    _, log_det = plan.scaler.transform_and_log_det(data.X[scored])
    to_units_of_x = float(np.average(log_det, weights=data.weight[scored]))
    return FittedMixture(
        mixture=state.mixture.double(),
        plan=replace(plan, initializer=None),
        classes=data.classes,
        slots=slots,
        score=state.score + to_units_of_x,
        bounds=[bound + to_units_of_x for bound in state.bounds],
        converged=state.converged,
        history=state.history,
    )
