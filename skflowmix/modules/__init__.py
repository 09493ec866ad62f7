"""Torch modules: transforms, flows, bases, and the mixture that they make."""

from .bases import BASES, Base, Logistic, Normal, StudentT, Uniform
from .conditional import ConditionalFlowMixture
from .flows import FOR_DRAWS, PRESETS, make_flow, make_shared_layers
from .mixture import FlowMixture
from .nets import MLP
from .posterior import PosteriorNetwork
from .transitions import Chain, Hamiltonian, OverRelaxation, OverRelaxed

__all__ = [
    "BASES",
    "FOR_DRAWS",
    "MLP",
    "PRESETS",
    "Base",
    "Chain",
    "ConditionalFlowMixture",
    "FlowMixture",
    "Hamiltonian",
    "Logistic",
    "Normal",
    "OverRelaxation",
    "OverRelaxed",
    "PosteriorNetwork",
    "StudentT",
    "Uniform",
    "make_flow",
    "make_shared_layers",
]
