"""Invertible maps with a component axis."""

from .autoregressive import Autoregressive
from .base import Transform
from .compose import Compose, Inverse
from .coupling import Coupling
from .elementwise import Elementwise
from .grouped import Grouped
from .linear import FullMatrix, LULinear, PLULinear, QRLinear, TriangularMatrix, WhitenedAffine
from .masks import MASKS, coupling_masks
from .normalization import ActNorm, BatchNorm
from .orthogonal import Orthogonal, Permutation
from .planar import Planar, Radial
from .scalar import AffineMap, GateMap, PReLUMap, ScalarMap, ShiftMap, SinhArcsinhMap
from .spline import SplineMap

__all__ = [
    "MASKS",
    "ActNorm",
    "AffineMap",
    "Autoregressive",
    "BatchNorm",
    "Compose",
    "Coupling",
    "Elementwise",
    "FullMatrix",
    "GateMap",
    "Grouped",
    "Inverse",
    "LULinear",
    "Orthogonal",
    "PLULinear",
    "PReLUMap",
    "Permutation",
    "Planar",
    "QRLinear",
    "Radial",
    "ScalarMap",
    "ShiftMap",
    "SinhArcsinhMap",
    "SplineMap",
    "Transform",
    "TriangularMatrix",
    "WhitenedAffine",
    "coupling_masks",
]
