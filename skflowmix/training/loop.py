"""The training loop: steps, step size, early stopping, and a best state that is always finite.

All restarts take the same batches, in one batch of flows; nothing but those is common to them, so that each ends where
it would have ended alone.
"""

from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass

import torch

from ..threads import one_torch_thread
from .averaging import WeightAverage
from .cuda_graph import fastest_step
from .history import History
from .objectives import LikelihoodObjective
from .optimizers import Optimizer
from .parameter_table import ParameterTable
from .report import Report
from .step import Step

QUIET = Report()
_LIKELIHOOD = LikelihoodObjective()


@dataclass(frozen=True)
class TrainingOptions:
    """How to train; the words are those of `sklearn.neural_network.MLPClassifier`.

    Attributes
    ----------
    max_iter : int
        Most iterations; how many steps these are the source of batches says.
    ramp_iter : int
        Iterations over which the objective's `progress` goes from 0 to 1. Where their scores miss terms that are
        still to come, the last of their states is taken for the best so far, and none of them ends the fit.
    learning_rate : float
        Step size at the start. It is cut whenever the score has not improved for
        `n_iter_no_change` iterations, until there have been `n_step_sizes`, and then the fit has converged.
    n_step_sizes : int
    alpha : float
        Decoupled weight decay (Loshchilov and Hutter, 2019, arXiv:1711.05101).
    n_iter_no_change : int
    tol : float
        Least improvement of the score that counts, in nats per row.
    optimizer : str or callable
        What makes steps of gradients, a key of `optimizers.OPTIMIZERS` or what makes an `Optimizer`.
    averaging : float
        Decay of the average of the weights over the steps (see `averaging`), which then is what is scored and kept;
        0 takes the weights of single steps.
    """

    max_iter: int = 200
    ramp_iter: int = 0
    learning_rate: float = 5e-3
    n_step_sizes: int = 3
    alpha: float = 0.0
    n_iter_no_change: int = 10
    tol: float = 1e-4
    optimizer: str | Callable[..., Optimizer] = "adam"
    averaging: float = 0.0


def train(
    model,
    source,
    options,
    *,
    objective=_LIKELIHOOD,
    validation=None,
    n_cuts=None,
    report=QUIET,
    phase="training",
):
    """Fit a model, in place; it ends in each restart's best state, and in evaluation mode.

    Ctrl-C ends it in the best state so far.

    Parameters
    ----------
    model : Model
        See `protocols`, as for the following three; a FlowMixture, say.
    source : Source
        Where batches come from; `RowBatches` of some `Rows`, say.
    options : TrainingOptions
    objective : Objective, default=LikelihoodObjective()
    validation : Batch, default=None
        What decides which state is the best and when to stop: `Rows` that are held out, say. None leaves that to the
        training score.
    n_cuts : int Tensor of shape (R,), default=None
        How many step sizes each restart leaves out, the first ones.
    report : Report, default=QUIET
        Who is told of every iteration.
    phase : str, default="training"
        What the report calls it.

    Returns
    -------
    score : list of float
        Best score of each restart: mean objective per row of the validation rows, or else the training rows.
    converged : bool
        Whether all restarts stopped improving before `max_iter`.
    history : History
    """
    history = History()
    with one_torch_thread(), report.phase(phase, options.max_iter, history=history) as told:
        run = Run(model, source, options, objective, validation, n_cuts=n_cuts, history=history)
        model.train()
        try:
            while run.iteration < options.max_iter and run.active.any() and not history.stopped:
                run.iterate()
                history.stopped = run.tell(told)
        except KeyboardInterrupt:
            history.interrupted = True
        finally:
            run.finish()
            model.eval()
    return run.best_score.tolist(), not bool(run.active.any()), history


@torch.no_grad()
def evaluate(model, batch, objective=_LIKELIHOOD):
    """Mean objective of each restart over a batch, Tensor of shape (R,), in evaluation mode."""
    was_training = model.training
    model.eval()
    total = sum(objective(model, chunk).sum(1) for chunk in batch.chunks(model))
    model.train(was_training)
    return -total / batch.weight.sum(0)


