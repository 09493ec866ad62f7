"""The training loop: minibatches, step size, early stopping, and a best state that is always finite.

All restarts take the same minibatches, in one batch of flows; nothing but the data's order is common to
them, so that each ends where it would have ended alone.
"""

import math
from dataclasses import dataclass

import torch
from torch.nn.functional import hardshrink

from .history import History
from .objectives import mixture_loss
from .parameter_table import ParameterTable

_MIN_STEPS_PER_ITERATION = 10
_STEP_SIZE_DROP = 0.2
_MAX_GRADIENT_NORM = 5.0
_EVALUATION_ROWS = 2**16


@dataclass(frozen=True)
class Rows:
    """Rows to learn from, on the device of the mixture.

    Attributes
    ----------
    x : Tensor of shape (N, D)
    weight : Tensor of shape (N,)
        Positive, with mean one.
    allowed : bool Tensor of shape (N, K), or None
        Components that each row's label allows.
    resp : Tensor of shape (N, R, K), or None
        Responsibilities of the components for the rows, where a loss takes them as given.
    """

    x: torch.Tensor
    weight: torch.Tensor
    allowed: torch.Tensor | None = None
    resp: torch.Tensor | None = None

    def __len__(self):
        return len(self.x)

    def __getitem__(self, index):
        allowed, resp = (None if column is None else column[index] for column in (self.allowed, self.resp))
        return Rows(self.x[index], self.weight[index], allowed, resp)


@dataclass(frozen=True)
class TrainingOptions:
    """How to train; the words are those of `sklearn.neural_network.MLPClassifier`.

    Attributes
    ----------
    max_iter : int
        Most iterations. An iteration is a pass over the rows, or several on small data.
    batch_size : int
        Rows of a step; the rows that are left over in a pass wait for the next one.
    learning_rate : float
        Step size of Adam at the start. It is cut whenever the score has not improved for
        `n_iter_no_change` iterations, until there have been `n_step_sizes`, and then the fit has converged.
    n_step_sizes : int
    alpha : float
        Decoupled weight decay (Loshchilov and Hutter, 2019, arXiv:1711.05101).
    n_iter_no_change : int
    tol : float
        Least improvement of the score that counts, in nats per row.
    noise : float
        Standard deviation of the normal noise that is added to the rows of every step. Scales of the fitted
        density cannot fall much below it.
    neighbor_noise : float
        Standard deviation of another noise: the part of the way to one of its neighbours, drawn anew, that a row
        is moved in every step.
    verbose : bool
        Whether to print the scores of every iteration.
    """

    max_iter: int = 200
    batch_size: int = 256
    learning_rate: float = 5e-3
    n_step_sizes: int = 3
    alpha: float = 0.0
    n_iter_no_change: int = 10
    tol: float = 1e-4
    noise: float = 0.0
    neighbor_noise: float = 0.0
    verbose: bool = False


def train(mixture, rows, options, *, loss=mixture_loss, validation=None, neighbors=None, generator=None):
    """Fit a mixture, in place; it ends in each restart's best state.

    Parameters
    ----------
    mixture : FlowMixture
    rows : Rows
    options : TrainingOptions
    loss : callable, default=mixture_loss
        ``(log_joint, rows) -> loss``, Tensor of shape (R, N, K) and Rows to Tensor of shape (R, N); see `objectives`.
    validation : Rows, default=None
        Rows that decide which state is the best and when to stop. None leaves that to the training score.
    neighbors : int Tensor of shape (N, M), default=None
        Indices of each row's neighbours among the rows, where `neighbor_noise` is wanted.
    generator : torch.Generator, default=None
        On the device of the rows; orders them and draws the noise.

    Returns
    -------
    score : list of float
        Best score of each restart: mean objective per row of the validation rows, or else the training rows.
    converged : bool
        Whether all restarts stopped improving before `max_iter`.
    history : History
    """
    run = _Run(mixture, rows, options, loss, validation, neighbors, generator)
    try:
        while run.iteration < options.max_iter and run.active.any():
            run.iterate()
    except KeyboardInterrupt:
        run.history.interrupted = True
    finally:
        run.finish()
    return run.best_score.tolist(), not bool(run.active.any()), run.history


