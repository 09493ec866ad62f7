"""Invertible maps with a component axis."""

from .autoregressive import Autoregressive
from .base import Compose, Inverse, Transform
from .coupling import Coupling
from .elementwise import Elementwise
from .grouped import Grouped
from .linear import FullAffine, LULinear, TriangularAffine
from .normalization import ActNorm
from .orthogonal import Orthogonal, Permutation
from .planar import Planar, Radial
from .scalar import AffineMap, PReLUMap, ScalarMap, ShiftMap, SinhArcsinhMap
from .spline import SplineMap

__all__ = [
    "ActNorm",
    "AffineMap",
    "Autoregressive",
    "Compose",
    "Coupling",
    "Elementwise",
    "FullAffine",
    "Grouped",
    "Inverse",
    "LULinear",
    "Orthogonal",
    "PReLUMap",
    "Permutation",
    "Planar",
    "Radial",
    "ScalarMap",
    "ShiftMap",
    "SinhArcsinhMap",
    "SplineMap",
    "Transform",
    "TriangularAffine",
]
