"""A fit, from rows and settings to a fitted mixture, or several side by side.

`fit_mixtures` tells it on one screen: rows, start, train, choose, keep. Nothing that is given changes, so that whoever
calls it has the old fit until the new one is there.
"""

import copy
from dataclasses import replace
from functools import partial

import numpy as np
import torch
from sklearn.utils import check_random_state

from ..bridge import in_double
from ..modules import FlowMixture
from ..notes import note, read_by
from ..training import QUIET, SOLVERS, History, plain_copy
from .architecture import check_architecture, make_posterior, new_mixture, of_components
from .class_clusters import with_clusters
from .class_noise import blur
from .fitted import FittedMixture
from .plan import codes_of_components, make_plan
from .pruning import check_pruning, without_needless
from .rows import split_rows, training_set
from .scaling import FeatureScaler
from .solving import State, Training
from .spreading import with_guesses
from .start import check_start, first_responsibilities
from .supply import make_supply


def fit_mixture(settings, table, recipe, *, before=None, report=QUIET):
    """Fit a mixture to rows: the only one of `fit_mixtures`, of a fit before, `before`."""
    settings = replace(settings, n_estimators=1)
    return fit_mixtures(settings, table, recipe, before=None if before is None else [before], report=report)[0]


def fit_mixtures(settings, table, recipe, *, before=None, report=QUIET):
    """Fit as many mixtures as `n_estimators` says, side by side: each has its own start and its own rows held out.

    Parameters
    ----------
    settings : Settings
    table : Table
    recipe : Recipe
    before : list of FittedMixture, default=None
        What to go on from, one for each, which have the same components.
    report : Report, default=QUIET

    Returns
    -------
    list of FittedMixture

    Raises
    ------
    ValueError
        If parameters or rows are not what they have to be.
    """
    with read_by(report.note):
        return _fit_mixtures(settings, table, recipe, before, report)


def _fit_mixtures(settings, table, recipe, before, report):
    check_settings(settings)
    random_state = check_random_state(settings.random_state)
    data = training_set(table, settings, recipe)
    with report.phase("start"):
        if _asks_for_guesses(data, settings, recipe, before):
            data = with_clusters(data, FeatureScaler.of(data.X, data.weight).transform(data.X), random_state)
        plan = make_plan(data, settings, recipe, None if before is None else before[0], random_state)
        settings = replace(settings, n_shared_layers=plan.architecture["n_shared_layers"])
        if before is None:
            settings, data = of_components(settings, plan.slots), data.of_components(plan.slots)
        X = plan.scaler.transform(data.X)
        if recipe.tells_classes:
            data = with_guesses(data, X)
        note("rows that are held out")
        splits = split_rows(data, settings, random_state)
        if before is None:
            mixture, resp = _start(X, data, splits, plan, settings, recipe, random_state)
        else:
            mixture, resp = FlowMixture.stack([_go_on(fit, settings, random_state) for fit in before]), None
        note("the neighbours of each row")
        supply = make_supply(X, data, splits, resp, plan, settings, recipe, random_state)
    report.show(partial(_as_it_is, mixture, plan=plan, data=data, splits=splits))
    training = Training.of(settings, recipe, data, splits[0], continues=before is not None, report=report)
    fits, states = [], training.solve(mixture, supply, random_state)
    report.show(None)
    for index, (state, split) in enumerate(zip(states, splits, strict=True)):
        slots = plan.slots
        if settings.prunes and supply.validation is not None and not state.history.interrupted:
            own = supply.of_member(index, settings.n_init)
            state, slots = without_needless(state, slots, plan, own, training, random_state)
        fitted = _keep(state, slots, plan, data, split)
        note("the component of each row")
        fits.append(replace(fitted, labels=fitted.predict(table.X)) if recipe.seeks_clusters else fitted)
    return fits


def check_settings(settings):
    """Raise a ValueError where one parameter is not what another requires; each part says what it requires."""
    check_architecture(settings)
    check_start(settings)
    check_pruning(settings)
    SOLVERS[settings.solver].check(posterior=settings.posterior, consistency_weight=settings.consistency_weight)


def _asks_for_guesses(data, settings, recipe, before):
    """Whether rows without a label are guessed to be of a class: by a classifier, or to start its only components."""
    if recipe.tells_classes or before is not None or data.resp is not None:
        return recipe.tells_classes
    n_components = 1 if settings.n_components == "auto" else settings.n_components
    return (recipe.component_classes(n_components, len(data.classes)) >= 0).all()


def _start(X, data, splits, plan, settings, recipe, random_state):
    """A stack of the restarts of every split, and their first responsibilities (N, R, K)."""
    started, resps, trust, codes = [], [], plan.scaler.trust(data.X), codes_of_components(plan, data)
    seeds = random_state.randint(np.iinfo(np.int32).max, size=len(splits) * settings.n_init)
    for seed, (training, _) in zip(seeds, (split for split in splits for _ in range(settings.n_init)), strict=True):
        resp = first_responsibilities(plan.initializer, X, data, codes, np.random.RandomState(seed))
        told = training if recipe.holds_out_of_start else slice(None)
        started.append(new_mixture(settings, X[told], data.weight[told], trust[told], resp[told], seed))
        if plan.noise is not None:
            blur(started[-1], plan.noise)
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


def _as_it_is(mixture, iteration, *, plan, data, splits):
    """The fits that there would be if training ended with an iteration: of each member its best restart."""
    scores = np.reshape(iteration.score, (len(splits), mixture.n_restarts // len(splits), -1)).sum(2)
    fits, whole = [], plain_copy(mixture).eval()
    for member, (of_restarts, split) in enumerate(zip(scores, splits, strict=True)):
        restart = member * len(of_restarts) + int(of_restarts.argmax())
        state = State(whole.restart(restart), float(of_restarts.max()), [], False, History())
        fits.append(_keep(state, plan.slots, plan, data, split))
    return fits


def _keep(state, slots, plan, data, parts):
    scored = parts[1] if len(parts[1]) else parts[0]
    _, log_det = plan.scaler.transform_and_log_det(data.X[scored])
    to_units_of_x = float(np.average(log_det, weights=data.weight[scored]))
    return FittedMixture(
        mixture=in_double(state.mixture),
        plan=replace(plan, initializer=None),
        classes=data.classes,
        slots=slots,
        score=state.score + to_units_of_x,
        bounds=[bound + to_units_of_x for bound in state.bounds],
        converged=state.converged,
        history=state.history,
    )