@torch.no_grad()
def evaluate(mixture, rows, loss=mixture_loss):
    """Mean objective per row of each restart, Tensor of shape (R,)."""
    size = max(_EVALUATION_ROWS // (mixture.n_restarts * mixture.n_components), 1)
    chunks = [rows[start : start + size] for start in range(0, len(rows), size)]
    total = sum(loss(mixture.restart_log_joint(chunk.x), chunk).sum(1) for chunk in chunks)
    return -total / rows.weight.sum()


def _drop_negligible(gradient):
    """Set to zero what is so small that its products are subnormal numbers, with which CPUs are many times slower.

    Most of a gradient is: the posterior probabilities of the components that a row is far from.
    """
    return hardshrink(gradient, math.sqrt(torch.finfo(gradient.dtype).tiny))


class _Run:
    """State of a fit: everything with a letter R is one entry for each restart."""

    def __init__(self, mixture, rows, options, loss, validation, neighbors, generator):
        self.mixture, self.rows, self.options, self.loss = mixture, rows, options, loss
        self.validation, self.neighbors, self.generator = validation, neighbors, generator
        self.history = History()
        self.iteration = 0
        self.table = ParameterTable(mixture, mixture.n_restarts)
        self.optimizer = torch.optim.AdamW(
            [{"params": row} for row in self.table.rows()],
            lr=options.learning_rate,
            weight_decay=options.alpha,
            fused=True,
        )
        self.best_state = self.table.state()
        start = evaluate(mixture, rows if validation is None else validation, loss)
        self.best_score = start.nan_to_num(-torch.inf, neginf=-torch.inf)
        self.idle = torch.zeros_like(start, dtype=torch.int64)
        self.n_drops = torch.zeros_like(start, dtype=torch.int64)
        self.active = torch.ones_like(start, dtype=torch.bool)

    def iterate(self):
        self.iteration += 1
        training_score, finite = self._epoch()
        if self.validation is None:
            score = training_score
        else:
            score = evaluate(self.mixture, self.validation, self.loss)
            self.history.validation_score.append(score.tolist())
        self.history.training_score.append(training_score.tolist())
        self.history.learning_rate.append([group["lr"] for group in self.optimizer.param_groups])
        self._keep_best(score, finite)
        self._roll_back(~finite | ~score.isfinite())
        if self.options.verbose:
            shown = ", ".join(f"{value:.4f}" for value in score.tolist())
            print(f"Iteration {self.iteration}: score {shown}")

    def _epoch(self):
        """Take the steps of an iteration; mean training score and whether all steps were finite, both (R,)."""
        size = min(self.options.batch_size, len(self.rows))
        n_batches = len(self.rows) // size
        n_passes = math.ceil(_MIN_STEPS_PER_ITERATION / n_batches)
        total, finite = 0.0, True
        for _ in range(n_passes):
            order = torch.randperm(len(self.rows), generator=self.generator, device=self.rows.x.device)
            for index in order[: n_batches * size].view(n_batches, size):
                loss, step_finite = self._step(index)
                total, finite = total + loss, finite & step_finite
        return -total / (n_passes * n_batches), finite

    def _step(self, index):
        batch = self.rows[index]
        log_joint = self.mixture.restart_log_joint(self._add_noise(batch.x, index))
        log_joint.register_hook(_drop_negligible)
        loss = self.loss(log_joint, batch).mean(1)
        self.table.differentiate(loss.sum())
        finite = self.table.limit_gradient(_MAX_GRADIENT_NORM) & loss.detach().isfinite()
        self.optimizer.step()
        return loss.detach(), finite

    def _add_noise(self, x, index):
        """Blur rows, so that no structure is learned that is finer than the distances between them."""
        noisy = x + self.options.noise * self._draw(x.shape)
        if self.neighbors is not None:
            column = torch.randint(self.neighbors.shape[1], index.shape, generator=self.generator, device=x.device)
            neighbor = self.rows.x[self.neighbors[index, column]]
            noisy = noisy + self.options.neighbor_noise * self._draw((len(x), 1)) * (neighbor - x)
        return noisy

    def _draw(self, shape):
        return torch.randn(shape, generator=self.generator, dtype=self.rows.x.dtype, device=self.rows.x.device)

    def _keep_best(self, score, finite):
        """Save states that are better, count iterations since, and end or slow the restarts that are stuck."""
        better = self.active & finite & (score > self.best_score)
        enough = better & (score > self.best_score + self.options.tol)
        self.table.copy_rows(self.table.values, self.best_state, better)
        self.best_score = torch.where(better, score, self.best_score)
        self.idle = torch.where(enough, 0, self.idle + 1)
        stuck = self.active & (self.idle >= self.options.n_iter_no_change)
        self._slow_down(stuck)

    def _roll_back(self, failed):
        self.history.n_rollbacks += int(failed.sum())
        self._slow_down(self.active & failed)

    def _slow_down(self, chosen):
        """Send restarts back to their best state with a smaller step; those that had the smallest end."""
        if not chosen.any():
            return
        self.n_drops += chosen
        self.idle[chosen] = 0
        self.active &= self.n_drops < self.options.n_step_sizes
        self.table.copy_rows(self.best_state, self.table.values, chosen)
        for group, hit in zip(self.optimizer.param_groups, chosen.tolist(), strict=True):
            if hit:
                group["lr"] *= _STEP_SIZE_DROP
                for parameter in group["params"]:
                    self.optimizer.state.pop(parameter, None)

    def finish(self):
        everyone = torch.ones_like(self.active)
        self.table.copy_rows(self.best_state, self.table.values, everyone)
