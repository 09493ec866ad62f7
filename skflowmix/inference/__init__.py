"""From an unnormalised log-density to a mixture of flows that stands for it."""

from .draws import METHODS
from .fit import fit_posterior
from .fitted import FittedPosterior
from .settings import PosteriorSettings, check_posterior_settings

__all__ = ["METHODS", "FittedPosterior", "PosteriorSettings", "check_posterior_settings", "fit_posterior"]