class Run:
    """State of a fit: everything with a letter R is one entry for each restart.

    Parameters are those of `train`, and:

    Parameters
    ----------
    accept : callable, default=None
        ``accept(score) -> bool Tensor`` of shape (R,): whether states of such scores may be kept at all.
    history : History, default=None
        Where start and rollbacks are written down.
    """

    def __init__(self, model, source, options, objective, validation, *, n_cuts=None, accept=None, history=None):
        self.model, self.options, self.objective, self.validation = model, options, objective, validation
        self.accept, self.history = accept, History() if history is None else history
        self.batches = source.open(model, objective)
        self.iteration = 0
        self.table = ParameterTable(model, model.n_restarts)
        n_cuts = torch.zeros(model.n_restarts, dtype=torch.int64) if n_cuts is None else n_cuts.long()
        self.average = WeightAverage(self.table, options.averaging) if options.averaging else None
        plain_step = Step(
            model,
            objective,
            self.table,
            learning_rate=options.learning_rate,
            n_cuts=n_cuts.tolist(),
            alpha=options.alpha,
            optimizer=options.optimizer,
            average=self.average,
        )
        device = self.table.values[0].device
        self.step = fastest_step(plain_step, device)
        self.n_cuts = n_cuts.to(device)
        self.best_state = self.table.state()
        start = self._score_of_start(source.everything)
        self.best_score = start.nan_to_num(-torch.inf, neginf=-torch.inf)
        self.idle = torch.zeros_like(start, dtype=torch.int64)
        self.active = torch.ones_like(start, dtype=torch.bool)

    def _score_of_start(self, everything):
        scored = everything if self.validation is None else self.validation
        if scored is None:
            return torch.full((self.model.n_restarts,), -torch.inf, device=self.n_cuts.device)
        start = evaluate(self.model, scored, self.objective)
        self.history.start_score = start.tolist()
        return start

    def iterate(self):
        """Take the steps of an iteration, and see what came of it."""
        self.iteration += 1
        self.training_score, finite = self._take_steps()
        self.step_sizes = list(self.step.step_sizes)
        with nullcontext() if self.average is None else self.average.in_place():
            self.score = score = self._score()
            acceptable = finite if self.accept is None else finite & self.accept(score)
            enough = self._keep_best(score, acceptable)
        self._count(enough)
        self._roll_back(~finite | ~score.isfinite())

    def _score(self):
        """What decides about the state as it is now, Tensor of shape (R,)."""
        if self.validation is None:
            return self.training_score
        return evaluate(self.model, self.validation, self.objective)

    def follow(self, source, validation):
        """Go on with other batches and other rows that decide; no state so far is the best of those."""
        self.batches, self.validation = source.open(self.model, self.objective), validation
        start = evaluate(self.model, validation, self.objective)
        self.best_score = start.nan_to_num(-torch.inf, neginf=-torch.inf)

    def tell(self, phase):
        """Report the last iteration; whether a listener wants it to be the last."""
        return phase.tell(
            self.iteration,
            training_score=self.training_score.tolist(),
            validation_score=None if self.validation is None else self.score.tolist(),
            learning_rate=self.step_sizes,
            patience=(self.options.n_iter_no_change - self.idle).tolist(),
        )

    def _take_steps(self):
        """Mean training score and whether all steps were finite, both (R,)."""
        total, finite, n_steps = 0.0, True, 0
        for batch in self.batches(self.iteration):
            loss, step_finite = self.step(batch, self._progress())
            total, finite, n_steps = total + loss, finite & step_finite, n_steps + 1
        return -total / n_steps, finite

    def _progress(self):
        return min(self.iteration / max(self.options.ramp_iter, 1), 1.0)

    def _keep_best(self, score, acceptable):
        """Save states that are better, and tell which of them are better by enough."""
        rival = self.best_score if self._is_comparable() else torch.full_like(score, -torch.inf)
        better = self.active & acceptable & (score > rival)
        enough = better & (score > rival + self.options.tol)
        self.table.copy_rows(self.table.live_state, self.best_state, better)
        self.best_score = torch.where(better, score, self.best_score)
        return enough

    def _count(self, enough):
        """Count iterations without a better state, and end or slow the restarts that are stuck."""
        self.idle = torch.where(enough, 0, self.idle + 1)
        stuck = self.active & (self.idle >= self.options.n_iter_no_change)
        self._slow_down(stuck)

    def _is_comparable(self):
        """Whether scores so far are of the same objective, ramped up, and of rows with the same noise."""
        scored_in_full = self.validation is not None and self.objective.is_scored_in_full
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
        """Go back to the best states."""
        everyone = torch.ones_like(self.active)
        self.table.copy_rows(self.best_state, self.table.live_state, everyone)
