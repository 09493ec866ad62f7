"""From an unnormalised log-density to a mixture of flows that stands for it."""

from .draws import METHODS
from .extended import TRANSITIONS
from .fit import fit_posterior
from .fitted import FittedPosterior
from .settings import PosteriorSettings, check_posterior_settings

__all__ = [
    "METHODS",
    "TRANSITIONS",
    "FittedPosterior",
    "PosteriorSettings",
    "check_posterior_settings",
    "fit_posterior",
]
