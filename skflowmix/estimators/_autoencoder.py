"""Latent places of rows: a variational autoencoder as a transformer."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from numbers import Integral, Real
from typing import ClassVar, Literal

import numpy as np
import torch
from sklearn.utils._param_validation import Interval, StrOptions

from ..autoencoding import POSTERIORS
from ..modules import PRESETS
from ..modules.likelihoods import LIKELIHOODS
from ..training import OPTIMIZERS, Optimizer
from ._autoencoder_base import AutoencoderEstimator
from ._parameters import PARAMETER_CONSTRAINTS, MakesFlow

MakesOptimizer = Callable[..., Optimizer]
MakesNetwork = Callable[[int, int], torch.nn.Module]

_SHARED = (
    "n_layers hidden_layer_sizes reg_covar max_iter batch_size learning_rate_init alpha early_stopping "
    "validation_fraction n_iter_no_change tol device dtype random_state verbose"
)
_POSITIVE = Interval(Integral, 1, None, closed="left")


class FlowAutoencoder(AutoencoderEstimator):
    """Variational autoencoder with flows in its posterior, and a mixture of flows as prior where clusters are wanted.

    Rows become posterior means of a few latent features, from which a decoder makes them again: a transformer for
    pipelines that learns without labels, and a density of rows with samples and estimates of log p(x).

    Parameters
    ----------
    n_latent_features : int, default=10
        Number of latent features, the columns of what `transform` returns.
    likelihood : {"auto", "bernoulli", "logistic", "normal"}, default="auto"
        Density of the features given the latent ones, each by itself. "normal": any numbers; features are standardised
        inside, and their variances around the decoder's means are learned. "bernoulli": zeros and ones, or values
        between as probabilities of a one, such as the brightness of pixels. "logistic": recorded values on a grid, such
        as counts or levels 0 to 255, have the probability of the interval that each stands for. "auto" takes
        "bernoulli" where all values of X are from 0 to 1 and at least a quarter of them are 0 or 1, else "normal".
    heteroscedastic : bool, default=False
        Whether the scales of "normal" and "logistic" are functions of the latent place, in place of constants of the
        features.
    binarize : {"batch", "fixed"} or None, default="batch"
        What "bernoulli" does to values between 0 and 1: draw zeros and ones anew for every batch, draw them once, or
        take the mean over such draws of each feature.
    posterior : {"normal", "full", "planar", "iaf", "hamiltonian"}, default="normal"
        Density of the latent place given a row: normal with a diagonal or a full covariance, with planar maps
        (arXiv:1505.05770) or an inverse autoregressive flow (arXiv:1606.04934) behind it, or with leapfrog steps up the
        joint density (arXiv:1410.6460). The bound is the tighter the better it fits; the last is the dearest.
    n_posterior_layers : int, default=4
        Planar maps, autoregressive steps or leapfrog steps.
    prior : {"normal", "flow-mixture"}, default="normal"
        Density of the latent places. "flow-mixture" learns a mixture of flows with the networks, whose components are
        clusters: `predict` and `predict_proba` tell those of rows.
    n_components : int, default=10
        Number of components of that mixture.
    flow : str or callable, default="affine"
        Architecture of its components, as of `FlowMixtureDensity`.
    n_layers : int, default=4
        Layers of each component after the affine map.
    hidden_layer_sizes : tuple of int, default=(256, 256)
        Units in the hidden layers of the encoder, with softplus; the decoder has them the other way round.
    encoder : callable or None, default=None
        ``make(n_inputs, n_outputs) -> torch.nn.Module``, a network of your own in place of the perceptron. It maps rows
        (N, n_inputs) to (N, n_outputs).
    decoder : callable or None, default=None
        The same for the decoder.
    dropout : float or "variational", default=0.0
        Noise in the weights of the perceptrons in training: a rate of Gaussian dropout, below 1, or rates that are
        learned (arXiv:1506.02557).
    free_bits : float, default=0.0
        Nats of the divergence of each latent feature that cost nothing in training, so that more of them are used; but
        for a normal or full posterior with a normal prior, of all features together, as many times as there are.
    kl_warm_up_iter : int, default=0
        Iterations over which the divergence of posterior and prior comes in.
    n_importance_draws : int, default=1
        Draws of the latent place of each row in training; several make the importance-weighted bound
        (arXiv:1509.00519).
    reg_covar : float, default=1e-6
        Least variance of a standardised feature around the decoder's mean.
    max_iter : int, default=200
        Most passes over the rows; an iteration is several passes where there are fewer than ten batches.
    batch_size : int or "auto", default="auto"
        Rows of a step, 128 by default.
    optimizer : {"adam", "adamax"} or callable, default="adam"
        What makes steps of gradients (arXiv:1412.6980). A callable makes a `training.Optimizer`.
    learning_rate_init : float, default=1e-3
        First step size. It is cut to a fifth, twice, when the score stops improving.
    alpha : float, default=0.0
        Decoupled weight decay.
    averaging : float, default=0.0
        Decay of the average of the weights over the steps, which is what is kept; 0 takes those of single steps.
    early_stopping : bool, default=True
        Whether rows that are held out decide which state is the best, and when to stop.
    validation_fraction : float, default=0.1
        Share of the rows that is held out.
    n_iter_no_change : int, default=10
        Iterations without an improvement of `tol` after which the step size is cut, or the fit has converged.
    tol : float, default=1e-3
        Least improvement of the score that counts, in nats.
    device : str or torch.device, default="auto"
        "auto" takes a CUDA device where there is one.
    dtype : {"float32", "float64"}, default="float32"
        Type of the numbers in training.
    random_state : int, RandomState instance or None, default=None
        An int makes fits repeat bit by bit on one machine.
    verbose : bool or int, default=False
        Whether to print how the fit goes on: at most a line a second, or with more than 1 every iteration.

    Attributes
    ----------
    likelihood_ : str
        The likelihood that was taken.
    autoencoder_ : Autoencoder
        The torch module, in float64, of rows in units of its own.
    lower_bound_ : float
        Mean bound on log p of the rows that are held out, or else of the training rows, of the state that was kept: in
        nats, in the units of X.
    n_iter_ : int
        Iterations taken.
    converged_ : bool
        Whether the score stopped improving before `max_iter`.
    history_ : History
        Scores and step sizes in every iteration.
    n_features_in_ : int
        Number of features.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of the features, where X has names.

    See Also
    --------
    FlowMixtureClustering : Clusters of rows as they are.
    sklearn.decomposition.PCA : What this is with linear networks and normal densities.

    Notes
    -----
    The bound is E_q [log p(x | z) + log p(z) - log q(z | x)] (Kingma and Welling, 2014, arXiv:1312.6114; Kingma, 2017,
    Variational inference and deep learning). Draws that scores are means of are seeded by `random_state` and the values
    of each row, so that a row has the same score wherever it stands. Of values between 0 and 1 "bernoulli" scores the
    mean over zeros and ones drawn with these probabilities, or a bound of it.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from sklearn.linear_model import LogisticRegression
    >>> from sklearn.pipeline import make_pipeline
    >>> from skflowmix import FlowAutoencoder
    >>> X, y = load_digits(return_X_y=True)
    >>> autoencoder = FlowAutoencoder(8, hidden_layer_sizes=(64,), n_iter_no_change=2, tol=0.1, random_state=0)
    >>> model = make_pipeline(autoencoder, LogisticRegression(max_iter=1000)).fit(X[:1000] / 16, y[:1000])
    >>> bool(model.score(X[1000:] / 16, y[1000:]) > 0.8)
    True
    >>> autoencoder.transform(X[:5] / 16).shape
    (5, 8)
    """

    _parameter_constraints: ClassVar = {name: PARAMETER_CONSTRAINTS[name] for name in _SHARED.split()} | {
        "n_latent_features": [_POSITIVE],
        "likelihood": [StrOptions({"auto", *LIKELIHOODS})],
        "heteroscedastic": ["boolean"],
        "binarize": [StrOptions({"batch", "fixed"}), None],
        "posterior": [StrOptions(set(POSTERIORS))],
        "n_posterior_layers": [Interval(Integral, 1, 1000, closed="both")],
        "prior": [StrOptions({"normal", "flow-mixture"})],
        "n_components": [_POSITIVE],
        "flow": [StrOptions(set(PRESETS)), callable],
        "encoder": [callable, None],
        "decoder": [callable, None],
        "dropout": [Interval(Real, 0, 1, closed="left"), StrOptions({"variational"})],
        "optimizer": [StrOptions(set(OPTIMIZERS)), callable],
        "averaging": [Interval(Real, 0, 1, closed="left")],
        "free_bits": [Interval(Real, 0, 1e6, closed="both")],
        "kl_warm_up_iter": [Interval(Integral, 0, None, closed="left")],
        "n_importance_draws": [_POSITIVE],
    }

    def __init__(
        self,
        n_latent_features: int = 10,
        *,
        likelihood: str = "auto",
        heteroscedastic: bool = False,
        binarize: Literal["batch", "fixed"] | None = "batch",
        posterior: str = "normal",
        n_posterior_layers: int = 4,
        prior: str = "normal",
        n_components: int = 10,
        flow: str | MakesFlow = "affine",
        n_layers: int = 4,
        hidden_layer_sizes: Sequence[int] = (256, 256),
        encoder: MakesNetwork | None = None,
        decoder: MakesNetwork | None = None,
        dropout: float | Literal["variational"] = 0.0,
        free_bits: float = 0.0,
        kl_warm_up_iter: int = 0,
        n_importance_draws: int = 1,
        reg_covar: float = 1e-6,
        max_iter: int = 200,
        batch_size: int | Literal["auto"] = "auto",
        optimizer: str | MakesOptimizer = "adam",
        learning_rate_init: float = 1e-3,
        alpha: float = 0.0,
        averaging: float = 0.0,
        early_stopping: bool = True,
        validation_fraction: float = 0.1,
        n_iter_no_change: int = 10,
        tol: float = 1e-3,
        device: str | torch.device = "auto",
        dtype: str = "float32",
        random_state: int | np.random.RandomState | None = None,
        verbose: bool | int = False,
    ) -> None:
        self.n_latent_features = n_latent_features
        self.likelihood = likelihood
        self.heteroscedastic = heteroscedastic
        self.binarize = binarize
        self.posterior = posterior
        self.n_posterior_layers = n_posterior_layers
        self.prior = prior
        self.n_components = n_components
        self.flow = flow
        self.n_layers = n_layers
        self.hidden_layer_sizes = hidden_layer_sizes
        self.encoder = encoder
        self.decoder = decoder
        self.dropout = dropout
        self.free_bits = free_bits
        self.kl_warm_up_iter = kl_warm_up_iter
        self.n_importance_draws = n_importance_draws
        self.reg_covar = reg_covar
        self.max_iter = max_iter
        self.batch_size = batch_size
        self.optimizer = optimizer
        self.learning_rate_init = learning_rate_init
        self.alpha = alpha
        self.averaging = averaging
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.n_iter_no_change = n_iter_no_change
        self.tol = tol
        self.device = device
        self.dtype = dtype
        self.random_state = random_state
        self.verbose = verbose
