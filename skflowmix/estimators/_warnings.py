"""What fits and draws warn of."""

import numpy as np
from sklearn.exceptions import ConvergenceWarning

from ..fitting.labels import is_unlabelled
from ..warn import warn_user

_FEW_ROWS = 20
_DOUBTFUL_K, _DOUBTFUL_R_HAT = 0.7, 1.05


def warn_of_fit(fitted, settings, recipe, y):
    """Warn where labels named more classes than there were to be components, or where the fit still improved."""
    _warn_of_many_classes(fitted, y)
    n_components, n_classes = settings.n_components, len(fitted.classes)
    if recipe.grows and n_components != "auto" and n_classes > n_components:
        warn_user(
            f"y names {n_classes} classes, and there are as many components instead of n_components={n_components}; "
            f"set n_components to at least {n_classes}, or labels='none' if y is not to be learned."
        )
    if not (fitted.converged or fitted.history.stopped):
        warn_user(
            f"The fit still improved after max_iter={settings.max_iter} iterations; a larger max_iter may help.",
            ConvergenceWarning,
        )


def _warn_of_many_classes(fitted, y):
    """Warn where a y without -1 may be a target of regression, by scikit-learn's rule; few labels say nothing."""
    n_classes = len(fitted.classes)
    if y is None or len(y) <= _FEW_ROWS or n_classes <= len(y) / 2 or any(map(is_unlabelled, y.tolist())):
        return
    warn_user(
        f"y names {n_classes} classes in {len(y)} rows; if it is a target of regression, these estimators do not "
        "predict it."
    )


def warn_of_autoencoder(fitted, settings, y=None):
    """Warn where the fit still improved, or y may be no classes."""
    if y is not None:
        _warn_of_many_classes(fitted, y)
    if not (fitted.converged or fitted.history.stopped):
        warn_user(
            f"The fit still improved after max_iter={settings.max_iter} iterations; a larger max_iter may help.",
            ConvergenceWarning,
        )


def warn_of_posterior(fitted, settings):
    """Warn where a fit to a log-density cannot be relied on, or still improved."""
    verdict = fitted.verdict
    if verdict.n_nil:
        warn_user(
            f"log_density is NaN or -inf at {verdict.n_nil} of {verdict.n_draws} draws of the fitted mixture, which "
            "count as rows of weight nil; if its support is bounded, set bounds."
        )
    if verdict.pareto_k > _DOUBTFUL_K:
        warn_user(
            f"The mixture misses parts of the density: pareto_k_ is {verdict.pareto_k:.2f}, above {_DOUBTFUL_K}, so "
            "that log_evidence_ and importance weights cannot be relied on. Set a larger n_components, n_layers or "
            "max_iter, base='student_t' for heavy tails, or draw by sample(method='mcmc')."
        )
    if not (fitted.converged or fitted.history.stopped):
        warn_user(
            f"The bound still improved after max_iter={settings.max_iter} iterations; a larger max_iter may help.",
            ConvergenceWarning,
        )


def warn_of_chains(chains):
    """Warn where Markov chains do not agree."""
    worst = np.nanmax(chains.r_hat, initial=1.0)
    if worst > _DOUBTFUL_R_HAT:
        warn_user(
            f"The Markov chains do not agree: r_hat_ is up to {worst:.2f}; ask for more draws, or for a better fit."
        )
