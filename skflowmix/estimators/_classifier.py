"""Classification by mixtures of flows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar, Literal

import numpy as np
import torch
from numpy.typing import ArrayLike
from sklearn.base import ClassifierMixin

from ..fitting import CLASSIFICATION
from ._base import FlowMixtureEstimator
from ._latent import as_table
from ._parameters import PARAMETER_CONSTRAINTS, SHARING_CONSTRAINT, Initializer, MakesFlow
from ._table import check_scored


class FlowMixtureClassifier(ClassifierMixin, FlowMixtureEstimator):
    """Generative classifier: each class is a mixture of normalizing flows.

    Rows labelled -1 have no label and shape the densities all the same; but if y holds -1 and only one other label,
    these are the two classes. It gives densities, too: `score_samples` tells rows that are unlike all training rows.

    Labels spread along a graph, which Gaussians may overrule, and certain guesses are learned like labels. Densities
    are of rows with noise, as much in each feature as, by cross-validation, tells classes apart best.

    Parameters
    ----------
    n_components : int or "auto", default=1
        Number of components for each class. "auto" counts the hills of each class's density, and takes the largest
        number for all classes.
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
        "auto" shares all where components of one preset have few rows each, under a hundred for each feature; else
        none.
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
    reg_covar : float, default=1e-6
        Variance, in units of each feature's variance, that is added to covariances at the start, and as noise to the
        rows in training. Scales cannot fall much below its square root.
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
        Number of components of the mixture, without those that a sparse prior removed.
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
    n_features_in_ : int
        Number of features seen in `fit`.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of the features, where X had names that are all strings.

    See Also
    --------
    FlowMixtureClustering : One component for each class, and further ones.
    sklearn.discriminant_analysis.QuadraticDiscriminantAnalysis : One Gaussian for each class.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.datasets import make_circles
    >>> from skflowmix import FlowMixtureClassifier
    >>> X, y = make_circles(400, factor=0.5, noise=0.05, random_state=0)
    >>> FlowMixtureClassifier(1, random_state=0).fit(X, np.where(np.arange(400) < 10, y, -1)).score(X, y) > 0.95
    True
    """

    _recipe = CLASSIFICATION
    _parameter_constraints: ClassVar = PARAMETER_CONSTRAINTS | SHARING_CONSTRAINT

    def __init__(
        self,
        n_components: int | Literal["auto"] = 1,
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
        reg_covar: float = 1e-6,
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
        self.reg_covar = reg_covar
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
        return fitted.predict_class(X)

    def predict_proba(self, X: ArrayLike) -> np.ndarray:
        """Probabilities of the classes, in the order of `classes_`: array-like -> (n_samples, n_classes)."""
        fitted, X = self._look(X)
        return np.exp(fitted.log_resp_of_classes(X))

    def sample(  # type: ignore[override]
        self, n_samples: int = 1, random_state: int | np.random.RandomState | None = None, *, y: Any = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """Draw rows, and the class of each, sorted by class: of the class `y`, or of all; see `FlowMixtureDensity`."""
        among = None if y is None else self._fitted.components_of(y)
        fitted, X, component = self._draw(n_samples, random_state, among)
        return as_table(self, X), fitted.classes[fitted.plan.component_class[component]]

    def score(self, X: ArrayLike, y: ArrayLike, sample_weight: ArrayLike | None = None) -> float:  # type: ignore[override]
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
        right = [label == found for label, found in zip(labels, fitted.predict_class(rows).tolist(), strict=True)]
        return float(np.average(right, weights=weight))
