"""Mixtures of normalizing flows with scikit-learn's interface."""

from ._version import __version__
from .estimators import (
    FlowAutoencoder,
    FlowAutoencoderClassifier,
    FlowMixtureClassifier,
    FlowMixtureClustering,
    FlowMixtureDensity,
    FlowMixturePosterior,
)

__all__ = [
    "FlowAutoencoder",
    "FlowAutoencoderClassifier",
    "FlowMixtureClassifier",
    "FlowMixtureClustering",
    "FlowMixtureDensity",
    "FlowMixturePosterior",
    "__version__",
]
