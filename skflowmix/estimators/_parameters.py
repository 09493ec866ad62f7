"""The constructor that the estimators share."""

from numbers import Integral, Real
from typing import ClassVar

import torch
from sklearn.base import BaseEstimator
from sklearn.utils._param_validation import Interval, StrOptions

from ..bases import BASES
from ..flows import PRESETS
from ..initialization import INITIALIZERS
from ..training import SOLVERS


class FlowMixtureParameters(BaseEstimator):
    """Constructor of every estimator, and what each parameter may be."""

    _parameter_constraints: ClassVar = {
        "n_components": [Interval(Integral, 1, None, closed="left")],
        "flow": [StrOptions(set(PRESETS)), list, tuple],
        "n_layers": [Interval(Integral, 0, None, closed="left")],
        "hidden_layer_sizes": [tuple, list],
        "n_shared_layers": [Interval(Integral, 0, None, closed="left")],
        "base": [StrOptions(set(BASES))],
        "posterior": [StrOptions({"exact", "amortized"})],
        "solver": [StrOptions(set(SOLVERS))],
        "learn_weights": ["boolean"],
        "weights_init": ["array-like", None],
        "weight_concentration_prior": [Interval(Real, 0, None, closed="neither"), None],
        "init_params": [StrOptions(set(INITIALIZERS)), callable, "array-like"],
        "n_init": [Interval(Integral, 1, None, closed="left")],
        "reg_covar": [Interval(Real, 0, None, closed="neither")],
        "supervised_weight": [Interval(Real, 0, None, closed="left")],
        "unlabelled_weight": [Interval(Real, 0, None, closed="left")],
        "consistency_weight": [Interval(Real, 0, None, closed="left")],
        "max_iter": [Interval(Integral, 1, None, closed="left")],
        "batch_size": [Interval(Integral, 1, None, closed="left"), StrOptions({"auto"})],
        "learning_rate_init": [Interval(Real, 0, None, closed="neither")],
        "alpha": [Interval(Real, 0, None, closed="left")],
        "early_stopping": ["boolean"],
        "validation_fraction": [Interval(Real, 0, 1, closed="neither")],
        "n_iter_no_change": [Interval(Integral, 1, None, closed="left")],
        "tol": [Interval(Real, 0, None, closed="left")],
        "device": [str, torch.device],
        "dtype": [StrOptions({"float32", "float64"})],
        "compile": ["boolean"],
        "warm_start": ["boolean"],
        "random_state": ["random_state"],
        "verbose": ["verbose"],
    }

    def __init__(
        self,
        n_components=4,
        *,
        flow="nsf",
        n_layers=4,
        hidden_layer_sizes=(32, 32),
        n_shared_layers=0,
        base="normal",
        posterior="exact",
        solver="gradient",
        learn_weights=True,
        weights_init=None,
        weight_concentration_prior=None,
        init_params="auto",
        n_init=1,
        reg_covar=1e-6,
        supervised_weight=1.0,
        unlabelled_weight=1.0,
        consistency_weight=0,
        max_iter=200,
        batch_size="auto",
        learning_rate_init=5e-3,
        alpha=0.0,
        early_stopping=True,
        validation_fraction=0.1,
        n_iter_no_change=10,
        tol=1e-4,
        device="auto",
        dtype="float32",
        compile=False,
        warm_start=False,
        random_state=None,
        verbose=False,
    ):
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
