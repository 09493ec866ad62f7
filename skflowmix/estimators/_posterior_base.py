"""What a posterior does, beside what it is: fitting, draws, densities, weights."""

from __future__ import annotations

import os
from collections.abc import Callable
from numbers import Integral
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator, _fit_context
from sklearn.utils import check_array, check_random_state
from sklearn.utils.validation import check_is_fitted

from ..bridge import undisturbed
from ..inference import METHODS, FittedPosterior, PosteriorSettings, fit_posterior
from ..inference.importance import normalized, pareto_smoothed
from ..modules import Chain, FlowMixture
from ..threads import one_thread
from ..training import History
from . import _whole_fit as whole_fit
from ._callbacks import CallbackSupportMixin, reporting
from ._files import load_estimator
from ._links import PAGE_OF_ESTIMATOR
from ._parts import FittedPart
from ._warnings import warn_of_chains, warn_of_posterior

if TYPE_CHECKING:
    from typing_extensions import Self


class PosteriorEstimator(BaseEstimator, CallbackSupportMixin):
    """A mixture of flows that stands for a log-density; see `FlowMixturePosterior`.

    A fit is one object, `inference.FittedPosterior`, of which the fitted attributes are parts.
    """

    _doc_link_module, _doc_link_template = "skflowmix", PAGE_OF_ESTIMATOR
    random_state: int | np.random.RandomState | None

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, log_density: Callable[..., Any], n_features: int) -> Self:
        """Fit the mixture to a log-density.

        Parameters
        ----------
        log_density : callable
            Unnormalised log-density in nats, a function of its argument alone. Tensor of shape (N, D) -> Tensor of
            shape (N,), through which autograd can go back; or ndarray of shape (N, D) -> (ndarray of shape (N,),
            ndarray of shape (N, D)), value and gradient, as compiled models give them. With ``vectorized=False`` it
            takes one row, of shape (D,), and returns a number, or the pair of a number and a gradient of shape (D,).
            NaN and -inf count as no density.
        n_features : int
            Number D of features.

        Returns
        -------
        self : object

        Raises
        ------
        TypeError, ValueError
            If `log_density` is no function, returns something of another type or shape, has no gradient, is +inf, or
            nowhere a number.
        """
        settings = PosteriorSettings.of(self.get_params(deep=False))
        if isinstance(n_features, bool) or not isinstance(n_features, Integral) or n_features < 1:
            raise ValueError(f"n_features must be an integer of at least 1; got {n_features!r}.")
        if not callable(log_density):
            raise TypeError(f"log_density must be a function; got {type(log_density).__name__}.")
        with undisturbed(), one_thread(), reporting(self, settings.verbose) as report:
            fitted = fit_posterior(settings, log_density, int(n_features), report=report)
        self.__dict__ = {name: value for name, value in vars(self).items() if name != "_chains"} | {"_state": fitted}
        if fitted.history.interrupted:
            raise KeyboardInterrupt
        warn_of_posterior(fitted, settings)
        return self

    __sklearn_is_fitted__ = whole_fit.is_fitted
    __getstate__, __setstate__ = whole_fit.copied_state, whole_fit.take_state
    save = whole_fit.save

    @property
    def _fitted(self) -> FittedPosterior:
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

    elbo_ = FittedPart[float](lambda fitted: _verdict_of(fitted, "elbo_").elbo)
    log_evidence_ = FittedPart[float](lambda fitted: _verdict_of(fitted, "log_evidence_").log_evidence)
    log_evidence_se_ = FittedPart[float](lambda fitted: _verdict_of(fitted, "log_evidence_se_").log_evidence_se)
    ess_ = FittedPart[float](lambda fitted: _verdict_of(fitted, "ess_").ess)
    pareto_k_ = FittedPart[float](lambda fitted: _verdict_of(fitted, "pareto_k_").pareto_k)
    n_modes_ = FittedPart[int](lambda fitted: fitted.n_modes)
    n_components_ = FittedPart[int](lambda fitted: fitted.approximation.mixture.n_components)
    weights_ = FittedPart[np.ndarray](
        lambda fitted: fitted.approximation.mixture.log_weights().exp().squeeze(0).detach().cpu().numpy()
    )
    mixture_ = FittedPart[FlowMixture](lambda fitted: fitted.approximation.mixture)
    chain_ = FittedPart[Chain | None](lambda fitted: fitted.approximation.chain)
    n_iter_ = FittedPart[int](lambda fitted: fitted.history.n_iter)
    converged_ = FittedPart[bool](lambda fitted: fitted.converged)
    history_ = FittedPart[History](lambda fitted: fitted.history)
    n_features_in_ = FittedPart[int](lambda fitted: fitted.approximation.n_features)

    @property
    def r_hat_(self) -> np.ndarray:
        return self._last_chains("r_hat_").r_hat

    @property
    def chain_ess_(self) -> np.ndarray:
        return self._last_chains("chain_ess_").ess

    def _last_chains(self, name):
        if "_chains" not in vars(self):
            raise AttributeError(f"{name} is there only after sample(method='mcmc').")
        return vars(self)["_chains"]

    def _without_chain(self, name, instead):
        approximation = self._fitted.approximation
        if approximation.chain is not None:
            raise AttributeError(
                f"{name} is not there with a transition: rows are ends of chains, whose density has no closed form; "
                f"{instead}."
            )
        return approximation

    def score_samples(self, theta: ArrayLike) -> np.ndarray:
        """Log-density log q of each row under the fitted mixture, in nats; -inf outside the bounds.

        Parameters
        ----------
        theta : array-like of shape (n_samples, n_features)

        Returns
        -------
        ndarray of shape (n_samples,)

        Raises
        ------
        AttributeError
            If there is a transition, behind which the density has no closed form.
        """
        approximation = self._without_chain("score_samples", "elbo_ and log_evidence_ are of whole chains")
        return approximation.log_prob(_check_rows(theta, approximation))

    def importance_weights(self, theta: ArrayLike, *, log_density: Callable[..., Any] | None = None) -> np.ndarray:
        """Weights by which draws of the mixture stand for draws of the target, Pareto-smoothed (arXiv:1507.02646).

        Parameters
        ----------
        theta : array-like of shape (n_samples, n_features)
            Rows that `sample` has drawn.
        log_density : callable, default=None
            What was fitted; None takes that of the fit, which copies by pickle do not have.

        Returns
        -------
        ndarray of shape (n_samples,)
            Non-negative, with sum one; zero where there is no density.

        Raises
        ------
        AttributeError
            If there is a transition: weights are those of whole chains then, and rows are their ends.
        """
        approximation = self._without_chain("importance_weights", "draw by weights with sample(method='resample')")
        rows = _check_rows(theta, approximation)
        with undisturbed(), one_thread():
            log_weight = approximation.log_weight(rows, approximation.target_of(log_density))
        if not (log_weight > -np.inf).any():
            raise ValueError("log_density is NaN or -inf at all rows of theta.")
        return normalized(pareto_smoothed(log_weight)[0])

    def sample(
        self,
        n_samples: int = 1,
        random_state: int | np.random.RandomState | None = None,
        method: Literal["flow", "resample", "mcmc"] = "flow",
        *,
        log_density: Callable[..., Any] | None = None,
    ) -> np.ndarray:
        """Draw rows, in random order.

        Parameters
        ----------
        n_samples : int, default=1
        random_state : int, RandomState instance or None, default=None
            None takes the estimator's own `random_state`, so that an integer there repeats the draw.
        method : {"flow", "resample", "mcmc"}, default="flow"
            "flow": independent draws of the mixture, or the ends of chains behind it. "resample": the same by smoothed
            importance weights, out of ten times as many, so that a row may come several times. "mcmc": 16 to 64 Markov
            chains that propose draws of the mixture and move by Hamiltonian dynamics in its latent space, right in the
            limit whatever the mixture is; `r_hat_` and `chain_ess_` tell of them, and a warning where they do not
            agree.
        log_density : callable, default=None
            What was fitted; None takes that of the fit, which copies by pickle do not have. "flow" asks for it where
            there are Hamiltonian transitions.

        Returns
        -------
        ndarray of shape (n_samples, n_features)
        """
        approximation = self._fitted.approximation
        if isinstance(n_samples, bool) or not isinstance(n_samples, Integral) or n_samples < 1:
            raise ValueError(f"n_samples must be an integer of at least 1; got {n_samples!r}.")
        if method not in METHODS:
            raise ValueError(f"method must be one of {sorted(METHODS)}; got {method!r}.")
        random_state = check_random_state(self.random_state if random_state is None else random_state)
        with undisturbed(), one_thread():
            asked = method != "flow" or approximation.draws_take_the_target
            target = approximation.target_of(log_density) if asked else None
            theta, chains = METHODS[method](approximation, target, int(n_samples), random_state)
        if chains is not None:
            self._chains = chains
            warn_of_chains(chains)
        return theta


def _verdict_of(fitted, name):
    if fitted.verdict is None:
        raise AttributeError(f"{name} is not there, since Ctrl-C ended the fit before its last draws.")
    return fitted.verdict


def _check_rows(theta, approximation):
    with undisturbed():
        theta = check_array(theta, dtype=np.float64, input_name="theta")
    if theta.shape[1] != approximation.n_features:
        raise ValueError(f"theta has {theta.shape[1]} features, but the posterior has {approximation.n_features}.")
    return theta
