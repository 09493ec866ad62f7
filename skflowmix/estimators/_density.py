"""Density estimation by a mixture of flows."""

from __future__ import annotations

from collections.abc import Sequence
from numbers import Integral, Real
from typing import ClassVar, Literal

import numpy as np
import torch
from numpy.typing import ArrayLike
from sklearn.base import DensityMixin
from sklearn.utils._param_validation import Interval, StrOptions

from ..fitting import DENSITY
from ._base import FlowMixtureEstimator
from ._outliers import decision_function, predict_outliers
from ._parameters import LABELS_CONSTRAINT, PARAMETER_CONSTRAINTS, SHARING_CONSTRAINT, Initializer, MakesFlow


class FlowMixtureDensity(DensityMixin, FlowMixtureEstimator):
    """Density of any shape, as a mixture of normalizing flows.

    Restarts are compared by held-out log-likelihood. Rows may have labels, which tie them to components as in
    `FlowMixtureClustering`.

    Parameters
    ----------
    n_components : int or "auto", default=4
        Number of components of each of the `n_estimators` mixtures. "auto" takes the fit with the best held-out score:
        of one component, two, four, and so on up to sixteen, until twice as many are no better, which takes the time of
        all these fits. Where that is nothing to go by, with labels, `weights_init` or no rows held out, it counts the
        hills of the density that valleys set apart; with labels there are at least as many as classes.
    flow : str, callable, or list of them, default="nsf"
        Architecture of each component, all of which start with an affine map. "affine": nothing more, so that each
        component is one Gaussian. Without networks: "planar" and "radial", one bend along a plane or
        around a point for each layer (arXiv:1505.05770), and "prelu", bends along D planes (arXiv:1502.01852).
        Couplings, equally fast both ways: "nice" (arXiv:1410.8516), "realnvp" (arXiv:1605.08803), "glow"
        (arXiv:1807.03039), "nsf" (splines, arXiv:1906.04032). Autoregressive layers: "maf" (arXiv:1705.07057) and
        "nsf-ar" (splines) sample slowly where there are many features, "iaf" (arXiv:1606.04934) trains slowly there.
        A callable makes the
        transform of all components, as `modules.make_flow` does, which may be given that way:
        ``partial(make_flow, "nsf", mask="checkerboard", feature_shape=(1, 8, 8))``. A list has one for each component.
    n_layers : int, default=4
        Layers of each component after the affine map.
    hidden_layer_sizes : tuple of int, default=(32, 32)
        Units in the hidden layers of each layer's conditioner.
    n_shared_layers : int or "auto", default="auto"
        How many of the layers, from the data's side on, are one for all components; the affine map comes after them.
        "auto" shares all, so that components differ by their affine maps, where there are fewer than fifty rows
        for each component and feature, and `flow` is a name: one flow learns more from few rows than several, in less
        time. Else it shares none.
    base : {"logistic", "normal", "student_t", "uniform"}, default="normal"
        Latent density; "student_t" learns its degrees of freedom and gives heavy tails, "uniform" is flat in a box
        with soft walls.
    posterior : {"amortized", "exact"}, default="exact"
        Which probabilities of the components train the mixture and answer `predict` and `predict_proba`. "exact": those
        of Bayes' rule, and the likelihood is maximised. "amortized": those of a network with `hidden_layer_sizes`, and
        the bound `elbo` is maximised (arXiv:2009.00585); to assign rows then takes no evaluation of the flows. The
        network learns the first responsibilities after the warm-up, in as many iterations at most.
    solver : {"em", "gradient", "hard-em"}, default="gradient"
        How the likelihood is maximised. "gradient": by the gradient of all terms together. "em"
        (expectation-maximisation of Dempster, Laird and Rubin, 1977): responsibilities of all rows, mixture weights in
        closed form, and a few iterations in which each component learns the rows that it answers for, by turns.
        "hard-em" (classification EM of Celeux and Govaert, 1992) gives each row to its most probable component alone.
        Both maximise the joint likelihood, so that `supervised_weight` does not count, and require the exact posterior.
    learn_weights : bool, default=True
        Whether the mixture weights are learned. If not, they stay at `weights_init`, or else all equal.
    weights_init : array-like of shape (n_components,), default=None
        First mixture weights, positive. None takes the shares of the first responsibilities.
    weight_concentration_prior : float, default=None
        Parameter of a symmetric Dirichlet prior of the weights; None takes them as they maximise the likelihood. Above
        one it draws them together. Below one it removes components that are not needed: those that cut up a cluster
        without a valley of the density between them become one where held-out rows are described as well. Their
        `weights_` are zero, the other components keep their numbers. Where rows are too few to hold any out, all stay.
    init_params : str, callable or array-like of shape (n_samples, n_components), default="auto"
        One of "auto", "gmm", "k-means++", "kmeans", "random", "random_from_data", "spectral".
        First responsibilities, which settle the clusters that are found. "auto" makes a few partitions of different
        kinds and takes the one with the best evidence; components that are not clusters (a density's, those of one
        class) share the rows where they meet. A callable is called with the standardised distinct rows, the
        number of components, the rows' weights and a RandomState, and returns responsibilities. An array holds
        responsibilities of the rows of X.
    n_init : int, default=1
        Restarts, trained side by side; the one with the best score is kept.
    n_estimators : int or "auto", default="auto"
        Mixtures of `n_components` each that are fitted side by side, each with another start and other rows held out;
        the density is the mean of theirs, one mixture in which the components of one follow those of the other. "auto"
        takes six where there are fewer than fifty rows for each component and feature, which they describe much better
        than one, for two to three times its time; four of more rows, but two where X has more than 50,000 values; and
        one where it has more than 250,000 at all. It is one as well where components are told apart by more than the
        rows (labels, a posterior network, a prior that prunes them, their own flows, weights or first
        responsibilities), and with the solvers "em" and "hard-em", which fit one after the other.
        `lower_bound_` is the mean of the mixtures' own, `lower_bounds_` are those of one after the other, and
        `history_` has theirs as `members`.
    contamination : float, default=None
        Share of the rows, up to .5, that are taken for outliers: `offset_` is the log-density below which they lie, and
        `decision_function` and `predict_outliers` go by it. None tells no outliers. Rows count by their sample weights
        (in `sklearn.ensemble.IsolationForest` each counts once).
    reg_covar : float, default=1e-6
        Variance, in units of each feature's variance, that is added to covariances at the start, and as noise to the
        rows in training. Scales cannot fall much below its square root.
    labels : {"all", "none", "partial"}, default="partial"
        Which y is learned. "partial": one that holds -1, which marks a row without a label; a y without -1 is there for
        evaluation (`cross_val_score`, searches), and is ignored as by every clusterer. "all": any. "none": none.
    supervised_weight : float or "auto", default="auto"
        Weight of log p(class | x) of the labelled rows, next to their log p(x, class); in clustering without labels of
        log p(cluster | x) in the warm-up, for which the clusters of the start are labels. Only with solver "gradient".
        "auto" is a tenth of the rows for each labelled row, at least one, so that few labels count (arXiv:1406.5298).
    unlabelled_weight : float, default=1.0
        Weight of log p(x) of the unlabelled rows.
    consistency_weight : float, default=0
        Weight of the squared distance between the probabilities of the components given a row and given the row moved
        part of the way to a neighbour (arXiv:1610.02242).
    max_iter : int, default=200
        Most iterations; at most half of them are the warm-up. An iteration is a pass over the rows, or several where
        that were fewer than ten steps, or over 40,960 rows, drawn anew, where there are more. With "em" and "hard-em"
        these are the iterations of all M-steps together.
    batch_size : int or "auto", default="auto"
        Rows of a step. "auto" takes all of them up to 512; above that a 32nd, but 256 to 1,024.
    learning_rate_init : float, default=5e-3
        First step size of Adam. It is cut to a fifth, twice, when the score stops improving.
    alpha : float, default=0.0
        Weight decay.
    early_stopping : bool, default=True
        Whether a share of the rows is set aside to tell the best state and when to stop.
    validation_fraction : float, default=0.1
        That share.
    n_iter_no_change : int, default=10
        Iterations without an improvement of `tol` after which the step size is cut, or the fit has converged. With
        "em" and "hard-em" each component has its own step size and end.
    tol : float, default=1e-4
        Least improvement that counts, in nats per row.
    device : str or torch.device, default="auto"
        "auto" takes a CUDA device where there is one.
    dtype : {"float32", "float64"}, default="float32"
        Type of the numbers in training. Predictions are computed in float64.
    compile : bool, default=False
        Whether training steps go through `torch.compile`, which takes a minute or more before the first one, and needs
        a C++ compiler on a CPU. Where it fails a UserWarning says why, and the fit goes on without.
    warm_start : bool, default=False
        Whether `fit` goes on from the last fit's mixture.
    random_state : int, RandomState instance or None, default=None
        An int makes fits repeat bit by bit on one machine.
    verbose : bool or int, default=False
        Whether to print how the fit goes on: at most a line a second, or with more than 1 every iteration.

    Attributes
    ----------
    n_components_ : int
        Number of components of the mixture, those of all `n_estimators`, without those that a sparse prior removed.
    n_components_scores_ : dict of int to float
        How well each number that was tried does; the highest score decides. It says how well so many clusters are set
        apart, or, of a density that is chosen by held-out rows, is `lower_bound_` of the fit. Only with
        ``n_components="auto"``; of the classifier a list with one for each class.
    weights_ : ndarray
        Mixture weights, zero for components that a sparse prior removed.
    classes_ : ndarray of shape (n_classes,)
        Sorted labels that were learned, but for -1; only where there were some.
    mixture_ : FlowMixture
        The torch module, in float64, of the standardised features. Its components stand for classes in the order of the
        rows that first have these.
    n_iter_ : int
        Iterations taken, those of the warm-up and of M-steps included.
    converged_ : bool
        Whether the score stopped improving before `max_iter`.
    lower_bound_ : float
        Best score: mean objective per row of the validation rows, or of the training rows without early stopping.
        Without labels it is a log-likelihood in nats, in the units of X, or with an amortized posterior its bound; with
        "hard-em" it is the classification likelihood, in which each row counts under its most probable component alone.
    lower_bounds_ : list of float
        With "gradient" the same after every iteration that followed the warm-up. With "em" and "hard-em" that of the
        training rows after every M-step, which does not fall; without early stopping `lower_bound_` is the last.
    history_ : History
        Scores and step sizes of all restarts. Its `warm_up` tells of the first iterations, in which each component
        learns the rows that the start gave it; with "em" and "hard-em" its `m_steps` tells of the components.
    offset_ : float
        Log-density below which a row is an outlier, in nats; only with `contamination`.
    n_features_in_ : int
        Number of features seen in `fit`.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of the features, where X had names that are all strings.

    See Also
    --------
    FlowMixtureClustering : The same mixture, with the assignments of the training rows.
    sklearn.mixture.GaussianMixture : A mixture of ellipses.
    sklearn.neighbors.KernelDensity : A density without a model.

    Examples
    --------
    >>> from sklearn.datasets import make_moons
    >>> from sklearn.mixture import GaussianMixture
    >>> from skflowmix import FlowMixtureDensity
    >>> X, _ = make_moons(500, noise=0.07, random_state=0)
    >>> X_new, _ = make_moons(500, noise=0.07, random_state=1)
    >>> flows = FlowMixtureDensity(n_components=2, random_state=0).fit(X)
    >>> gaussians = GaussianMixture(n_components=2, random_state=0).fit(X)
    >>> flows.score(X_new) > gaussians.score(X_new)
    True
    """

    _recipe = DENSITY
    _parameter_constraints: ClassVar = (
        PARAMETER_CONSTRAINTS
        | LABELS_CONSTRAINT
        | SHARING_CONSTRAINT
        | {
            "n_estimators": [Interval(Integral, 1, None, closed="left"), StrOptions({"auto"})],
            "contamination": [Interval(Real, 0, 0.5, closed="right"), None],
        }
    )

    def __init__(
        self,
        n_components: int | Literal["auto"] = 4,
        *,
        flow: str | MakesFlow | Sequence[str | MakesFlow] = "nsf",
        n_layers: int = 4,
        hidden_layer_sizes: Sequence[int] = (32, 32),
        n_shared_layers: int | Literal["auto"] = "auto",
        base: str = "normal",
        posterior: str = "exact",
        solver: str = "gradient",
        learn_weights: bool = True,
        weights_init: ArrayLike | None = None,
        weight_concentration_prior: float | None = None,
        init_params: str | Initializer | ArrayLike = "auto",
        n_init: int = 1,
        n_estimators: int | Literal["auto"] = "auto",
        contamination: float | None = None,
        reg_covar: float = 1e-6,
        labels: str = "partial",
        supervised_weight: float | Literal["auto"] = "auto",
        unlabelled_weight: float = 1.0,
        consistency_weight: float = 0,
        max_iter: int = 200,
        batch_size: int | Literal["auto"] = "auto",
        learning_rate_init: float = 5e-3,
        alpha: float = 0.0,
        early_stopping: bool = True,
        validation_fraction: float = 0.1,
        n_iter_no_change: int = 10,
        tol: float = 1e-4,
        device: str | torch.device = "auto",
        dtype: str = "float32",
        compile: bool = False,
        warm_start: bool = False,
        random_state: int | np.random.RandomState | None = None,
        verbose: bool | int = False,
    ) -> None:
        self.n_components = n_components
        self.flow = flow
        self.n_layers = n_layers
        self.hidden_layer_sizes = hidden_layer_sizes
        self.n_shared_layers = n_shared_layers
        self.base = base
        self.posterior = posterior
        self.solver = solver
        self.learn_weights = learn_weights
        self.weights_init = weights_init
        self.weight_concentration_prior = weight_concentration_prior
        self.init_params = init_params
        self.n_init = n_init
        self.n_estimators = n_estimators
        self.contamination = contamination
        self.reg_covar = reg_covar
        self.labels = labels
        self.supervised_weight = supervised_weight
        self.unlabelled_weight = unlabelled_weight
        self.consistency_weight = consistency_weight
        self.max_iter = max_iter
        self.batch_size = batch_size
        self.learning_rate_init = learning_rate_init
        self.alpha = alpha
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.n_iter_no_change = n_iter_no_change
        self.tol = tol
        self.device = device
        self.dtype = dtype
        self.compile = compile
        self.warm_start = warm_start
        self.random_state = random_state
        self.verbose = verbose

    score = FlowMixtureEstimator.score
    decision_function, predict_outliers = decision_function, predict_outliers

    @property
    def offset_(self) -> float:
        if self._fitted.offset is None:
            raise AttributeError("offset_ is there only after a fit with contamination as a share of the rows.")
        return self._fitted.offset

    def fit_predict(
        self, X: ArrayLike, y: ArrayLike | None = None, sample_weight: ArrayLike | None = None
    ) -> np.ndarray:
        """Fit the mixture; the most probable component of each row. Parameters as in `fit`."""
        return self.fit(X, y, sample_weight).predict(X)
