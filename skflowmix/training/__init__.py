"""Fitting a mixture of flows: objectives, the loop, and what it reports."""

from .history import History
from .loop import Rows, TrainingOptions, train
from .objectives import assigned_loss, mixture_loss

__all__ = ["History", "Rows", "TrainingOptions", "assigned_loss", "mixture_loss", "train"]
