r"""What makes steps of gradients: Adam and AdaMax (Kingma and Ba, 2015, arXiv:1412.6980), for one restart each.

Nothing in a step makes the host wait for a device, and whatever changes between two steps changes in place; see
`cuda_graph`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import torch
from torch.optim.adamw import adamw

_BETA_1, _BETA_2, _EPSILON = 0.9, 0.999, 1e-8


class Optimizer(Protocol):
    """What a step of training asks of an optimiser of one restart.

    It is made by ``make(values, gradients, step_size, weight_decay)``: two lists of Tensor, both changed in place by
    others as well, and two floats. `OPTIMIZERS` has such functions by name.
    """

    def step(self, excess: torch.Tensor, failed: torch.Tensor) -> None:
        """Take a step along the gradient divided by `excess`, unless it `failed` (0 or 1), both float32 Tensors."""

    def start_again(self, step_size: float) -> None:
        """Go on with another step size, and without memory of gradients."""


class AdamW:
    """Adam with decoupled weight decay (arXiv:1711.05101), by torch's function.

    Its class would first import the compiler, for a second.

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
        """See `Optimizer`."""
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
            beta1=_BETA_1,
            beta2=_BETA_2,
            lr=self.step_size,
            weight_decay=self.weight_decay,
            eps=_EPSILON,
            maximize=False,
        )

    def start_again(self, step_size):
        """See `Optimizer`."""
        self.step_size = _set_learning_rate(self.step_size, step_size)
        for tensor in (*self.means, *self.squares, *self.n_steps):
            tensor.zero_()


class AdaMax:
    """Adam by the largest gradient there has been, slowly forgotten, instead of by the mean square.

    It is section 7.1 of arXiv:1412.6980, with decoupled weight decay. No step moves a parameter by more than 1.01 times
    the step size, but for the decay.

    Parameters
    ----------
    values, gradients : list of Tensor
    step_size, weight_decay : float
    """

    def __init__(self, values, gradients, step_size, weight_decay):
        self.values, self.gradients, self.weight_decay = values, gradients, weight_decay
        self.step_size = _as_learning_rate(step_size, values[0].device)
        self.means, self.largest = ([torch.zeros_like(value) for value in values] for _ in range(2))
        self.missing = torch.ones((), dtype=torch.float32, device=values[0].device)

    @torch.no_grad()
    def step(self, excess, failed):
        """See `Optimizer`."""
        taken = failed == 0
        self.missing.copy_(torch.where(taken, _BETA_1 * self.missing, self.missing))
        rate = self.step_size / (1 - self.missing)
        for value, gradient, mean, largest in zip(self.values, self.gradients, self.means, self.largest, strict=True):
            gradient = gradient / excess.to(gradient)
            new_mean = mean.lerp(gradient, 1 - _BETA_1)
            new_largest = torch.maximum(_BETA_2 * largest, gradient.abs())
            move = rate.to(value) * new_mean / (new_largest + _EPSILON)
            moved = value * (1 - self.step_size * self.weight_decay) - move
            for tensor, new in ((mean, new_mean), (largest, new_largest), (value, moved)):
                tensor.copy_(torch.where(taken, new, tensor))

    def start_again(self, step_size):
        """See `Optimizer`."""
        self.step_size = _set_learning_rate(self.step_size, step_size)
        self.missing.fill_(1.0)
        for tensor in (*self.means, *self.largest):
            tensor.zero_()


OPTIMIZERS: dict[str, Callable[..., Optimizer]] = {"adam": AdamW, "adamax": AdaMax}


def find_optimizer(optimizer):
    """What makes an optimiser, by its name in `OPTIMIZERS`; whatever can be called is taken as it is.

    Raises
    ------
    ValueError
        If there is none of that name.
    """
    if callable(optimizer):
        return optimizer
    if optimizer not in OPTIMIZERS:
        raise ValueError(f"optimizer must be one of {sorted(OPTIMIZERS)} or a callable; got {optimizer!r}.")
    return OPTIMIZERS[optimizer]


def _as_learning_rate(size, device):
    """A number, or the tensor that a captured step reads it from."""
    return torch.full((), size, dtype=torch.float32, device=device) if device.type == "cuda" else size


def _set_learning_rate(old, size):
    return old.fill_(size) if isinstance(old, torch.Tensor) else size
