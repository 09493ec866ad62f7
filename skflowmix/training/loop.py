"""The training loop: minibatches, step size, early stopping, and a best state that is always finite.

All restarts take the same minibatches, in one batch of flows; nothing but the data's order is common to
them, so that each ends where it would have ended alone.
"""

import math
from dataclasses import dataclass, replace

import torch

from ..mixture import rows_at_once
from ..threads import largest_product, threads_for
from .cuda_graph import fastest_step
from .history import History
from .objectives import Objective
from .parameter_table import ParameterTable
from .relevance import Relevance
from .step import Step

_MIN_STEPS_PER_ITERATION = 10
_MAX_ROWS_PER_ITERATION = 40 * 1024
_LIKELIHOOD = Objective()


@dataclass(frozen=True)
class Rows:
    """Rows to learn from, on the device of the mixture or, where it has no room for them, on the CPU.

    Attributes
    ----------
    x : Tensor of shape (N, D)
    weight : Tensor of shape (N,)
        Positive, with mean one.
    allowed : bool Tensor of shape (N, K), or None
        Components that each row's label allows.
    resp : Tensor of shape (N, R, K), or None
        Responsibilities of the components for the rows, where a loss takes them as given.
    view : Tensor of shape (N, D), or None
        The rows with other noise, where a loss compares the two.
    relevant : bool Tensor of shape (N, R, K), or None
        Components that a loss should take into account, all of them by default.
    """

    x: torch.Tensor
    weight: torch.Tensor
    allowed: torch.Tensor | None = None
    resp: torch.Tensor | None = None
    view: torch.Tensor | None = None
    relevant: torch.Tensor | None = None

    def __len__(self):
        return len(self.x)

    def __getitem__(self, index):
        return self.each(lambda column: column[index])

    def each(self, function):
        """The rows with a function applied to each of their tensors."""
        return replace(self, **{name: function(column) for name, column in vars(self).items() if column is not None})

    @property
    def nbytes(self):
        return sum(column.nbytes for column in vars(self).values() if column is not None)

    def to(self, device):
        """The rows on a device; copies to a GPU come from pinned memory, so that nobody waits for them."""
        if self.x.device == device:
            return self
        rows = self.each(torch.Tensor.pin_memory) if device.type == "cuda" else self
        return rows.each(lambda column: column.to(device, non_blocking=True))

    def chunks(self, model):
        """The rows on the device of a FlowMixture or PosteriorNetwork, as many at once as it should evaluate."""
        size, device = rows_at_once(model), next(model.parameters()).device
        return (self[start : start + size].to(device) for start in range(0, len(self), size))

    def of_components(self, components):
        """The same rows for a mixture of some of the components, as they are without a start."""
        allowed = None if self.allowed is None else self.allowed[:, components]
        return Rows(self.x, self.weight, allowed)


