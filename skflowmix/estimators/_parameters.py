"""What each parameter that the estimators share may be, for scikit-learn's checks and for type checkers."""

from collections.abc import Callable
from numbers import Integral, Real

import numpy as np
import torch
from sklearn.utils._param_validation import Interval, StrOptions

from ..fitting import INITIALIZERS
from ..modules import BASES, PRESETS
from ..modules.transforms import Transform
from ..training import SOLVERS

MakesFlow = Callable[..., Transform]
Initializer = Callable[[np.ndarray, int, np.ndarray, np.random.RandomState], np.ndarray]

_LARGEST = 1e6
LABELS_CONSTRAINT = {"labels": [StrOptions({"all", "none", "partial"})]}
SHARING_CONSTRAINT = {"n_shared_layers": [Interval(Integral, 0, None, closed="left"), StrOptions({"auto"})]}
PARAMETER_CONSTRAINTS = {
    "n_components": [Interval(Integral, 1, None, closed="left"), StrOptions({"auto"})],
    "flow": [StrOptions(set(PRESETS)), callable, list, tuple],
    "n_layers": [Interval(Integral, 0, 1000, closed="both")],
    "hidden_layer_sizes": [tuple, list],
    "n_shared_layers": [Interval(Integral, 0, None, closed="left")],
    "base": [StrOptions(set(BASES))],
    "posterior": [StrOptions({"exact", "amortized"})],
    "solver": [StrOptions(set(SOLVERS))],
    "learn_weights": ["boolean"],
    "weights_init": ["array-like", None],
    "weight_concentration_prior": [Interval(Real, 1e-12, _LARGEST, closed="both"), None],
    "init_params": [StrOptions(set(INITIALIZERS)), callable, "array-like"],
    "n_init": [Interval(Integral, 1, None, closed="left")],
    "reg_covar": [Interval(Real, 1e-12, _LARGEST, closed="both")],
    "supervised_weight": [Interval(Real, 0, _LARGEST, closed="both"), StrOptions({"auto"})],
    "unlabelled_weight": [Interval(Real, 0, _LARGEST, closed="both")],
    "consistency_weight": [Interval(Real, 0, _LARGEST, closed="both")],
    "max_iter": [Interval(Integral, 1, None, closed="left")],
    "batch_size": [Interval(Integral, 1, None, closed="left"), StrOptions({"auto"})],
    "learning_rate_init": [Interval(Real, 0, 1, closed="right")],
    "alpha": [Interval(Real, 0, _LARGEST, closed="both")],
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
