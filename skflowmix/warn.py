"""Warnings that point at the user's line."""

import sys
import warnings

_INSIDE = {"skflowmix", "sklearn", "joblib", "contextlib", "threadpoolctl"}


def warn_user(message, category=UserWarning):
    """Warn at the line from which this package was called, directly or by way of scikit-learn's pipelines."""
    frame, level = sys._getframe(1), 2
    while frame.f_back is not None and frame.f_globals.get("__name__", "").partition(".")[0] in _INSIDE:
        frame, level = frame.f_back, level + 1
    warnings.warn(message, category, stacklevel=level)
