"""Classes of rows few of which are labelled: a variational autoencoder whose latent place is a class and a style."""

from __future__ import annotations

from collections.abc import Sequence
from numbers import Real
from typing import ClassVar, Literal

import numpy as np
import torch
from sklearn.utils._param_validation import Interval, StrOptions

from ._autoencoder import FlowAutoencoder, MakesNetwork, MakesOptimizer
from ._autoencoder_classifier_base import AutoencoderClassifierEstimator

_SHARED = (
    "n_latent_features likelihood heteroscedastic binarize posterior n_posterior_layers hidden_layer_sizes encoder "
    "decoder dropout free_bits kl_warm_up_iter n_importance_draws reg_covar max_iter batch_size optimizer "
    "learning_rate_init alpha averaging early_stopping validation_fraction n_iter_no_change tol device dtype "
    "random_state verbose"
)


class FlowAutoencoderClassifier(AutoencoderClassifierEstimator):
    """Semi-supervised variational autoencoder (M2): a class and a style make each row, and networks guess both.

    Rows labelled -1 have no label: their bound is a mean over the classes, by the probabilities that the classifier
    network gives them; but if y holds -1 and only one other label, these are the two classes. It also draws rows of a
    class, and gives a row another class in the same style. Behind a `FlowAutoencoder` in a pipeline it is M1 + M2.

    Parameters
    ----------
    n_latent_features : int, default=10
        Number of latent features, those of style.
    likelihood : {"auto", "bernoulli", "logistic", "normal"}, default="auto"
        Density of the features given class and style, each by itself. "normal": any numbers; features are standardised
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
        Density of the style given a row and a class, as of `FlowAutoencoder`.
    n_posterior_layers : int, default=4
        Planar maps, autoregressive steps or leapfrog steps.
    hidden_layer_sizes : tuple of int, default=(256, 256)
        Units in the hidden layers of encoder and classifier network, with softplus; the decoder has them the other way
        round.
    encoder : callable or None, default=None
        ``make(n_inputs, n_outputs) -> torch.nn.Module``, a network of your own in place of the encoder's perceptron. It
        maps rows (N, n_inputs) to (N, n_outputs). The class is further inputs of it, as many as there are classes.
    decoder : callable or None, default=None
        The same for the decoder.
    classifier : callable or None, default=None
        The same for the classifier network, which has the features alone for inputs.
    dropout : float or "variational", default=0.0
        Noise in the weights of the perceptrons in training: a rate of Gaussian dropout, below 1, or rates that are
        learned (arXiv:1506.02557).
    supervised_weight : float or "auto", default="auto"
        Weight of log q(y | x) of each labelled row, next to the bounds. "auto" is .1 N / N_labelled, so that labels
        weigh the same however few they are.
    spreading_weight : float, default=1.0
        Weight of log q(y | x) of each row without a label for the class whose labels reach it along a graph of nearest
        neighbours (Zhou et al., 2004), in distances of X as it is. With 0 rows without a label have their bound alone,
        as in arXiv:1406.5298: of scikit-learn's digits, five of each labelled, three in ten are then told wrong.
    free_bits : float, default=0.0
        Nats of the divergence of each latent feature that cost nothing in training, so that more of them are used; but
        for a normal or full posterior with a normal prior, of all features together, as many times as there are.
    kl_warm_up_iter : int, default=0
        Iterations over which the divergence of posterior and prior comes in.
    n_importance_draws : int, default=1
        Draws of the style of each row in training; several make importance-weighted bounds (arXiv:1509.00519).
    reg_covar : float, default=1e-6
        Least variance of a standardised feature around the decoder's mean.
    max_iter : int, default=200
        Most iterations, passes over the rows; several where there are fewer than ten batches.
    batch_size : int or "auto", default="auto"
        Rows of a step, 128 by default. At least a quarter of them are labelled ones, if there are as many.
    optimizer : {"adam", "adamax"} or callable, default="adam"
        What makes steps of gradients (arXiv:1412.6980). A callable makes a `training.Optimizer`.
    learning_rate_init : float, default=1e-3
        First step size. It is cut to a fifth, twice, when the score stops improving.
    alpha : float, default=0.0
        Decoupled weight decay.
    averaging : float, default=0.0
        Decay of the average of the weights over the steps, which is what is kept; 0 takes those of single steps.
    early_stopping : bool, default=True
        Whether rows that are held out decide which state is the best, and when to stop. Labelled ones are not held out
        next to unlabelled ones where that would be fewer than 50.
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
    classes_ : ndarray of shape (n_classes,)
        Sorted labels that were learned, but for -1.
    likelihood_ : str
        The likelihood that was taken.
    autoencoder_ : LabelledAutoencoder
        The torch module, in float64, of rows in units of its own.
    lower_bound_ : float
        Mean objective of the rows that are held out, or else of the training rows, of the state that was kept: in nats,
        in the module's units.
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
    FlowAutoencoder : The same without classes (M1), whose latent features make a good X.
    FlowMixtureClassifier : Densities of the classes without latent features, for tables of few columns.

    Notes
    -----
    Of a labelled row log p(x, y) is bounded by L(x, y) = E_q [log p(x | y, z) + log p(z) - log q(z | x, y)] + log p(y),
    of others log p(x) by the sum over y of q(y | x) [L(x, y) - log q(y | x)] (Kingma, Rezende, Mohamed and Welling,
    2014, arXiv:1406.5298). The probabilities p(y) are the shares of the labels, each class having one more.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.datasets import load_digits
    >>> from skflowmix import FlowAutoencoderClassifier
    >>> X, y = load_digits(return_X_y=True)
    >>> partial = np.where(np.arange(len(y)) < 300, y, -1)
    >>> model = FlowAutoencoderClassifier(
    ...     8, hidden_layer_sizes=(64,), n_iter_no_change=2, tol=0.1, random_state=0
    ... ).fit(X[:1000] / 16, partial[:1000])
    >>> bool(model.score(X[1000:] / 16, y[1000:]) > 0.8)
    True
    >>> model.reconstruct(X[:2] / 16, y=[3, 5]).shape  # a three and a five in the hands of the first two writers
    (2, 64)
    """

    _parameter_constraints: ClassVar = {
        name: FlowAutoencoder._parameter_constraints[name] for name in _SHARED.split()
    } | {
        "classifier": [callable, None],
        "spreading_weight": [Interval(Real, 0, 1e6, closed="both")],
        "supervised_weight": [Interval(Real, 0, 1e6, closed="both"), StrOptions({"auto"})],
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
        hidden_layer_sizes: Sequence[int] = (256, 256),
        encoder: MakesNetwork | None = None,
        decoder: MakesNetwork | None = None,
        classifier: MakesNetwork | None = None,
        dropout: float | Literal["variational"] = 0.0,
        supervised_weight: float | Literal["auto"] = "auto",
        spreading_weight: float = 1.0,
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
        self.hidden_layer_sizes = hidden_layer_sizes
        self.encoder = encoder
        self.decoder = decoder
        self.classifier = classifier
        self.dropout = dropout
        self.supervised_weight = supervised_weight
        self.spreading_weight = spreading_weight
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
