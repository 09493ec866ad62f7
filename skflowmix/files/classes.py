"""Classes whose objects may stand in a file, by name: what is not here is neither written nor read."""

import torch

from .. import fitting, inference, modules, training
from ..fitting.plan import Plan
from ..fitting.scaling import FeatureScaler
from ..inference.approximation import Approximation
from ..inference.fitted import Verdict
from ..inference.markov import Chains
from ..inference.target import Target
from ..modules import transforms
from ..modules.transforms import linear

_LISTS = (torch.nn.ModuleList, torch.nn.ParameterList)
_OF_MODULES = (modules, transforms)
_OTHERS = (
    linear.PLULinear,
    linear.QRLinear,
    training.History,
    fitting.FittedMixture,
    Plan,
    FeatureScaler,
    inference.FittedPosterior,
    Approximation,
    Target,
    Verdict,
    Chains,
)


def _public_classes(package):
    return (value for value in map(vars(package).get, package.__all__) if isinstance(value, type))


CLASSES: dict[str, type] = {
    cls.__name__: cls for cls in (*_LISTS, *_OTHERS, *(cls for part in _OF_MODULES for cls in _public_classes(part)))
}
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
