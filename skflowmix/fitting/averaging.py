"""Several fits in place of one, and their mean.

What a single flow learns between the rows is chance: the mean of several keeps what they agree on. Each member has its
own start, and its own rows are held out, so that every row teaches most of them. They train side by side, which takes
less time than one after the other.
"""

from dataclasses import replace
from functools import partial

import numpy as np
from sklearn.utils import check_random_state

from ..modules.averages import mean_of
from ..training import QUIET, SOLVERS, History
from .architecture import has_few_rows
from .fit import fit_mixture, fit_mixtures
from .fitted import FittedMixture
from .number import fit_of_best_number, is_told_by_held_out_rows
from .outliers import with_offset

_OF_FEW_ROWS, _OF_MORE, _OF_MANY = 6, 4, 2
_USUAL_NUMBER = 4  # of components, where it is not known yet
_MANY_VALUES, _TOO_MANY_VALUES = 50_000, 250_000


def number_of_members(settings, table, before):
    """How many fits are averaged: "auto" is six of few rows, four of more, and two or one of many.

    What members gain falls with the rows, and what they cost grows with them. It is one as well where several would not
    be what was asked for: where components are told apart by labels, a posterior network, a prior that prunes them, or
    their own flows, weights or first responsibilities; where the solver has to fit one after the other; and where there
    are so many values that one fit takes minutes. A warm start goes on from as many as there are.
    """
    if settings.n_estimators != "auto":
        return int(settings.n_estimators)
    if before is not None:
        return max(len(before.members), 1)
    named = table.y is not None or settings.posterior != "exact" or settings.prunes or not settings.one_flow
    given = settings.weights_init is not None or settings.gives_responsibilities
    if named or given or SOLVERS[settings.solver].is_em or table.X.size > _TOO_MANY_VALUES:
        return 1
    n_components = _USUAL_NUMBER if settings.n_components == "auto" else settings.n_components
    if has_few_rows(len(table.X), n_components, table.X.shape[1]):
        return _OF_FEW_ROWS
    return _OF_MANY if table.X.size > _MANY_VALUES else _OF_MORE


def check_averaging(settings):
    """Raise a ValueError where an average requires something of another parameter."""
    if settings.n_estimators > 1 and settings.posterior != "exact":
        raise ValueError(
            f"n_estimators={settings.n_estimators} requires posterior='exact': networks that answer for the components "
            "of one mixture do not say which of several mixtures a row belongs to."
        )


def fit_average(settings, table, recipe, *, before=None, report=QUIET):
    """Fit as many mixtures as `n_estimators` says, and keep their mean; parameters as of `fit_mixture`.

    After Ctrl-C it is the mean of what there is.
    """
    settings = replace(settings, n_estimators=number_of_members(settings, table, before))
    check_averaging(settings)
    fit = partial(_fit_average, table=table, recipe=recipe, before=before, report=report)
    if before is None and is_told_by_held_out_rows(settings, table, recipe):
        fitted = fit_of_best_number(fit, settings, table)
    else:
        fitted = fit(settings)
    return with_offset(fitted, table, settings.contamination)


def _fit_average(settings, table, recipe, before, report):
    befores = None if before is None else _members_before(before, settings)
    if settings.n_estimators == 1:
        return fit_mixture(settings, table, recipe, before=before, report=report)
    if SOLVERS[settings.solver].is_em or not _have_the_same_components(befores):
        return mean_of_fits(_one_after_the_other(settings, table, recipe, befores, report))
    return mean_of_fits(fit_mixtures(settings, table, recipe, before=befores, report=report))


def _members_before(before, settings):
    members = before.members or (before,)
    if len(members) != settings.n_estimators:
        raise ValueError(
            f"warm_start=True goes on from a fit of n_estimators={len(members)}; got {settings.n_estimators}."
        )
    return members


def _have_the_same_components(befores):
    return befores is None or all(np.array_equal(member.slots, befores[0].slots) for member in befores)


def _one_after_the_other(settings, table, recipe, befores, report):
    """Members of different size, or those whose solver has its own way through the rows."""
    seeds = check_random_state(settings.random_state).randint(np.iinfo(np.int32).max, size=settings.n_estimators)
    members: list[FittedMixture] = []
    for seed, own in zip(seeds.tolist(), befores or [None] * len(seeds), strict=True):
        try:
            member = fit_mixture(replace(settings, random_state=seed), table, recipe, before=own, report=report)
        except KeyboardInterrupt:
            if not members:
                raise
            members[-1].history.interrupted = True
            break
        members.append(member)
        if member.history.interrupted:
            break
    return members


def mean_of_fits(members):
    """The mean of fits of the same rows as a fit; components are those of one member after the other."""
    classes = [member.plan.component_class for member in members]
    first = np.cumsum([0, *map(len, classes)])
    return replace(
        members[0],
        mixture=mean_of([member.mixture for member in members]),
        plan=replace(members[0].plan, component_class=np.concatenate(classes)),
        slots=np.concatenate([member.slots + start for member, start in zip(members, first[:-1], strict=True)]),
        score=float(np.mean([member.score for member in members])),
        bounds=[bound for member in members for bound in member.bounds],
        converged=all(member.converged for member in members),
        history=History.of_members([member.history for member in members]),
        members=tuple(members),
    )
