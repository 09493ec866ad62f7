"""What an autoencoder of rows with classes does, beside what it is: fitting, classes, rows of a class or a style."""

from __future__ import annotations

import os
from numbers import Integral
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator, ClassifierMixin, _fit_context
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted

from ..autoencoding import FittedLabelledAutoencoder, LabelledAutoencoderSettings, fit_labelled_autoencoder
from ..bridge import undisturbed
from ..modules.labelled_autoencoder import LabelledAutoencoder
from ..threads import one_thread
from ..training import History
from . import _whole_fit as whole_fit
from ._callbacks import CallbackSupportMixin, reporting
from ._files import load_estimator
from ._links import PAGE_OF_ESTIMATOR
from ._parts import FittedPart
from ._table import check_scored, check_table
from ._warnings import warn_of_autoencoder

if TYPE_CHECKING:
    from typing_extensions import Self


class AutoencoderClassifierEstimator(ClassifierMixin, BaseEstimator, CallbackSupportMixin):
    """An autoencoder of rows with classes behind scikit-learn's interface; see `FlowAutoencoderClassifier`.

    A fit is one object, `autoencoding.FittedLabelledAutoencoder`, of which the fitted attributes are parts. Another fit
    replaces it as a whole: one that fails changes nothing.
    """

    _doc_link_module, _doc_link_template = "skflowmix", PAGE_OF_ESTIMATOR
    random_state: int | np.random.RandomState | None

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X: ArrayLike, y: ArrayLike, sample_weight: ArrayLike | None = None) -> Self:
        """Fit the networks.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
        y : array-like of shape (n_samples,)
            Class labels; -1 marks a row without one.
        sample_weight : array-like of shape (n_samples,), default=None
            Non-negative weights; a weight of two is a row that stands there twice.

        Returns
        -------
        self : object

        Raises
        ------
        ValueError
            If X, y or the weights are not what scikit-learn's classifiers accept, y labels no row, or X is not what the
            likelihood asks for.
        """
        settings = LabelledAutoencoderSettings.of(self.get_params(deep=False))
        told = {"X": X, "y": y, "sample_weight": sample_weight}
        with undisturbed(), one_thread(), reporting(self, settings.verbose, **told) as report:
            fresh = self._unfitted()
            table = check_table(fresh, X, y, sample_weight, "all")
            fresh._state = fit_labelled_autoencoder(settings, table, report=report)
        self.__dict__ = fresh.__dict__
        if fresh._state.history.interrupted:
            raise KeyboardInterrupt
        warn_of_autoencoder(fresh._state, settings, table.y)
        return self

    __sklearn_is_fitted__ = whole_fit.is_fitted
    __getstate__, __setstate__ = whole_fit.copied_state, whole_fit.take_state
    save = whole_fit.save
    _unfitted, _look, _dtypes = whole_fit.unfitted, whole_fit.look, np.float64

    @property
    def _fitted(self) -> FittedLabelledAutoencoder:
        check_is_fitted(self)
        return vars(self)["_state"]

    @classmethod
    def load(cls, path: str | os.PathLike) -> Self:
        """Read an estimator of this class that `save` wrote, to the CPU. No code of the file is run.

        Raises
        ------
        OSError
            If there is no file that can be read.
        TypeError
            If it holds an estimator of another class.
        ValueError
            If it is damaged, of a later format, or something else.
        """
        return load_estimator(cls, path)

    classes_ = FittedPart[np.ndarray](lambda fitted: fitted.classes[fitted.in_order])
    autoencoder_ = FittedPart[LabelledAutoencoder](lambda fitted: fitted.model)
    likelihood_ = FittedPart[str](lambda fitted: fitted.likelihood)
    lower_bound_ = FittedPart[float](lambda fitted: fitted.score)
    n_iter_ = FittedPart[int](lambda fitted: fitted.history.n_iter)
    converged_ = FittedPart[bool](lambda fitted: fitted.converged)
    history_ = FittedPart[History](lambda fitted: fitted.history)

    def predict(self, X: ArrayLike) -> np.ndarray:
        """Most probable class of each row.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)

        Returns
        -------
        ndarray of shape (n_samples,)
        """
        fitted, X = self._look(X)
        return fitted.classes[fitted.predict(X)]

    def predict_proba(self, X: ArrayLike) -> np.ndarray:
        """Probabilities q(y | x) of the classes, in the order of `classes_`, given each row.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)

        Returns
        -------
        ndarray of shape (n_samples, n_classes)
        """
        fitted, X = self._look(X)
        return np.exp(fitted.log_resp(X)[:, fitted.in_order])

    def score(self, X: ArrayLike, y: ArrayLike, sample_weight: ArrayLike | None = None) -> float:
        """Mean accuracy of `predict`; rows labelled -1 are left out, unless -1 is a class.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
        y : array-like of shape (n_samples,)
            True classes.
        sample_weight : array-like of shape (n_samples,), default=None

        Returns
        -------
        float
        """
        fitted, rows = self._look(X)
        rows, labels, weight = check_scored(rows, y, sample_weight, fitted.classes)
        found = fitted.classes[fitted.predict(rows)].tolist()
        return float(np.average([one == other for one, other in zip(labels, found, strict=True)], weights=weight))

    def sample(
        self, n_samples: int = 1, y: Any = None, random_state: int | np.random.RandomState | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """Draw rows: a class, a style from its prior, then features given both.

        Parameters
        ----------
        n_samples : int, default=1
        y : label or array-like of shape (n_samples,), default=None
            Class of all rows, or of each. None draws classes, and sorts rows by them.
        random_state : int, RandomState instance or None, default=None
            None takes the estimator's own `random_state`, so that an integer there repeats the draw.

        Returns
        -------
        X : ndarray of shape (n_samples, n_features)
        y : ndarray of shape (n_samples,)
            Class of each row.
        """
        fitted = self._fitted
        if isinstance(n_samples, bool) or not isinstance(n_samples, Integral) or n_samples < 1:
            raise ValueError(f"n_samples must be an integer of at least 1; got {n_samples!r}.")
        random_state = check_random_state(self.random_state if random_state is None else random_state)
        seed = random_state.randint(np.iinfo(np.int32).max)
        if y is None:
            codes = fitted.draw_classes(int(n_samples), random_state)
        else:
            codes = _codes_of(y, int(n_samples), fitted.classes)
        return fitted.sample(codes, seed), fitted.classes[codes]

    def reconstruct(self, X: ArrayLike, y: Any = None) -> np.ndarray:
        """Rows with the style of X and the class of y, as means of the features: analogies.

        The style is the mean of q(z | x, y) with the class that `predict` gives the row.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
        y : label or array-like of shape (n_samples,), default=None
            Class of all rows, or of each. None leaves to each row the class that `predict` gives it.

        Returns
        -------
        ndarray of shape (n_samples, n_features)
        """
        fitted, rows = self._look(X)
        codes = fitted.predict(rows) if y is None else _codes_of(y, len(rows), fitted.classes)
        return fitted.reconstruct(rows, codes)


def _codes_of(y, n_samples, classes):
    """Codes of a class for all rows, or of one for each.

    Raises
    ------
    ValueError
        If there is no such class, or not one for each row.
    """
    labels = np.asarray(y)
    if labels.shape not in ((), (n_samples,)):
        raise ValueError(f"y must be a class, or one for each of {n_samples} rows; got the shape {labels.shape}.")
    place = {label: code for code, label in enumerate(classes.tolist())}
    given = [labels.item()] * n_samples if labels.ndim == 0 else labels.tolist()
    unknown = [label for label in given if label not in place]
    if unknown:
        raise ValueError(f"y must hold classes that were learned, {sorted(place)}; got {unknown[0]!r}.")
    return np.array([place[label] for label in given])
