"""From an unnormalised log-density to a mixture of flows that stands for it."""

from .fit import fit_posterior
from .fitted import FittedPosterior
from .settings import PosteriorSettings

__all__ = ["FittedPosterior", "PosteriorSettings", "fit_posterior"]
