"""The parameters of a posterior, handed over as one record."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from typing import Any

import torch

from ..fitting.architecture import check_architecture, check_number_of_flows


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
    transition: str | None
    n_transitions: int
    n_leapfrog_steps: int
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

    @property
    def one_flow(self) -> bool:
        """Whether all components have the same architecture."""
        return isinstance(self.flow, str) or callable(self.flow)


def check_posterior_settings(settings: PosteriorSettings) -> None:
    """Raise a ValueError where one setting is not what another requires."""
    check_architecture(settings)
    if settings.n_components != "auto":
        check_number_of_flows(settings, settings.n_components)
