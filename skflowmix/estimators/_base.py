"""What all estimators of mixtures do: a fit that happens at once or not at all, prediction, sampling, files."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, TransformerMixin, _fit_context
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted

from ..bridge import undisturbed
from ..fitting import FittedMixture, Recipe, Settings, check_settings, fit_average
from ..modules import FlowMixture
from ..threads import one_thread
from ..training import History
from . import _whole_fit as whole_fit
from ._callbacks import CallbackSupportMixin, reporting
from ._criteria import no_criterion
from ._files import load_estimator
from ._latent import as_table, transform
from ._links import PAGE_OF_ESTIMATOR
from ._onnx import to_onnx
from ._parameters import PARAMETER_CONSTRAINTS
from ._parts import FittedPart
from ._table import check_table, check_weights
from ._warnings import warn_of_fit

if TYPE_CHECKING:
    from typing_extensions import Self


class FlowMixtureEstimator(ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseEstimator, CallbackSupportMixin):
    """Mixture of flows behind scikit-learn's interface; see the public estimators.

    A fit is one object, `FittedMixture`, of which the fitted attributes are parts. Another fit replaces it as a whole:
    one that fails changes nothing, and whoever predicts meanwhile does so by the old one.
    """

    _doc_link_module, _doc_link_template = "skflowmix", PAGE_OF_ESTIMATOR
    _recipe: ClassVar[Recipe]
    _parameter_constraints: ClassVar = PARAMETER_CONSTRAINTS
    random_state: int | np.random.RandomState | None

    def fit(self, X: ArrayLike, y: ArrayLike | None = None, sample_weight: ArrayLike | None = None) -> Self:
        """Fit the mixture.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
        y : array-like of shape (n_samples,), default=None
            Class labels; -1 marks a row without one. Which y is learned `labels` says; the classifier learns any.
        sample_weight : array-like of shape (n_samples,), default=None
            Non-negative weights; a weight of two is a row that stands there twice.

        Returns
        -------
        self : object
        """
        self._fit(X, y, sample_weight)
        return self

    @_fit_context(prefer_skip_nested_validation=True)
    def _fit(self, X, y, sample_weight):
        """All that a fit changes is changed by one assignment, its last line but for warnings."""
        settings = Settings.of(self.get_params(deep=False))
        check_settings(settings)
        told = {"X": X, "y": y, "sample_weight": sample_weight}
        with undisturbed(), one_thread(), reporting(self, settings.verbose, **told) as report:
            fresh = self._unfitted()
            table = check_table(fresh, X, y, sample_weight, settings.labels)
            before = vars(self).get("_state") if settings.warm_start else None
            if before is not None:
                whole_fit.check_names_as_before(self, fresh, X)
            fresh._state = fit_average(settings, table, self._recipe, before=before, report=report)
        self.__dict__ = fresh.__dict__
        if fresh._state.history.interrupted:
            raise KeyboardInterrupt
        warn_of_fit(fresh._state, settings, self._recipe, table.y)

    __sklearn_is_fitted__ = whole_fit.is_fitted
    __getstate__, __setstate__ = whole_fit.copied_state, whole_fit.take_state
    save = whole_fit.save
    _unfitted, _look, _dtypes = whole_fit.unfitted, whole_fit.look, [np.float64, np.float32]

    @property
    def _fitted(self) -> FittedMixture:
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

    mixture_ = FittedPart[FlowMixture](lambda fitted: fitted.mixture)
    weights_ = FittedPart[np.ndarray](lambda fitted: fitted.weights)
    n_components_ = FittedPart[int](lambda fitted: len(fitted.slots))

    @property
    def n_components_scores_(self) -> Any:
        scores = self._fitted.plan.n_components_scores
        if scores is None:
            raise AttributeError("n_components_scores_ is there only after a fit with n_components='auto'.")
        return scores

    @property
    def classes_(self) -> np.ndarray:
        classes = self._fitted.classes
        if not len(classes):
            raise AttributeError("classes_ is there only after a fit that learned labels.")
        return classes

    _n_features_out = FittedPart[int](lambda fitted: fitted.plan.architecture["n_features"])
    n_iter_ = FittedPart[int](lambda fitted: fitted.history.n_iter)
    converged_ = FittedPart[bool](lambda fitted: fitted.converged)
    lower_bound_ = FittedPart[float](lambda fitted: fitted.score)
    lower_bounds_ = FittedPart[list[float]](lambda fitted: fitted.bounds)
    history_ = FittedPart[History](lambda fitted: fitted.history)

    def predict(self, X: ArrayLike) -> np.ndarray:
        """Most probable component of each row, as in `predict_proba`.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)

        Returns
        -------
        ndarray of shape (n_samples,)
        """
        fitted, X = self._look(X)
        return fitted.predict(X)

    def predict_proba(self, X: ArrayLike) -> np.ndarray:
        """Probabilities of the components given each row, those of the posterior network where there is one.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)

        Returns
        -------
        ndarray of shape (n_samples, n_components)
        """
        fitted, X = self._look(X)
        return np.exp(fitted.evaluate("log_resp", X))

    def component_log_prob(self, X: ArrayLike) -> np.ndarray:
        """Log-density of each row under each component, in nats, in the units of X.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)

        Returns
        -------
        ndarray of shape (n_samples, n_components)
        """
        fitted, X = self._look(X)
        weights = fitted.weights
        return fitted.log_density("log_joint", X) - np.log(np.where(weights > 0, weights, 1))

    def score_samples(self, X: ArrayLike) -> np.ndarray:
        """Log-density of each row, in nats, in the units of X.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)

        Returns
        -------
        ndarray of shape (n_samples,)
        """
        fitted, X = self._look(X)
        return fitted.log_density("log_prob", X)

    def elbo(self, X: ArrayLike) -> np.ndarray:
        """Bound on the log-density that the posterior gives each row; with the exact one, the log-density.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)

        Returns
        -------
        ndarray of shape (n_samples,)
        """
        fitted, X = self._look(X)
        return fitted.log_density("elbo", X)

    def score(self, X: ArrayLike, y: Any = None, sample_weight: ArrayLike | None = None) -> float:
        """Mean log-density of the rows, in nats.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
        y : Ignored
            Present for API consistency.
        sample_weight : array-like of shape (n_samples,), default=None

        Returns
        -------
        float
        """
        fitted, rows = self._look(X)
        return float(np.average(fitted.log_density("log_prob", rows), weights=check_weights(sample_weight, rows)))

    def sample(
        self,
        n_samples: int = 1,
        random_state: int | np.random.RandomState | None = None,
        *,
        component: int | None = None,
    ) -> tuple[np.ndarray, np.ndarray]:
        """Draw rows from the fitted density, sorted by component.

        Parameters
        ----------
        n_samples : int, default=1
        random_state : int, RandomState instance or None, default=None
            None takes the estimator's own `random_state`, so that an integer there repeats the draw.
        component : int, default=None
            The component that all rows are drawn from; None draws from the mixture.

        Returns
        -------
        X : ndarray of shape (n_samples, n_features)
            Or a table, as `set_output` says, after a fit of one.
        y : ndarray of shape (n_samples,)
            Component that each row was drawn from.
        """
        if component is not None and (isinstance(component, bool) or not isinstance(component, (int, np.integer))):
            raise ValueError(f"component must be the number of a component or None; got {component!r}.")
        _, X, drawn = self._draw(n_samples, random_state, component)
        return as_table(self, X), drawn

    def _draw(self, n_samples, random_state, among=None):
        """The fit that was drawn from, rows, and their components."""
        fitted = self._fitted
        if isinstance(n_samples, bool) or not isinstance(n_samples, (int, np.integer)) or n_samples < 1:
            raise ValueError(f"n_samples must be an integer of at least 1; got {n_samples!r}.")
        random_state = check_random_state(self.random_state if random_state is None else random_state)
        return fitted, *fitted.sample(n_samples, random_state.randint(np.iinfo(np.int32).max), among)

    transform, to_onnx = transform, to_onnx
    bic = aic = icl = property(no_criterion)
