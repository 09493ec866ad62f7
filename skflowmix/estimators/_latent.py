"""Latent coordinates of rows, as scikit-learn's transformers give theirs, and rows as tables."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from sklearn import get_config


def transform(self: Any, X: ArrayLike) -> np.ndarray:
    """Latent coordinates of each row under its most probable component, in which that component is the base density.

    Distances from the origin then say how unusual rows are for their cluster. Coordinates of two components have
    nothing in common.

    Parameters
    ----------
    X : array-like of shape (n_samples, n_features)

    Returns
    -------
    ndarray of shape (n_samples, n_features)
        Or a table, as `set_output` says.
    """
    fitted, rows = self._look(X)
    return fitted.latent(rows)


def as_table(estimator: Any, X: np.ndarray) -> Any:
    """Rows as `set_output` asks for, with the names of the features, where the fit has seen such; else as they are."""
    own = vars(estimator).get("_sklearn_output_config", {})
    kind, names = own.get("transform", get_config()["transform_output"]), getattr(estimator, "feature_names_in_", None)
    if names is None or kind == "default":
        return X
    if kind == "pandas":
        from pandas import DataFrame
    else:
        from polars import DataFrame
    return DataFrame(dict(zip(names, X.T, strict=True)))
