"""The constructor that the estimators share, and what it accepts."""

from numbers import Integral, Real
from typing import ClassVar

import numpy as np
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
        "n_components": [Interval(Integral, 1, None, closed="left"), StrOptions({"auto"})],
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

    def _check_combinations(self):
        """What one parameter allows of another, and the parts of those that are lists."""
        sizes = self.hidden_layer_sizes
        if not all(isinstance(size, (int, np.integer)) and size >= 1 for size in sizes):
            raise ValueError(f"hidden_layer_sizes must hold positive integers; got {sizes!r}.")
        one_flow = isinstance(self.flow, str)
        if self.n_components == "auto" and not one_flow:
            raise ValueError(f"flow as a list requires n_components as a number, not 'auto'; got {self.flow!r}.")
        if self.n_components == "auto" and self._gives_responsibilities():
            raise ValueError("init_params as an array requires n_components as a number, not 'auto'.")
        if self._prunes() and not (one_flow and self.early_stopping and self.learn_weights):
            raise ValueError(
                "weight_concentration_prior below 1 prunes components by held-out rows: it requires "
                "early_stopping=True, learn_weights=True and one name for flow."
            )
        if self.n_shared_layers > self.n_layers:
            raise ValueError(f"n_shared_layers={self.n_shared_layers} is more than n_layers={self.n_layers}.")
        if self.n_shared_layers and not one_flow:
            raise ValueError("n_shared_layers > 0 requires that all components have one flow: a name, not a list.")
        if self.solver != "gradient" and self.posterior != "exact":
            raise ValueError(
                f"solver={self.solver!r} takes the exact posterior in its E-step; got posterior={self.posterior!r}."
            )
        if self.solver != "gradient" and self.consistency_weight:
            raise ValueError(
                f"solver={self.solver!r} maximises the joint likelihood alone; got "
                f"consistency_weight={self.consistency_weight!r}."
            )

    def _prunes(self):
        return self.weight_concentration_prior is not None and self.weight_concentration_prior < 1

    def _gives_responsibilities(self):
        return not (isinstance(self.init_params, str) or callable(self.init_params))

    def _check_number_of_flows(self, n_components):
        if isinstance(self.flow, str):
            return
        unknown = [name for name in self.flow if name not in PRESETS]
        if unknown or len(self.flow) != n_components:
            raise ValueError(
                f"flow as a list must name one of {sorted(PRESETS)} for each of the {n_components} components; "
                f"got {self.flow!r}."
            )
