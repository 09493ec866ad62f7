"""From parameters and rows to a fitted mixture, as functions of data."""

from .averaging import fit_average
from .fit import check_settings
from .fitted import FittedMixture
from .recipe import CLASSIFICATION, CLUSTERING, DENSITY, Recipe
from .rows import Table
from .settings import Settings
from .start import INITIALIZERS

__all__ = [
    "CLASSIFICATION",
    "CLUSTERING",
    "DENSITY",
    "INITIALIZERS",
    "FittedMixture",
    "Recipe",
    "Settings",
    "Table",
    "check_settings",
    "fit_average",
]
