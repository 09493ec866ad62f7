"""What a fit warns of."""

import warnings

from sklearn.exceptions import ConvergenceWarning


def warn_of_the_end(history, converged, max_iter):
    """Warn where a fit did not end because nothing improved any more."""
    if history.interrupted or (history.warm_up is not None and history.warm_up.interrupted):
        message = f"The fit was interrupted after {history.n_iter} iterations; the best state so far is kept."
    elif not converged:
        message = f"The fit still improved after max_iter={max_iter} iterations; a larger max_iter may help."
    else:
        return
    warnings.warn(message, ConvergenceWarning, stacklevel=5)
