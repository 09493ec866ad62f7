"""Estimators with scikit-learn's interface."""

from ._classifier import FlowMixtureClassifier
from ._clustering import FlowMixtureClustering
from ._density import FlowMixtureDensity
from ._posterior import FlowMixturePosterior

__all__ = ["FlowMixtureClassifier", "FlowMixtureClustering", "FlowMixtureDensity", "FlowMixturePosterior"]
