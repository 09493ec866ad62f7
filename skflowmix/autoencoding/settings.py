"""The parameters of an autoencoder, handed over as one record."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

import torch

from ..fitting.numbers import check_layer_sizes, check_numbers

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
    check_numbers(settings)
    check_layer_sizes(settings.hidden_layer_sizes, n_outputs=settings.n_latent_features)
