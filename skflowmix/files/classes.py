"""Classes whose objects may stand in a file, by name: what is not here is neither written nor read."""

import sys

import torch

from .. import autoencoding, fitting, inference, modules, training
from ..autoencoding import units
from ..fitting.plan import Plan
from ..fitting.scaling import FeatureScaler
from ..inference.approximation import Approximation
from ..inference.fitted import Verdict
from ..inference.markov import Chains
from ..inference.target import Target
from ..modules.transforms import ScalarMap

_PARTS = (torch.nn.Module, ScalarMap)
_OTHERS = (
    torch.nn.ModuleList,
    torch.nn.ParameterList,
    training.History,
    fitting.FittedMixture,
    Plan,
    FeatureScaler,
    inference.FittedPosterior,
    Approximation,
    Target,
    Verdict,
    Chains,
    autoencoding.FittedAutoencoder,
    autoencoding.FittedLabelledAutoencoder,
    *(value for value in vars(units).values() if isinstance(value, type) and value.__module__ == units.__name__),
)


def _parts_of_modules():
    """Every torch module and scalar map of this package."""
    for name, module in list(sys.modules.items()):
        if name.startswith(modules.__name__):
            own = (value for value in vars(module).values() if getattr(value, "__module__", None) == name)
            yield from (value for value in own if isinstance(value, type) and issubclass(value, _PARTS))


CLASSES: dict[str, type] = {cls.__name__: cls for cls in (*_OTHERS, *_parts_of_modules())}
NAMES: dict[type, str] = {cls: name for name, cls in CLASSES.items()}


def register(cls: type) -> type:
    """Let objects of a class of your own stand in files, a transform's say; it is registered where files are read, too.

    Files hold the name of the class, and the attributes of its objects. It may stand as a decorator above the class.

    Parameters
    ----------
    cls : type

    Returns
    -------
    type
        The same class.

    Raises
    ------
    ValueError
        If there is another class of this name.
    """
    if CLASSES.get(cls.__name__, cls) is not cls:
        raise ValueError(f"There is another class named {cls.__name__} already: {CLASSES[cls.__name__]}.")
    CLASSES[cls.__name__], NAMES[cls] = cls, cls.__name__
    return cls
