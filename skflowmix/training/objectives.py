"""What a fit of a mixture minimises: objects that `train` calls, and that say what they need of the rows."""

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass

import torch
from torch.nn.functional import hardshrink

from ..modules.transforms import BatchNorm
from .batches import Demands
from .compilation import is_compiled
from .losses import assigned_loss, consistency_loss, elbo_loss, mixture_loss

_FIRST_TEMPERATURE = 2.0


class RowObjective(ABC):
    """An `Objective` (see `protocols`) of batches of `Rows`. What it must have is `__call__`."""

    @property
    def is_scored_in_full(self):
        """Whether rows that are held out have all terms of the loss."""
        return True

    def demands(self, model):
        """What the batches of steps should have beside rows: `Demands`."""
        return Demands()

    @abstractmethod
    def __call__(self, model, rows, progress=1.0):
        """Loss of each restart and row, Tensor of shape (R, N), in nats."""


@dataclass(frozen=True)
class LikelihoodObjective(RowObjective):
    """Likelihood of a mixture, or its bound by a posterior network, and what may come in addition.

    Attributes
    ----------
    supervised_weight, unlabelled_weight : float
        As in `mixture_loss`.
    consistency_weight : float
        Weight at the end of `consistency_loss`, of rows that have a `view`.
    log_weight_factor : float
        What multiplies the sum of the log-weights in the objective of each row: for a symmetric Dirichlet prior,
        its parameter minus one, by the number of rows.
    start_weight : float
        Weight of the discriminative term of what the start gave to each component, while they learn it.
    """

    supervised_weight: float = 1.0
    unlabelled_weight: float = 1.0
    consistency_weight: float = 0.0
    log_weight_factor: float = 0.0
    start_weight: float = 0.0

    @property
    def of_warm_up(self):
        """What comes first, while components learn the rows that the start gave them."""
        return AssignedObjective(self.start_weight)

    @property
    def is_scored_in_full(self):
        """Not with a consistency term, as rows that are held out have no `view`."""
        return not self.consistency_weight > 0

    def demands(self, model):
        with_view = self.consistency_weight > 0
        everything = model.n_components == 1 or model.posterior is not None or with_view
        return Demands(view=with_view, relevance=not everything and _may_leave_rows_out(model))

    def __call__(self, model, rows, progress=1.0):
        n_rows = len(rows)
        x = rows.restart_x if rows.view is None else torch.cat([rows.restart_x, rows.restart_view], -2)
        weights = {"supervised_weight": self.supervised_weight, "unlabelled_weight": self.unlabelled_weight}
        if model.posterior is None:
            logits = _relevant_log_joint(model, x, rows.relevant)
            loss = mixture_loss(logits[:, :n_rows], rows, **weights)
        else:
            logits = _guard(model.posterior(x, _temperature(progress)))
            loss = elbo_loss(_guard(model.restart_log_joint(rows.restart_x)), logits[:, :n_rows], rows, **weights)
        if self.log_weight_factor:
            loss = loss - self.log_weight_factor * model.log_weights().sum(-1, keepdim=True)
        if rows.view is None:
            return loss
        log_resp = logits.log_softmax(-1)
        disagreement = consistency_loss(log_resp[:, :n_rows], log_resp[:, n_rows:], rows)
        return loss + self.consistency_weight * _ramp(progress) * disagreement


def _relevant_log_joint(mixture, x, relevant):
    """Joint log-densities (R, N, K), minus infinity for components that need not be taken into account."""
    if relevant is None:
        return _guard(mixture.restart_log_joint(x))
    where = relevant.transpose(0, 1)
    return _guard(mixture.restart_log_joint(x, where)).masked_fill(~where, -torch.inf)


def _guard(log_prob):
    """The same Tensor, that lets no negligible gradient through to the parameters."""
    if log_prob.requires_grad:
        log_prob.register_hook(_drop_negligible)
    return log_prob


def _drop_negligible(gradient):
    """Set to zero what is so small that its products are subnormal numbers, with which CPUs are many times slower.

    Most of a gradient is: the posterior probabilities of the components that a row is far from.
    """
    return hardshrink(gradient, math.sqrt(torch.finfo(gradient.dtype).tiny))


def _temperature(progress):
    return _FIRST_TEMPERATURE ** (1 - progress)


def _ramp(progress):
    """From nearly 0 to 1, as in Laine and Aila (2017), arXiv:1610.02242."""
    return math.exp(-5 * (1 - progress) ** 2)


@dataclass(frozen=True)
class AssignedObjective(RowObjective):
    r"""`assigned_loss` of a mixture, in the form that `train` takes.

    Attributes
    ----------
    discriminative_weight : float, default=0.0
        Weight of :math:`\sum_k r_k \log p(k \mid x)`. Without that term flows need not see each other's rows; with it
        they see those that are `relevant`.
    """

    discriminative_weight: float = 0.0

    def demands(self, model):
        competing = self.discriminative_weight > 0 and model.n_components > 1
        return Demands(relevance=competing and _may_leave_rows_out(model))

    def __call__(self, model, rows, progress=1.0):
        where = self._where(rows) if _may_leave_rows_out(model) else None
        log_joint = _guard(model.restart_log_joint(rows.restart_x, where))
        loss = assigned_loss(log_joint, rows)
        if not self.discriminative_weight:
            return loss
        log_prob = (log_joint if where is None else log_joint.masked_fill(~where, -torch.inf)).logsumexp(-1)
        assigned = rows.restart_weight * rows.resp.sum(-1).T
        return loss + self.discriminative_weight * (loss + assigned * log_prob)

    def _where(self, rows):
        """What the loss depends on, bool Tensor of shape (R, N, K); None is everything."""
        assigned = rows.resp.transpose(0, 1) > 0
        if not self.discriminative_weight:
            return assigned
        return None if rows.relevant is None else assigned | rows.relevant.transpose(0, 1)


def _may_leave_rows_out(mixture):
    """Whether steps may differ in shape, and rows do not depend on each other.

    They may not where they are captured in a CUDA graph or compiled; statistics of a batch are of all its rows.
    """
    if mixture.logits.device.type != "cpu" or is_compiled(mixture.flow):
        return False
    return not any(isinstance(module, BatchNorm) for module in mixture.modules())


class AssignedPosterior(RowObjective):
    """Cross-entropy of a posterior network to given responsibilities."""

    def __call__(self, model, rows, progress=1.0):
        return assigned_loss(_guard(model(rows.restart_x)), rows)
