"""Pictures of fits, drawn as scikit-learn's displays are: `from_estimator`, then `plot`. They require matplotlib."""

from ._assignment import AssignmentDisplay
from ._components import ComponentsDisplay
from ._density import DensityDisplay, Marginal
from ._training import Stretch, TrainingDisplay

__all__ = ["AssignmentDisplay", "ComponentsDisplay", "DensityDisplay", "Marginal", "Stretch", "TrainingDisplay"]
