"""Posteriors: a mixture of flows that stands for a density known up to a constant."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from numbers import Integral, Real
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
import torch
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator, _fit_context
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import check_array, check_random_state
from sklearn.utils._param_validation import Interval
from sklearn.utils.validation import check_is_fitted

from ..bridge import undisturbed
from ..inference import METHODS, FittedPosterior, PosteriorSettings, fit_posterior
from ..inference.importance import normalized, pareto_smoothed
from ..modules import FlowMixture
from ..threads import one_thread
from ..training import QUIET, History, Printer, Report
from ..warn import warn_user
from ._parameters import PARAMETER_CONSTRAINTS, MakesFlow

if TYPE_CHECKING:
    from typing_extensions import Self

_SHARED = (
    "n_components flow n_layers hidden_layer_sizes n_shared_layers base max_iter learning_rate_init n_iter_no_change "
    "tol device dtype random_state verbose"
)
_DOUBTFUL_K, _DOUBTFUL_R_HAT = 0.7, 1.05


class FlowMixturePosterior(BaseEstimator):
    """Mixture of normalizing flows fitted to an unnormalised log-density, by the reverse Kullback-Leibler divergence.

    It takes a function in place of data: the log-density of a posterior, say, log p(theta) + log p(data | theta). What
    comes out has exact densities, independent draws at once, and an estimate of the evidence, the integral of the
    density. Components begin at the modes that ascents from a wide cloud of points find, so that modes far apart are
    found as well.

    Parameters
    ----------
    n_components : int or "auto", default="auto"
        Number of components. "auto" takes one for each mode that was found, and where those, as Gaussians, describe the
        density badly, more of them, up to four.
    flow : str, callable, or list of them, default="realnvp"
        Architecture of each component, as of `FlowMixtureDensity`; "planar" and "radial" run the other way, from the
        base to theta, as in arXiv:1505.05770.
    n_layers : int, default=8
        Layers of each component after the affine map.
    hidden_layer_sizes : tuple of int, default=(32, 32)
        Units in the hidden layers of each layer's conditioner.
    n_shared_layers : int, default=0
        How many of the layers, those next to theta, are one for all components.
    base : {"normal", "uniform", "logistic", "student_t"}, default="normal"
        Density of the latent variable. "student_t" has polynomial tails, whose degrees of freedom are learned.
    bounds : sequence of (float, float) or None, default=None
        Lower and upper bound of each feature, -inf and inf where there is none; None in place of a pair for neither.
        The density may be anything outside, it is not asked there.
    vectorized : bool, default=True
        Whether `log_density` takes many rows at once.
    n_draws : int, default=512
        Draws of a step, divided among the components.
    annealing_iter : int, default=0
        Iterations over which the log-density is multiplied by a number that rises from .1 to 1.
    max_iter : int, default=200
        Most iterations, of 25 steps each.
    learning_rate_init : float, default=5e-3
        First step size of Adam. It is cut to a fifth, twice, when the bound stops improving.
    n_iter_no_change : int, default=5
        Iterations without an improvement of `tol` after which the step size is cut, or the fit has converged.
    tol : float, default=1e-3
        Least improvement of the bound that counts, in nats.
    device : str or torch.device, default="auto"
        "auto" takes a CUDA device where there is one.
    dtype : {"float32", "float64"}, default="float32"
        Type of the numbers in training, and of the tensors that `log_density` is given.
    random_state : int, RandomState instance or None, default=None
        An int makes fits repeat bit by bit on one machine.
    verbose : bool or int, default=False
        Whether to print how the fit goes on: at most a line a second, or with more than 1 every iteration.

    Attributes
    ----------
    elbo_ : float
        Mean of log p - log q over draws, in nats: a lower bound of the log-evidence, but for its own noise.
    log_evidence_ : float
        Logarithm of the integral of the density, by importance weights, in nats.
    log_evidence_se_ : float
        Its standard error, as far as the weights know: of a mode that no component has they know nothing.
    ess_ : float
        Of 10,000 draws, how many of the target's own they are worth.
    pareto_k_ : float
        Shape of the largest weights: below .5 they have a variance, above .7 they cannot be relied on
        (arXiv:1507.02646).
    n_modes_ : int
        Number of modes found, those between which the density falls by less than a factor e being one.
    n_components_ : int
        Number of components.
    weights_ : ndarray of shape (n_components_,)
        Mixture weights.
    mixture_ : FlowMixture
        The torch module, in float64, of coordinates that are unbounded and of scale one.
    n_iter_ : int
        Iterations taken.
    converged_ : bool
        Whether the bound stopped improving before `max_iter`.
    history_ : History
        The bound and the step size in every iteration.
    n_features_in_ : int
        Number of features.
    r_hat_ : ndarray of shape (n_features_in_,)
        Whether the chains of the last ``sample(method="mcmc")`` agree: 1 where they do (arXiv:1903.08008).
    chain_ess_ : ndarray of shape (n_features_in_,)
        How many independent draws those chains were worth, before they were thinned.

    See Also
    --------
    FlowMixtureDensity : The same mixture, of data.

    Notes
    -----
    The bound is stratified over the components, with the density of the whole mixture in it (arXiv:1505.05770); its
    gradient is that of arXiv:1703.09194. Copies by pickle or `copy` do not have the log-density, which need not be fit
    for that: hand it over to what needs it then.

    Examples
    --------
    >>> import torch
    >>> from skflowmix import FlowMixturePosterior
    >>> def log_density(theta):
    ...     return -0.5 * ((theta.abs() - 5) / 0.5).square().sum(1)  # four modes in two features
    >>> posterior = FlowMixturePosterior(flow="affine", random_state=0).fit(log_density, 2)
    >>> posterior.n_modes_, round(posterior.log_evidence_, 1)  # the logarithm of 4 x 2 pi .5^2
    (4, 1.8)
    """

    _parameter_constraints: ClassVar = {name: PARAMETER_CONSTRAINTS[name] for name in _SHARED.split()} | {
        "bounds": ["array-like", None],
        "vectorized": ["boolean"],
        "n_draws": [Interval(Integral, 1, None, closed="left")],
        "annealing_iter": [Interval(Integral, 0, None, closed="left")],
        "tol": [Interval(Real, 0, None, closed="left")],
    }

    def __init__(
        self,
        n_components: int | Literal["auto"] = "auto",
        *,
        flow: str | MakesFlow | Sequence[str | MakesFlow] = "realnvp",
        n_layers: int = 8,
        hidden_layer_sizes: Sequence[int] = (32, 32),
        n_shared_layers: int = 0,
        base: str = "normal",
        bounds: ArrayLike | Sequence[Any] | None = None,
        vectorized: bool = True,
        n_draws: int = 512,
        annealing_iter: int = 0,
        max_iter: int = 200,
        learning_rate_init: float = 5e-3,
        n_iter_no_change: int = 5,
        tol: float = 1e-3,
        device: str | torch.device = "auto",
        dtype: str = "float32",
        random_state: int | np.random.RandomState | None = None,
        verbose: bool | int = False,
    ) -> None:
        self.n_components = n_components
        self.flow = flow
        self.n_layers = n_layers
        self.hidden_layer_sizes = hidden_layer_sizes
        self.n_shared_layers = n_shared_layers
        self.base = base
        self.bounds = bounds
        self.vectorized = vectorized
        self.n_draws = n_draws
        self.annealing_iter = annealing_iter
        self.max_iter = max_iter
        self.learning_rate_init = learning_rate_init
        self.n_iter_no_change = n_iter_no_change
        self.tol = tol
        self.device = device
        self.dtype = dtype
        self.random_state = random_state
        self.verbose = verbose

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
        with undisturbed(), one_thread():
            report = Report([Printer(settings.verbose)]) if settings.verbose else QUIET
            fitted = fit_posterior(settings, log_density, int(n_features), report=report)
        self.__dict__ = {name: value for name, value in vars(self).items() if name != "_chains"} | {"_state": fitted}
        if fitted.history.interrupted:
            raise KeyboardInterrupt
        _warn_of_fit(fitted, settings)
        return self

    def __sklearn_is_fitted__(self) -> bool:
        return "_state" in vars(self)

    @property
    def _fitted(self) -> FittedPosterior:
        check_is_fitted(self)
        return vars(self)["_state"]

    @property
    def elbo_(self) -> float:
        return self._fitted.verdict.elbo

    @property
    def log_evidence_(self) -> float:
        return self._fitted.verdict.log_evidence

    @property
    def log_evidence_se_(self) -> float:
        return self._fitted.verdict.log_evidence_se

    @property
    def ess_(self) -> float:
        return self._fitted.verdict.ess

    @property
    def pareto_k_(self) -> float:
        return self._fitted.verdict.pareto_k

    @property
    def n_modes_(self) -> int:
        return self._fitted.n_modes

    @property
    def n_components_(self) -> int:
        return self._fitted.mixture.n_components

    @property
    def weights_(self) -> np.ndarray:
        return self._fitted.mixture.log_weights().exp().squeeze(0).detach().cpu().numpy()

    @property
    def mixture_(self) -> FlowMixture:
        return self._fitted.mixture

    @property
    def n_iter_(self) -> int:
        return self._fitted.history.n_iter

    @property
    def converged_(self) -> bool:
        return self._fitted.converged

    @property
    def history_(self) -> History:
        return self._fitted.history

    @property
    def n_features_in_(self) -> int:
        return self._fitted.n_features

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

    def score_samples(self, theta: ArrayLike) -> np.ndarray:
        """Log-density log q of each row under the fitted mixture, in nats; -inf outside the bounds.

        Parameters
        ----------
        theta : array-like of shape (n_samples, n_features)

        Returns
        -------
        ndarray of shape (n_samples,)
        """
        fitted = self._fitted
        return fitted.log_prob(_check_rows(theta, fitted))

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
        """
        fitted = self._fitted
        theta = _check_rows(theta, fitted)
        with undisturbed(), one_thread():
            log_weight = fitted.log_weight(theta, fitted.target_of(log_density))
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
            "flow": independent draws of the mixture. "resample": the same by smoothed importance weights, out of ten
            times as many, so that a row may come several times. "mcmc": sixteen Markov chains that propose draws of the
            mixture and move by Hamiltonian dynamics in its latent space, right in the limit whatever the mixture is;
            `r_hat_` and `chain_ess_` tell of them, and a warning where they do not agree.
        log_density : callable, default=None
            What was fitted; None takes that of the fit, which copies by pickle do not have.

        Returns
        -------
        ndarray of shape (n_samples, n_features)
        """
        fitted = self._fitted
        if isinstance(n_samples, bool) or not isinstance(n_samples, Integral) or n_samples < 1:
            raise ValueError(f"n_samples must be an integer of at least 1; got {n_samples!r}.")
        if method not in METHODS:
            raise ValueError(f"method must be one of {sorted(METHODS)}; got {method!r}.")
        random_state = check_random_state(self.random_state if random_state is None else random_state)
        with undisturbed(), one_thread():
            target = None if method == "flow" else fitted.target_of(log_density)
            theta, chains = METHODS[method](fitted, target, int(n_samples), random_state)
        if chains is not None:
            self._chains = chains
            _warn_of_chains(chains)
        return theta


def _check_rows(theta, fitted):
    with undisturbed():
        theta = check_array(theta, dtype=np.float64, input_name="theta")
    if theta.shape[1] != fitted.n_features:
        raise ValueError(f"theta has {theta.shape[1]} features, but the posterior has {fitted.n_features}.")
    return theta


def _warn_of_fit(fitted, settings):
    verdict = fitted.verdict
    if verdict.n_nil:
        warn_user(
            f"log_density is NaN or -inf at {verdict.n_nil} of {verdict.n_draws} draws of the fitted mixture, which count "
            "as rows of weight nil; if its support is bounded, set bounds."
        )
    if verdict.pareto_k > _DOUBTFUL_K:
        warn_user(
            f"The mixture misses parts of the density: pareto_k_ is {verdict.pareto_k:.2f}, above {_DOUBTFUL_K}, so that "
            "log_evidence_ and importance weights cannot be relied on. Set a larger n_components, n_layers or max_iter, "
            "base='student_t' for heavy tails, or draw by sample(method='mcmc')."
        )
    if not fitted.converged:
        warn_user(
            f"The bound still improved after max_iter={settings.max_iter} iterations; a larger max_iter may help.",
            ConvergenceWarning,
        )


def _warn_of_chains(chains):
    worst = np.nanmax(chains.r_hat, initial=1.0)
    if worst > _DOUBTFUL_R_HAT:
        warn_user(
            f"The Markov chains do not agree: r_hat_ is up to {worst:.2f}; ask for more draws, or for a better fit."
        )
