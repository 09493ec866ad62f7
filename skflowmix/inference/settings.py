"""The parameters of a posterior, handed over as one record."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from typing import Any

import torch


@dataclass(frozen=True)
class PosteriorSettings:
    """What an estimator was asked for, each value valid by itself; its docstring says what they mean."""

    n_components: int | str
    flow: str | Callable | Sequence
    n_layers: int
    hidden_layer_sizes: Sequence[int]
    n_shared_layers: int
    base: str
    bounds: Any
    vectorized: bool
    n_draws: int
    annealing_iter: int
    max_iter: int
    learning_rate_init: float
    n_iter_no_change: int
    tol: float
    device: str | torch.device
    dtype: str
    random_state: Any
    verbose: bool | int

    @classmethod
    def of(cls, parameters: dict[str, Any]) -> PosteriorSettings:
        """From an estimator's parameters."""
        return cls(**{field.name: parameters[field.name] for field in fields(cls)})
