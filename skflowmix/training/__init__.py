"""Fitting a mixture of flows: objectives, the loop, solvers, and what they report."""

from .compilation import compiled, plain_copy
from .em import e_step
from .history import History
from .loop import Rows, TrainingOptions, evaluate, train
from .objectives import (
    AssignedObjective,
    Objective,
    assigned_loss,
    assigned_posterior,
    consistency_loss,
    elbo_loss,
    mixture_loss,
)
from .solvers import SOLVERS

__all__ = [
    "SOLVERS",
    "AssignedObjective",
    "History",
    "Objective",
    "Rows",
    "TrainingOptions",
    "assigned_loss",
    "assigned_posterior",
    "compiled",
    "consistency_loss",
    "e_step",
    "elbo_loss",
    "evaluate",
    "mixture_loss",
    "plain_copy",
    "train",
]
