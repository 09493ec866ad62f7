"""What an autoencoder does, beside what it is: fitting, latent places, rows, scores."""

from __future__ import annotations

import os
from numbers import Integral
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, TransformerMixin, _fit_context
from sklearn.utils import check_array, check_random_state
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_is_fitted, validate_data

from ..autoencoding import AutoencoderSettings, FittedAutoencoder, fit_autoencoder
from ..bridge import undisturbed
from ..modules import FlowMixture
from ..modules.autoencoder import Autoencoder
from ..threads import one_thread
from ..training import History
from . import _whole_fit as whole_fit
from ._callbacks import CallbackSupportMixin, reporting
from ._files import load_estimator
from ._latent import as_table
from ._links import PAGE_OF_ESTIMATOR
from ._parts import FittedPart
from ._warnings import warn_of_autoencoder

if TYPE_CHECKING:
    from typing_extensions import Self


def _has_clusters(estimator):
    fitted = vars(estimator).get("_state")
    if not (estimator.prior == "flow-mixture" if fitted is None else isinstance(fitted.model.prior, FlowMixture)):
        raise AttributeError("Clusters are there only after a fit with prior='flow-mixture'.")
    return True


class AutoencoderEstimator(ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseEstimator, CallbackSupportMixin):
    """A variational autoencoder behind scikit-learn's interface; see `FlowAutoencoder`.

    A fit is one object, `autoencoding.FittedAutoencoder`, of which the fitted attributes are parts. Another fit
    replaces it as a whole: one that fails changes nothing.
    """

    _doc_link_module, _doc_link_template = "skflowmix", PAGE_OF_ESTIMATOR
    prior: str
    random_state: int | np.random.RandomState | None

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X: ArrayLike, y: Any = None) -> Self:
        """Fit the networks.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
        y : Ignored
            Present for API consistency.

        Returns
        -------
        self : object

        Raises
        ------
        ValueError
            If X is not what scikit-learn's estimators accept, or not what the likelihood asks for.
        """
        settings = AutoencoderSettings.of(self.get_params(deep=False))
        with undisturbed(), one_thread(), reporting(self, settings.verbose, X=X, y=y) as report:
            fresh = self._unfitted()
            rows = validate_data(fresh, X, dtype=np.float64, ensure_min_samples=2)
            fresh._state = fit_autoencoder(settings, rows, report=report)
        self.__dict__ = fresh.__dict__
        if fresh._state.history.interrupted:
            raise KeyboardInterrupt
        warn_of_autoencoder(fresh._state, settings)
        return self

    __sklearn_is_fitted__ = whole_fit.is_fitted
    __getstate__, __setstate__ = whole_fit.copied_state, whole_fit.take_state
    save = whole_fit.save
    _unfitted, _look, _dtypes = whole_fit.unfitted, whole_fit.look, np.float64

    @property
    def _fitted(self) -> FittedAutoencoder:
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

    @property
    def _n_features_out(self) -> int:
        return self._fitted.n_latent

    autoencoder_ = FittedPart[Autoencoder](lambda fitted: fitted.model)
    likelihood_ = FittedPart[str](lambda fitted: fitted.likelihood)
    lower_bound_ = FittedPart[float](lambda fitted: fitted.score)
    n_iter_ = FittedPart[int](lambda fitted: fitted.history.n_iter)
    converged_ = FittedPart[bool](lambda fitted: fitted.converged)
    history_ = FittedPart[History](lambda fitted: fitted.history)

    def transform(self, X: ArrayLike) -> np.ndarray:
        """Posterior means of the latent features.

        Where the posterior is planar, "iaf" or "hamiltonian" they are means of a few draws, the noise of which is the
        same for all rows.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)

        Returns
        -------
        ndarray of shape (n_samples, n_latent_features)
        """
        fitted, X = self._look(X)
        return fitted.transform(X)

    def inverse_transform(self, X: ArrayLike) -> np.ndarray:
        """Means of the features given latent ones, in the units of the rows that were fitted.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_latent_features)

        Returns
        -------
        ndarray of shape (n_samples, n_features)
        """
        fitted = self._fitted
        with undisturbed():
            places: np.ndarray = check_array(X, dtype=np.float64)
        if places.shape[1] != fitted.n_latent:
            raise ValueError(f"X has {places.shape[1]} features, but {fitted.n_latent} latent ones are expected.")
        return fitted.inverse_transform(places)

    def elbo(self, X: ArrayLike, *, n_draws: int = 1) -> np.ndarray:
        """Bound on the log-density of each row, in nats, in the units of X.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
        n_draws : int, default=1
            Draws of the latent place of each row, whose mean is taken.

        Returns
        -------
        ndarray of shape (n_samples,)
        """
        fitted, X = self._look(X)
        return fitted.bound(X, _number(n_draws, "n_draws"))

    def score_samples(self, X: ArrayLike, *, n_importance_draws: int = 100) -> np.ndarray:
        """Log-density of each row by importance weights, in nats, in the units of X; of "logistic", log-probability.

        In the mean it is below the log-density, and the nearer the more draws there are (arXiv:1509.00519).

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
        n_importance_draws : int, default=100
            Draws of the latent place of each row.

        Returns
        -------
        ndarray of shape (n_samples,)
        """
        fitted, X = self._look(X)
        return fitted.log_density(X, _number(n_importance_draws, "n_importance_draws"))

    def score(self, X: ArrayLike, y: Any = None) -> float:
        """Mean of `score_samples`.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
        y : Ignored
            Present for API consistency.

        Returns
        -------
        float
        """
        return float(self.score_samples(X).mean())

    def sample(self, n_samples: int = 1, random_state: int | np.random.RandomState | None = None) -> np.ndarray:
        """Draw rows: a latent place from the prior, then features given it.

        `inverse_transform` has the means of the latter. With ``prior="flow-mixture"`` rows are sorted by component.

        Parameters
        ----------
        n_samples : int, default=1
        random_state : int, RandomState instance or None, default=None
            None takes the estimator's own `random_state`, so that an integer there repeats the draw.

        Returns
        -------
        ndarray of shape (n_samples, n_features)
            Or a table, as `set_output` says, after a fit of one.
        """
        fitted = self._fitted
        source = check_random_state(self.random_state if random_state is None else random_state)
        rows = fitted.sample(_number(n_samples, "n_samples"), source.randint(np.iinfo(np.int32).max))
        return as_table(self, rows)

    @available_if(_has_clusters)
    def predict(self, X: ArrayLike) -> np.ndarray:
        """Most probable component of the prior for each row, as in `predict_proba`.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)

        Returns
        -------
        ndarray of shape (n_samples,)
        """
        return self.predict_proba(X).argmax(1)

    @available_if(_has_clusters)
    def predict_proba(self, X: ArrayLike) -> np.ndarray:
        """Probabilities of the prior's components given the latent place, in the mean over the posterior of each row.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)

        Returns
        -------
        ndarray of shape (n_samples, n_components)
        """
        fitted, X = self._look(X)
        return fitted.resp(X)


def _number(value, name):
    if isinstance(value, bool) or not isinstance(value, Integral) or value < 1:
        raise ValueError(f"{name} must be an integer of at least 1; got {value!r}.")
    return int(value)
