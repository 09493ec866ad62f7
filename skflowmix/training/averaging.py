r"""Averages of the weights over the steps of a fit, which are less noisy than the weights of its last step.

Kingma and Ba (2015), arXiv:1412.6980, section 7.2: :math:`\bar\theta \leftarrow \beta \bar\theta + (1 - \beta) \theta`
after every step, divided by :math:`1 - \beta^t`, so that the start at zero leaves no trace.
"""

from contextlib import contextmanager

import torch


class WeightAverage:
    """Exponential moving average of the values of a table, restart by restart.

    Parameters
    ----------
    table : ParameterTable
    decay : float
        Number beta, in [0, 1): the average is over about 1 / (1 - beta) steps.
    """

    def __init__(self, table, decay):
        if not 0 <= decay < 1:
            raise ValueError(f"averaging must be in [0, 1); got {decay!r}.")
        self.values, self.decay = table.values, decay
        self.sums = [torch.zeros_like(value) for value in table.values]
        self.shares = [value.new_zeros(len(value), 1) for value in table.values]

    @torch.no_grad()
    def update(self):
        """Take the values after a step in."""
        for total, share, value in zip(self.sums, self.shares, self.values, strict=True):
            total.lerp_(value, 1 - self.decay)
            share.mul_(self.decay).add_(1 - self.decay)

    @torch.no_grad()
    def start_again(self, restart):
        """Forget what a restart's values were."""
        for total, share in zip(self.sums, self.shares, strict=True):
            total[restart] = 0
            share[restart] = 0

    @contextmanager
    def in_place(self):
        """The averages instead of the values, where there have been steps; afterwards the values again."""
        with torch.no_grad():
            steps = [value.clone() for value in self.values]
            for total, share, value in zip(self.sums, self.shares, self.values, strict=True):
                value.copy_(torch.where(share > 0, total / share.clamp_min(torch.finfo(share.dtype).tiny), value))
        try:
            yield
        finally:
            with torch.no_grad():
                for value, step in zip(self.values, steps, strict=True):
                    value.copy_(step)
