"""Posteriors: a mixture of flows that stands for a density known up to a constant."""

from __future__ import annotations

from collections.abc import Sequence
from numbers import Integral
from typing import Any, ClassVar, Literal

import numpy as np
import torch
from numpy.typing import ArrayLike
from sklearn.utils._param_validation import Interval, StrOptions

from ..inference import TRANSITIONS
from ._parameters import PARAMETER_CONSTRAINTS, MakesFlow
from ._posterior_base import PosteriorEstimator

_SHARED = (
    "n_components flow n_layers hidden_layer_sizes n_shared_layers base max_iter learning_rate_init n_iter_no_change "
    "tol device dtype random_state verbose"
)


class FlowMixturePosterior(PosteriorEstimator):
    """Mixture of normalizing flows fitted to an unnormalised log-density, by the reverse Kullback-Leibler divergence.

    It takes a function in place of data: the log-density of a posterior, say, log p(theta) + log p(data | theta). What
    comes out has exact densities, independent draws at once, and an estimate of the evidence, the integral of the
    density. Components begin at the modes that ascents from a wide cloud of points find, so that modes far apart are
    found as well.

    Parameters
    ----------
    n_components : int or "auto", default="auto"
        Number of components. "auto" takes one for each mode that was found, and where those, as Gaussians, describe the
        density badly, up to three more.
    flow : str, callable, or list of them, default="realnvp"
        Architecture of each component, as of `FlowMixtureDensity`; "planar" and "radial" run the other way, from the
        base to theta, as in arXiv:1505.05770.
    n_layers : int, default=8
        Layers of each component after the affine map.
    hidden_layer_sizes : tuple of int, default=(32, 32)
        Units in the hidden layers of each layer's conditioner.
    n_shared_layers : int, default=0
        How many of the layers, those next to theta, are one for all components.
    base : {"normal", "uniform", "logistic", "student_t"}, default="student_t"
        Density of the latent variable. "student_t" has polynomial tails, whose degrees of freedom are learned from 30
        on: where tails of the mixture are lighter than the density's, importance weights have no variance.
    bounds : sequence of (float, float) or None, default=None
        Lower and upper bound of each feature, -inf and inf where there is none; None in place of a pair for neither.
        The density may be anything outside, it is not asked there.
    vectorized : bool, default=True
        Whether `log_density` takes many rows at once.
    n_draws : int, default=512
        Draws of a step, divided among the components.
    transition : {"hamiltonian", "over-relaxed"} or None, default=None
        A Markov chain behind the mixture, without rejections, learned with it (arXiv:1410.6460). "hamiltonian":
        leapfrog steps along the gradient of the density, with learned step sizes and masses; it takes a function of
        tensors that torch can differentiate twice. "over-relaxed": sweeps that replace feature by feature, by the
        conditionals of a Gaussian with learned moments and a learned over-relaxation; for densities that are nearly
        Gaussian.
    n_transitions : int, default=1
        Length of the chain.
    n_leapfrog_steps : int, default=5
        Leapfrog steps of a Hamiltonian transition.
    annealing_iter : int, default=0
        Iterations over which the log-density is multiplied by a number that rises from .1 to 1. The start is then that
        of .1, so that few components may cover several modes each.
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
        Mean of log p - log q over draws, in nats: a lower bound of the log-evidence, but for its own noise. With a
        transition q is the density of all states of the chain, and p is extended by that of the learned way back.
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
    weights_ : ndarray of shape (`n_components_`,)
        Mixture weights.
    mixture_ : FlowMixture
        The torch module, in float64, of coordinates that are unbounded and of scale one.
    chain_ : Chain or None
        The torch module of the transitions behind it, in the same coordinates; None without a transition.
    n_iter_ : int
        Iterations taken.
    converged_ : bool
        Whether the bound stopped improving before `max_iter`.
    history_ : History
        The bound and the step size in every iteration.
    n_features_in_ : int
        Number of features.
    r_hat_ : ndarray of shape (`n_features_in_`,)
        Whether the chains of the last ``sample(method="mcmc")`` agree: 1 where they do (arXiv:1903.08008).
    chain_ess_ : ndarray of shape (`n_features_in_`,)
        How many independent draws those chains were worth, before they were thinned.

    See Also
    --------
    FlowMixtureDensity : The same mixture, of data.

    Notes
    -----
    The bound is stratified over the components, with the density of the whole mixture in it (arXiv:1505.05770); its
    gradient is that of arXiv:1703.09194. With a transition it is the auxiliary bound of arXiv:1410.6460, weights are
    those of whole chains, and the density at the end of a chain has no closed form: there are neither `score_samples`
    nor `importance_weights` of given rows, and Markov chains of ``sample(method="mcmc")`` have the mixture alone for
    their proposal. Copies by pickle or `copy` do not have the log-density, which need not be fit
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
        "transition": [StrOptions(set(TRANSITIONS)), None],
        "n_transitions": [Interval(Integral, 1, None, closed="left")],
        "n_leapfrog_steps": [Interval(Integral, 1, None, closed="left")],
        "annealing_iter": [Interval(Integral, 0, None, closed="left")],
    }

    def __init__(
        self,
        n_components: int | Literal["auto"] = "auto",
        *,
        flow: str | MakesFlow | Sequence[str | MakesFlow] = "realnvp",
        n_layers: int = 8,
        hidden_layer_sizes: Sequence[int] = (32, 32),
        n_shared_layers: int = 0,
        base: str = "student_t",
        bounds: ArrayLike | Sequence[Any] | None = None,
        vectorized: bool = True,
        n_draws: int = 512,
        transition: Literal["hamiltonian", "over-relaxed"] | None = None,
        n_transitions: int = 1,
        n_leapfrog_steps: int = 5,
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
        self.transition = transition
        self.n_transitions = n_transitions
        self.n_leapfrog_steps = n_leapfrog_steps
        self.annealing_iter = annealing_iter
        self.max_iter = max_iter
        self.learning_rate_init = learning_rate_init
        self.n_iter_no_change = n_iter_no_change
        self.tol = tol
        self.device = device
        self.dtype = dtype
        self.random_state = random_state
        self.verbose = verbose