@dataclass(frozen=True)
class TrainingOptions:
    """How to train; the words are those of `sklearn.neural_network.MLPClassifier`.

    Attributes
    ----------
    max_iter : int
        Most iterations. An iteration is a pass over the rows, several on small data, or over 40,960 of many rows.
    ramp_iter : int
        Iterations over which the objective's `progress` goes from 0 to 1. Where their scores miss terms that are
        still to come, the last of their states is taken for the best so far, and none of them ends the fit.
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
    ramp_iter: int = 0
    batch_size: int = 256
    learning_rate: float = 5e-3
    n_step_sizes: int = 3
    alpha: float = 0.0
    n_iter_no_change: int = 10
    tol: float = 1e-4
    noise: float = 0.0
    neighbor_noise: float = 0.0
    verbose: bool = False


def train(
    mixture, rows, options, *, objective=_LIKELIHOOD, validation=None, neighbors=None, generator=None, n_cuts=None
):
    """Fit a mixture, in place; it ends in each restart's best state, and in evaluation mode.

    Parameters
    ----------
    mixture : FlowMixture
    rows : Rows
    options : TrainingOptions
    objective : callable, default=Objective()
        ``(mixture, rows, progress) -> loss``, Tensor of shape (R, N); see `objectives`. Where it has an attribute
        `needs_view` that is true, the rows of every step have a `view`; where it has a function
        `may_leave_out` that is true of the mixture, they have what is `relevant`.
    validation : Rows, default=None
        Rows that decide which state is the best and when to stop. None leaves that to the training score.
    neighbors : int Tensor of shape (N, M), default=None
        Indices of each row's neighbours among the rows, where `neighbor_noise` is wanted.
    generator : torch.Generator, default=None
        On the device of the rows; orders them and draws the noise.
    n_cuts : int Tensor of shape (R,), default=None
        How many step sizes each restart leaves out, the first ones.

    Returns
    -------
    score : list of float
        Best score of each restart: mean objective per row of the validation rows, or else the training rows.
    converged : bool
        Whether all restarts stopped improving before `max_iter`.
    history : History
    """
    with threads_for(largest_product(mixture, min(options.batch_size, len(rows)))):
        run = _Run(mixture, rows, options, objective, validation, neighbors, generator, n_cuts)
        mixture.train()
        try:
            while run.iteration < options.max_iter and run.active.any():
                run.iterate()
        except KeyboardInterrupt:
            run.history.interrupted = True
        finally:
            run.finish()
            mixture.eval()
    return run.best_score.tolist(), not bool(run.active.any()), run.history


@torch.no_grad()
def evaluate(mixture, rows, objective=_LIKELIHOOD):
    """Mean objective per row of each restart, Tensor of shape (R,), in evaluation mode."""
    was_training = mixture.training
    mixture.eval()
    total = sum(objective(mixture, chunk).sum(1) for chunk in rows.chunks(mixture))
    mixture.train(was_training)
    return -total / rows.weight.sum()


class _Run:
    """State of a fit: everything with a letter R is one entry for each restart."""

    def __init__(self, mixture, rows, options, objective, validation, neighbors, generator, n_cuts=None):
        self.mixture, self.rows, self.options, self.objective = mixture, rows, options, objective
        self.validation, self.neighbors, self.generator = validation, neighbors, generator
        self.needs_view = getattr(objective, "needs_view", False)
        leaves_out = hasattr(objective, "may_leave_out") and objective.may_leave_out(mixture)
        self.relevance = Relevance(mixture, rows) if leaves_out else None
        self.history = History()
        self.iteration = 0
        self.table = ParameterTable(mixture, mixture.n_restarts)
        n_cuts = torch.zeros(mixture.n_restarts, dtype=torch.int64) if n_cuts is None else n_cuts.long()
        plain_step = Step(
            mixture,
            objective,
            self.table,
            learning_rate=options.learning_rate,
            n_cuts=n_cuts.tolist(),
            alpha=options.alpha,
        )
        self.device = self.table.values[0].device
        self.step = fastest_step(plain_step, self.device)
        self.n_cuts = n_cuts.to(self.device)
        self.best_state = self.table.state()
        start = evaluate(mixture, rows if validation is None else validation, objective)
        self.history.start_score = start.tolist()
        self.best_score = start.nan_to_num(-torch.inf, neginf=-torch.inf)
        self.idle = torch.zeros_like(start, dtype=torch.int64)
        self.active = torch.ones_like(start, dtype=torch.bool)

    def iterate(self):
        self.iteration += 1
        training_score, finite = self._epoch()
        if self.validation is None:
            score = training_score
        else:
            score = evaluate(self.mixture, self.validation, self.objective)
            self.history.validation_score.append(score.tolist())
        self.history.training_score.append(training_score.tolist())
        self.history.learning_rate.append(list(self.step.step_sizes))
        self._keep_best(score, finite)
        self._roll_back(~finite | ~score.isfinite())
        if self.options.verbose:
            shown = ", ".join(f"{value:.4f}" for value in score.tolist())
            print(f"Iteration {self.iteration}: score {shown}")

    def _epoch(self):
        """Take the steps of an iteration; mean training score and whether all steps were finite, both (R,)."""
        size = min(self.options.batch_size, len(self.rows))
        n_batches = max(min(len(self.rows), _MAX_ROWS_PER_ITERATION) // size, 1)
        n_passes = math.ceil(_MIN_STEPS_PER_ITERATION / n_batches)
        total, finite = 0.0, True
        for _ in range(n_passes):
            order = torch.randperm(len(self.rows), generator=self.generator, device=self.rows.x.device)
            order = order[: n_batches * size]
            if self.relevance is not None:
                self.relevance.renew(order, self.iteration)
            for index in order.view(n_batches, size):
                loss, step_finite = self.step(self._batch(index), self._progress())
                total, finite = total + loss, finite & step_finite
        return -total / (n_passes * n_batches), finite

    def _batch(self, index):
        """Rows of a step, with noise, on the device of the mixture."""
        batch = self.rows.each(lambda column: column.index_select(0, index))
        view = self._add_noise(batch.x, index) if self.needs_view else None
        relevant = None if self.relevance is None else self.relevance.relevant[index]
        return replace(batch, x=self._add_noise(batch.x, index), view=view, relevant=relevant).to(self.device)

    def _progress(self):
        return min(self.iteration / max(self.options.ramp_iter, 1), 1.0)

    def _add_noise(self, x, index):
        """Blur rows, so that no structure is learned that is finer than the distances between them."""
        noisy = x + self.options.noise * self._draw(x.shape)
        if self.neighbors is not None:
            column = torch.randint(self.neighbors.shape[1], index.shape, generator=self.generator, device=x.device)
            neighbor = self.rows.x.index_select(0, self.neighbors[index, column])
            noisy = noisy + self.options.neighbor_noise * self._draw((len(x), 1)) * (neighbor - x)
        return noisy

    def _draw(self, shape):
        return torch.randn(shape, generator=self.generator, dtype=self.rows.x.dtype, device=self.rows.x.device)

    def _keep_best(self, score, finite):
        """Save states that are better, count iterations since, and end or slow the restarts that are stuck."""
        rival = self.best_score if self._is_comparable() else torch.full_like(score, -torch.inf)
        better = self.active & finite & (score > rival)
        enough = better & (score > rival + self.options.tol)
        self.table.copy_rows(self.table.live_state, self.best_state, better)
        self.best_score = torch.where(better, score, self.best_score)
        self.idle = torch.where(enough, 0, self.idle + 1)
        stuck = self.active & (self.idle >= self.options.n_iter_no_change)
        self._slow_down(stuck)

    def _is_comparable(self):
        """Whether scores so far are of the same objective, ramped up, and of rows with the same noise."""
        scored_in_full = self.validation is not None and not self.needs_view
        return scored_in_full or self.iteration > max(self.options.ramp_iter, 1)

    def _roll_back(self, failed):
        self.history.n_rollbacks += int(failed.sum())
        self._slow_down(self.active & failed)

    def _slow_down(self, chosen):
        """Send restarts back to their best state with a smaller step; those that had the smallest end."""
        if not chosen.any():
            return
        self.n_cuts += chosen
        self.idle[chosen] = 0
        self.active &= self.n_cuts < self.options.n_step_sizes
        self.table.copy_rows(self.best_state, self.table.live_state, chosen)
        for restart in chosen.nonzero().flatten().tolist():
            self.step.slow_down(restart)

    def finish(self):
        everyone = torch.ones_like(self.active)
        self.table.copy_rows(self.best_state, self.table.live_state, everyone)
