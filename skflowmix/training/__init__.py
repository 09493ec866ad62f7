"""Training whatever has parameters in rows of restarts: batches, objectives, the loop, solvers, reports."""

from .batches import Demands, Noise, NoiseBatches, RowBatches, Rows
from .compilation import compiled, plain_copy
from .conditional import PairBatches, Pairs, fit_conditional
from .em import e_step
from .history import History
from .loop import QUIET, TrainingOptions, evaluate, train
from .losses import assigned_loss, consistency_loss, elbo_loss, mixture_loss
from .objectives import AssignedObjective, AssignedPosterior, LikelihoodObjective, RowObjective
from .optimizers import OPTIMIZERS, Optimizer
from .protocols import Batch, Model, Objective, Source
from .report import Iteration, Listener, Printer, Report
from .solvers import SOLVERS, Solver

__all__ = [
    "OPTIMIZERS",
    "QUIET",
    "SOLVERS",
    "AssignedObjective",
    "AssignedPosterior",
    "Batch",
    "Demands",
    "History",
    "Iteration",
    "LikelihoodObjective",
    "Listener",
    "Model",
    "Noise",
    "NoiseBatches",
    "Objective",
    "Optimizer",
    "PairBatches",
    "Pairs",
    "Printer",
    "Report",
    "RowBatches",
    "RowObjective",
    "Rows",
    "Solver",
    "Source",
    "TrainingOptions",
    "assigned_loss",
    "compiled",
    "consistency_loss",
    "e_step",
    "elbo_loss",
    "evaluate",
    "fit_conditional",
    "mixture_loss",
    "plain_copy",
    "train",
]
