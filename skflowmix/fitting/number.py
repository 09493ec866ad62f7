"""How many components a density has: as many as describe best the rows that were held out.

A density's components need not be clusters, so that their number is no number of hills. Fits of ever twice as many
are compared on the same held-out rows, from one component on, until twice as many are no better.
"""

from dataclasses import replace

import numpy as np
from sklearn.utils import check_random_state

_NUMBERS = 1, 2, 4, 8, 16
_LEAST_ROWS = 10  # of each component


def is_told_by_held_out_rows(settings, table, recipe):
    """Whether "auto" is a number that fits are compared for.

    It is not where labels tie components to classes, which then are clusters, where there are weights for a number of
    them, and where no rows are held out.
    """
    asked = settings.n_components == "auto" and recipe.counts_by_score
    free = table.y is None and settings.weights_init is None
    return asked and free and settings.early_stopping and int(settings.validation_fraction * _n_distinct(table)) >= 1


def fit_of_best_number(fit, settings, table):
    """The fit with the best held-out score; it is the one that its number of components alone would give.

    After Ctrl-C it is the best that there is.

    Parameters
    ----------
    fit : callable
        ``fit(settings) -> FittedMixture``.
    settings : Settings
    table : Table

    Returns
    -------
    FittedMixture
    """
    if not isinstance(settings.random_state, (int, np.integer)):  # All have to be fits of the same rows.
        seed = check_random_state(settings.random_state).randint(np.iinfo(np.int32).max)
        settings = replace(settings, random_state=seed)
    best, scores, most = None, {}, max(_n_distinct(table) // _LEAST_ROWS, 1)
    for n_components in _NUMBERS:
        if n_components > most:
            break
        try:
            fitted = fit(replace(settings, n_components=n_components))
        except KeyboardInterrupt:
            if best is None:
                raise
            best.history.interrupted = True
            break
        scores[n_components], interrupted = fitted.score, fitted.history.interrupted
        if best is not None and not fitted.score > best.score:
            best.history.interrupted |= interrupted
            break
        best = fitted
        if interrupted:
            break
    return _with_scores(best, scores)


def _n_distinct(table):
    return len(np.unique(table.X[table.weight > 0], axis=0))


def _with_scores(fitted, scores):
    plan = replace(fitted.plan, n_components_scores=scores)
    return replace(fitted, plan=plan, members=tuple(_with_scores(member, scores) for member in fitted.members))
