"""Invertible maps with a component axis."""

from .autoregressive import Autoregressive
from .base import Compose, Inverse, Transform
from .coupling import Coupling
from .elementwise import Elementwise
from .grouped import Grouped
from .linear import FullAffine, LULinear, PLULinear, QRLinear, TriangularAffine
from .masks import MASKS, coupling_masks
from .normalization import ActNorm, BatchNorm
from .orthogonal import Orthogonal, Permutation
from .planar import Planar, Radial
from .scalar import AffineMap, PReLUMap, ScalarMap, ShiftMap, SinhArcsinhMap
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
    "FullAffine",
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
    "TriangularAffine",
    "coupling_masks",
]
