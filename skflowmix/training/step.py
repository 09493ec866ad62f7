"""A step of training: the loss of a batch, its gradient, and what Adam makes of it."""

import torch

_STEP_SIZE_CUT = 0.2
_MAX_GRADIENT_NORM = 5.0


class Step:
    """A step of AdamW for each of R restarts, which have their own step sizes, gradient norms and moments.

    Nothing in it makes the host wait for a device, and whatever changes between two steps changes in place, so that
    it can be captured; see `cuda_graph`.

    Parameters
    ----------
    mixture : FlowMixture
    objective : callable
        As in `train`.
    table : ParameterTable
        Of the mixture.
    learning_rate : float
    n_cuts : list of int of length R
        How often each restart's step size has been cut already.
    alpha : float
        Decoupled weight decay.

    Attributes
    ----------
    step_sizes : list of float of length R
    """

    def __init__(self, mixture, objective, table, *, learning_rate, n_cuts, alpha):
        self.mixture, self.objective, self.table = mixture, objective, table
        self.step_sizes = [learning_rate * _STEP_SIZE_CUT**n for n in n_cuts]
        groups = [
            {"params": row, "lr": _as_learning_rate(size, row[0].device)}
            for row, size in zip(table.rows(), self.step_sizes, strict=True)
        ]
        self.optimizer = torch.optim.AdamW(groups, weight_decay=alpha, fused=True)

    def __call__(self, batch, progress):
        """Take a step.

        Parameters
        ----------
        batch : Rows
        progress : float
            As in `Objective`.

        Returns
        -------
        loss : Tensor of shape (R,)
        finite : bool Tensor of shape (R,)
            Whether loss and gradient were; no restart moves along a gradient that is not.
        """
        loss = self.objective(self.mixture, batch, progress).mean(1)
        self.table.differentiate(loss.sum())
        finite = self.table.limit_gradient(_MAX_GRADIENT_NORM) & loss.detach().isfinite()
        self.optimizer.step()
        return loss.detach(), finite

    def slow_down(self, restart):
        """Cut a restart's step size, and forget the moments of its gradients."""
        self.step_sizes[restart] *= _STEP_SIZE_CUT
        group = self.optimizer.param_groups[restart]
        if isinstance(group["lr"], torch.Tensor):
            group["lr"].fill_(self.step_sizes[restart])
        else:
            group["lr"] = self.step_sizes[restart]
        for parameter in group["params"]:
            for moment in self.optimizer.state[parameter].values():
                moment.zero_()


def _as_learning_rate(size, device):
    """A number, or the tensor that a captured step reads it from."""
    return torch.full((), size, dtype=torch.float32, device=device) if device.type == "cuda" else size
