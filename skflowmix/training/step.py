"""A step of training: the loss of a batch, its gradient, and what an optimiser makes of it."""

import torch

from .optimizers import find_optimizer

_STEP_SIZE_CUT = 0.2
_MAX_GRADIENT_NORM = 5.0


class Step:
    """A step of an optimiser for each of R restarts, which have their own step sizes, gradient norms and moments.

    Nothing in it makes the host wait for a device, and whatever changes between two steps changes in place, so that
    it can be captured; see `cuda_graph`.

    Parameters
    ----------
    model : Model
    objective : Objective
        As in `train`.
    table : ParameterTable
        Of the model.
    learning_rate : float
    n_cuts : list of int of length R
        How often each restart's step size has been cut already.
    alpha : float
        Decoupled weight decay.
    optimizer : str or callable, default="adam"
        As of `find_optimizer`.
    average : WeightAverage, default=None
        What takes the values after every step in.

    Attributes
    ----------
    step_sizes : list of float of length R
    """

    def __init__(self, model, objective, table, *, learning_rate, n_cuts, alpha, optimizer="adam", average=None):
        self.model, self.objective, self.table, self.average = model, objective, table, average
        self.step_sizes = [learning_rate * _STEP_SIZE_CUT**n for n in n_cuts]
        make = find_optimizer(optimizer)
        self._optimizers = [
            make(values, gradients, size, alpha)
            for (values, gradients), size in zip(table.rows(), self.step_sizes, strict=True)
        ]

    def __call__(self, batch, progress):
        """Take a step.

        Parameters
        ----------
        batch : Batch
        progress : float
            As of `Objective`.

        Returns
        -------
        loss : Tensor of shape (R,)
        finite : bool Tensor of shape (R,)
            Whether loss and gradient were; no restart moves along a gradient that is not.
        """
        loss = self.objective(self.model, batch, progress).mean(1)
        self.table.differentiate(loss.sum())
        norms, loss = self.table.gradient_norms(), loss.detach()
        excess = (norms / _MAX_GRADIENT_NORM).clamp_min(1).float()
        failed = (~(norms < torch.inf)).float()
        for optimizer, *limits in zip(self._optimizers, excess, failed, strict=True):
            optimizer.step(*limits)
        if self.average is not None:
            self.average.update()
        return loss, norms + loss.abs() < torch.inf

    def slow_down(self, restart):
        """Cut a restart's step size, and forget the moments of its gradients."""
        self.step_sizes[restart] *= _STEP_SIZE_CUT
        self._optimizers[restart].start_again(self.step_sizes[restart])
        if self.average is not None:
            self.average.start_again(restart)
