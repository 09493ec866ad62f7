"""The parameters of an autoencoder, handed over as one record."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

if TYPE_CHECKING:
    from typing_extensions import Self


@dataclass(frozen=True)
class SharedSettings:
    """What both estimators were asked for, each value valid by itself; their docstrings say what they mean."""

    n_latent_features: int
    likelihood: str
    heteroscedastic: bool
    binarize: str | None
    posterior: str
    n_posterior_layers: int
    hidden_layer_sizes: Sequence[int]
    encoder: Callable | None
    decoder: Callable | None
    dropout: float | str
    free_bits: float
    kl_warm_up_iter: int
    n_importance_draws: int
    reg_covar: float
    max_iter: int
    batch_size: int | str
    optimizer: str | Callable
    learning_rate_init: float
    alpha: float
    averaging: float
    early_stopping: bool
    validation_fraction: float
    n_iter_no_change: int
    tol: float
    device: str | torch.device
    dtype: str
    random_state: Any
    verbose: bool | int

    @classmethod
    def of(cls, parameters: dict[str, Any]) -> Self:
        """From an estimator's parameters."""
        return cls(**{field.name: parameters[field.name] for field in fields(cls)})

    @property
    def rows_of_a_batch(self) -> int:
        """The number that `batch_size` stands for."""
        return 128 if self.batch_size == "auto" else int(self.batch_size)


@dataclass(frozen=True)
class AutoencoderSettings(SharedSettings):
    """What `FlowAutoencoder` was asked for."""

    prior: str
    n_components: int
    flow: str | Callable
    n_layers: int


@dataclass(frozen=True)
class LabelledAutoencoderSettings(SharedSettings):
    """What `FlowAutoencoderClassifier` was asked for."""

    classifier: Callable | None
    supervised_weight: float | str
    spreading_weight: float


def check_autoencoder_settings(settings: SharedSettings) -> None:
    """Raise a ValueError where one setting is not what another requires, or a sequence holds what it may not."""
    for name in ("n_latent_features", "n_posterior_layers", "n_components", "kl_warm_up_iter", "n_importance_draws"):
        if isinstance(getattr(settings, name, None), (bool, np.bool_)):
            raise ValueError(f"{name} must be a number; got {getattr(settings, name)!r}.")
    sizes = settings.hidden_layer_sizes
    if not all(isinstance(n, (int, np.integer)) and not isinstance(n, bool) and n > 0 for n in sizes):
        raise ValueError(f"hidden_layer_sizes must hold positive integers; got {sizes!r}.")
