"""A step of training: the loss of a batch, its gradient, and what Adam makes of it."""

import torch
from torch.optim.adamw import adamw

_STEP_SIZE_CUT = 0.2
_MAX_GRADIENT_NORM = 5.0


class Step:
    """A step of AdamW for each of R restarts, which have their own step sizes, gradient norms and moments.

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

    Attributes
    ----------
    step_sizes : list of float of length R
    """

    def __init__(self, model, objective, table, *, learning_rate, n_cuts, alpha):
        self.model, self.objective, self.table = model, objective, table
        self.step_sizes = [learning_rate * _STEP_SIZE_CUT**n for n in n_cuts]
        self._optimizers = [
            _AdamW(values, gradients, size, alpha)
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
        return loss, norms + loss.abs() < torch.inf

    def slow_down(self, restart):
        """Cut a restart's step size, and forget the moments of its gradients."""
        self.step_sizes[restart] *= _STEP_SIZE_CUT
        self._optimizers[restart].start_again(self.step_sizes[restart])


class _AdamW:
    """AdamW of one restart by torch's function, whose class would first import the compiler, for a second.

    Parameters
    ----------
    values, gradients : list of Tensor
    step_size, weight_decay : float
    """

    def __init__(self, values, gradients, step_size, weight_decay):
        self.values, self.gradients, self.weight_decay = values, gradients, weight_decay
        self.step_size = _as_learning_rate(step_size, values[0].device)
        self.means, self.squares = ([torch.zeros_like(value) for value in values] for _ in range(2))
        self.n_steps = [torch.zeros((), dtype=torch.float32, device=value.device) for value in values]

    @torch.no_grad()
    def step(self, excess, failed):
        """Take a step along the gradient divided by `excess`, unless it `failed` (0 or 1), both float32 Tensors."""
        adamw(
            self.values,
            self.gradients,
            self.means,
            self.squares,
            [],
            self.n_steps,
            fused=True,
            grad_scale=excess,
            found_inf=failed,
            amsgrad=False,
            beta1=0.9,
            beta2=0.999,
            lr=self.step_size,
            weight_decay=self.weight_decay,
            eps=1e-8,
            maximize=False,
        )

    def start_again(self, step_size):
        if isinstance(self.step_size, torch.Tensor):
            self.step_size.fill_(step_size)
        else:
            self.step_size = step_size
        for tensor in (*self.means, *self.squares, *self.n_steps):
            tensor.zero_()


def _as_learning_rate(size, device):
    """A number, or the tensor that a captured step reads it from."""
    return torch.full((), size, dtype=torch.float32, device=device) if device.type == "cuda" else size
