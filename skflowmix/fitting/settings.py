"""The parameters of an estimator, handed over as one record."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from typing import Any

import torch


@dataclass(frozen=True)
class Settings:
    """What an estimator was asked for, each value valid by itself; the estimators' docstrings say what they mean.

    What one value requires of another is checked by the part that it belongs to; see `fit.check_settings`.
    """

    n_components: int | str
    flow: str | Callable | Sequence
    n_layers: int
    hidden_layer_sizes: Sequence[int]
    n_shared_layers: int | str
    base: str
    posterior: str
    solver: str
    learn_weights: bool
    weights_init: Any
    weight_concentration_prior: float | None
    init_params: Any
    n_init: int
    reg_covar: float
    supervised_weight: float | str
    unlabelled_weight: float
    consistency_weight: float
    max_iter: int
    batch_size: int | str
    learning_rate_init: float
    alpha: float
    early_stopping: bool
    validation_fraction: float
    n_iter_no_change: int
    tol: float
    device: str | torch.device
    dtype: str
    compile: bool
    warm_start: bool
    random_state: Any
    verbose: bool | int
    labels: str = "all"
    n_estimators: int | str = 1
    contamination: float | None = None

    @classmethod
    def of(cls, parameters: dict[str, Any]) -> Settings:
        """From an estimator's parameters, some of which may be none of a fit's."""
        names = {field.name for field in fields(cls)} & set(parameters)
        return cls(**{name: parameters[name] for name in names})

    @property
    def one_flow(self) -> bool:
        """Whether all components have the same architecture."""
        return isinstance(self.flow, str) or callable(self.flow)

    @property
    def prunes(self) -> bool:
        """Whether the prior removes components."""
        return self.weight_concentration_prior is not None and self.weight_concentration_prior < 1

    @property
    def gives_responsibilities(self) -> bool:
        """Whether `init_params` is an array."""
        return not (isinstance(self.init_params, str) or callable(self.init_params))
