"""Estimators with scikit-learn's interface."""

from ._autoencoder import FlowAutoencoder
from ._autoencoder_classifier import FlowAutoencoderClassifier
from ._classifier import FlowMixtureClassifier
from ._clustering import FlowMixtureClustering
from ._density import FlowMixtureDensity
from ._posterior import FlowMixturePosterior

__all__ = [
    "FlowAutoencoder",
    "FlowAutoencoderClassifier",
    "FlowMixtureClassifier",
    "FlowMixtureClustering",
    "FlowMixtureDensity",
    "FlowMixturePosterior",
]
