"""Invertible maps with a component axis."""

from .base import Compose, Inverse, Transform
from .coupling import Coupling
from .linear import FullAffine, LULinear, TriangularAffine
from .normalization import ActNorm
from .scalar import AffineMap, ScalarMap
from .spline import SplineMap

__all__ = [
    "ActNorm",
    "AffineMap",
    "Compose",
    "Coupling",
    "FullAffine",
    "Inverse",
    "LULinear",
    "ScalarMap",
    "SplineMap",
    "Transform",
    "TriangularAffine",
]
