"""From rows to an autoencoder: a latent place for each row, and a density of rows given their places."""

from .architecture import POSTERIORS
from .fit import fit_autoencoder
from .fitted import FittedAutoencoder
from .settings import AutoencoderSettings, check_autoencoder_settings

__all__ = [
    "POSTERIORS",
    "AutoencoderSettings",
    "FittedAutoencoder",
    "check_autoencoder_settings",
    "fit_autoencoder",
]
