"""From rows to an autoencoder: a latent place for each row, and a density of rows given their places."""

from .architecture import POSTERIORS
from .fit import fit_autoencoder
from .fitted import FittedAutoencoder
from .labelled_fit import fit_labelled_autoencoder
from .labelled_fitted import FittedLabelledAutoencoder
from .settings import AutoencoderSettings, LabelledAutoencoderSettings, check_autoencoder_settings

__all__ = [
    "POSTERIORS",
    "AutoencoderSettings",
    "FittedAutoencoder",
    "FittedLabelledAutoencoder",
    "LabelledAutoencoderSettings",
    "check_autoencoder_settings",
    "fit_autoencoder",
    "fit_labelled_autoencoder",
]
