"""Fitting a mixture of flows: objectives, the loop, and what it reports."""

from .history import History
from .loop import Rows, TrainingOptions, train
from .objectives import mixture_loss

__all__ = ["History", "Rows", "TrainingOptions", "mixture_loss", "train"]
