"""What a fit warns of."""

from sklearn.exceptions import ConvergenceWarning

from ..warn import warn_user


def warn_of_fit(fitted, settings, recipe):
    """Warn where labels named more classes than there were to be components, or where the fit still improved."""
    n_components, n_classes = settings.n_components, len(fitted.classes)
    if recipe.grows and n_components != "auto" and n_classes > n_components:
        warn_user(
            f"y names {n_classes} classes, and there are as many components instead of n_components={n_components}; "
            f"set n_components to at least {n_classes}, or labels='none' if y is not to be learned."
        )
    if not fitted.converged:
        warn_user(
            f"The fit still improved after max_iter={settings.max_iter} iterations; a larger max_iter may help.",
            ConvergenceWarning,
        )
