"""Methods of an estimator whose fit is one object, `_state`, which another fit replaces as a whole."""

from __future__ import annotations

import os
from typing import Any

from sklearn.base import BaseEstimator
from sklearn.utils.validation import _check_feature_names, validate_data

from ..bridge import undisturbed
from ._files import save_estimator, stamped, without_stamp


def is_fitted(self: Any) -> bool:
    return "_state" in vars(self)


def unfitted(self):
    """The same estimator without what a fit has left."""
    fresh = object.__new__(type(self))
    fitted = {"_state", "n_features_in_", "feature_names_in_"}
    fresh.__dict__ = {name: value for name, value in vars(self).items() if name not in fitted}
    return fresh


def check_names_as_before(self, fresh, X):
    """Raise a ValueError where the features of a fit that goes on have other names, as in `predict`; keep the names."""
    _check_feature_names(self, X, reset=False)
    if hasattr(self, "feature_names_in_"):
        fresh.feature_names_in_ = self.feature_names_in_


def look(self, X):
    """The fit as it is now, whatever another thread puts in its place, and rows that it can take."""
    now = object.__new__(type(self))
    now.__dict__ = self.__dict__
    fitted = now._fitted
    with undisturbed():
        return fitted, validate_data(now, X, dtype=self._dtypes, reset=False)


def save(self: Any, path: str | os.PathLike) -> None:
    """Write the estimator to a file, an npz archive without pickles that later versions read.

    Until it is whole, and if that fails, what was there before stays. Functions among the parameters are left out,
    with a warning; what was fitted is whole, but for a posterior's log-density, which no copy has.

    Parameters
    ----------
    path : str or path-like

    Raises
    ------
    TypeError
        If there are transforms of your own, whose classes `skflowmix.files.register` makes known.
    """
    save_estimator(self, path)


def copied_state(self):
    """What copies by pickle have, with the version that made it."""
    return stamped(BaseEstimator.__getstate__(self))


def take_state(self, state):
    """The other way round."""
    BaseEstimator.__setstate__(self, without_stamp(self, state))
