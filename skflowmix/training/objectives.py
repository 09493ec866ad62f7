r"""What a fit minimises, as pure functions of the joint log-densities.

A row whose component is known only to lie in a set :math:`S` contributes
:math:`\log p(x, S) = \operatorname{logsumexp}_{k \in S} [\log w_k + \log p(x \mid k)]`. An unlabelled row allows
all components, so that this is its :math:`\log p(x)`; a labelled row allows those of its class and, as a
second term, :math:`\log p(S \mid x) = \log p(x, S) - \log p(x)`, which makes flows of different classes
repel each other where only the joint likelihood would let them overlap.
"""

import math
from dataclasses import dataclass

import torch
from torch.nn.functional import hardshrink

from ..transforms import BatchNorm
from .compilation import is_compiled

_FIRST_TEMPERATURE = 2.0


@dataclass(frozen=True)
class Objective:
    """What `train` minimises: ``objective(mixture, rows, progress) -> loss`` of each restart and row.

    `progress` goes from 0 to 1 over the first iterations of a fit, for terms that come in gradually; scores are
    computed at 1.

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
    def needs_view(self):
        """Whether rows to learn from should have a `view`."""
        return self.consistency_weight > 0

    def may_leave_out(self, mixture):
        """Whether steps may leave out the components that are not `relevant` for a row."""
        everything = mixture.n_components == 1 or mixture.posterior is not None or self.needs_view
        return not everything and _may_leave_rows_out(mixture)

    def __call__(self, mixture, rows, progress=1.0):
        n_rows = len(rows)
        x = rows.x if rows.view is None else torch.cat([rows.x, rows.view])
        weights = {"supervised_weight": self.supervised_weight, "unlabelled_weight": self.unlabelled_weight}
        if mixture.posterior is None:
            logits = _relevant_log_joint(mixture, x, rows.relevant)
            loss = mixture_loss(logits[:, :n_rows], rows, **weights)
        else:
            logits = _guard(mixture.posterior(x, _temperature(progress)))
            loss = elbo_loss(_guard(mixture.restart_log_joint(rows.x)), logits[:, :n_rows], rows, **weights)
        if self.log_weight_factor:
            loss = loss - self.log_weight_factor * mixture.log_weights().sum(-1, keepdim=True)
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
class AssignedObjective:
    r"""`assigned_loss` of a mixture, in the form that `train` takes.

    Attributes
    ----------
    discriminative_weight : float, default=0.0
        Weight of :math:`\sum_k r_k \log p(k \mid x)`. Without that term flows need not see each other's rows; with it
        they see those that are `relevant`.
    """

    discriminative_weight: float = 0.0

    def may_leave_out(self, mixture):
        """Whether steps may leave out the components that are not `relevant` for a row."""
        return self.discriminative_weight > 0 and mixture.n_components > 1 and _may_leave_rows_out(mixture)

    def __call__(self, mixture, rows, progress=1.0):
        where = self._where(rows) if _may_leave_rows_out(mixture) else None
        log_joint = _guard(mixture.restart_log_joint(rows.x, where))
        loss = assigned_loss(log_joint, rows)
        if not self.discriminative_weight:
            return loss
        log_prob = (log_joint if where is None else log_joint.masked_fill(~where, -torch.inf)).logsumexp(-1)
        assigned = rows.weight * rows.resp.sum(-1).T
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


def assigned_posterior(posterior, rows, progress=1.0):
    """Cross-entropy of a posterior network to given responsibilities, in the form that `train` takes."""
    return assigned_loss(_guard(posterior(rows.x)), rows)


def assigned_loss(log_joint, rows):
    r"""Negative expected log-likelihood :math:`-\sum_k r_k \log [w_k p(x \mid k)]` under given responsibilities.

    The surrogate of expectation-maximisation: each component learns the rows that it has been given.

    Parameters
    ----------
    log_joint : Tensor of shape (R, N, K)
    rows : Rows
        Their `weight` and `resp` are used.

    Returns
    -------
    Tensor of shape (R, N)
        Loss of each row, in nats.
    """
    return -rows.weight * (rows.resp.transpose(0, 1) * log_joint).sum(-1)


def mixture_loss(log_joint, rows, *, supervised_weight=1.0, unlabelled_weight=1.0):
    """Negative weighted log-likelihood of labelled and unlabelled rows.

    Parameters
    ----------
    log_joint : Tensor of shape (R, N, K)
    rows : Rows
        Their `weight` and `allowed` are used.
    supervised_weight : float, default=1.0
        Weight of the labelled rows' discriminative term.
    unlabelled_weight : float, default=1.0
        Weight of the rows that allow every component.

    Returns
    -------
    Tensor of shape (R, N)
        Loss of each row, in nats.
    """
    log_prob = log_joint.logsumexp(-1)
    weight, allowed = rows.weight, rows.allowed
    if allowed is None:
        return -weight * unlabelled_weight * log_prob
    log_prob_label = log_joint.masked_fill(~allowed, -torch.inf).logsumexp(-1)
    row_weight = torch.where(allowed.all(-1), weight * unlabelled_weight, weight)
    log_label_given_row = log_prob_label - log_prob
    return -row_weight * log_prob_label - supervised_weight * weight * log_label_given_row


def elbo_loss(log_joint, log_resp, rows, *, supervised_weight=1.0, unlabelled_weight=1.0):
    r"""Negative weighted bound :math:`\sum_k q(k \mid x) [\log w_k + \log p(x \mid k) - \log q(k \mid x)]`.

    Pires and Figueiredo (2020), arXiv:2009.00585. For a row whose component lies in a set :math:`S` the sum is over
    it, with q normalised there, and :math:`\log q(S \mid x)` is the discriminative term. With the exact posterior in
    the place of q this is `mixture_loss`.

    Parameters
    ----------
    log_joint : Tensor of shape (R, N, K)
    log_resp : Tensor of shape (R, N, K)
        Logarithms of q.
    rows : Rows
        Their `weight` and `allowed` are used.
    supervised_weight, unlabelled_weight : float, default=1.0
        As in `mixture_loss`.

    Returns
    -------
    Tensor of shape (R, N)
        Loss of each row, in nats.
    """
    weight, allowed = rows.weight, rows.allowed
    if allowed is None:
        return -weight * unlabelled_weight * (log_resp.exp() * (log_joint - log_resp)).sum(-1)
    log_resp = log_resp.masked_fill(~allowed, -torch.inf)
    log_label_given_row = log_resp.logsumexp(-1)
    log_resp = log_resp - log_label_given_row[..., None]
    gap = (log_joint - log_resp).masked_fill(~allowed, 0)
    bound = (log_resp.exp() * gap).sum(-1)
    row_weight = torch.where(allowed.all(-1), weight * unlabelled_weight, weight)
    return -row_weight * bound - supervised_weight * weight * log_label_given_row


def consistency_loss(log_resp, log_resp_view, rows):
    """Squared distance of the assignments of rows and of their views.

    Laine and Aila (2017), arXiv:1610.02242. It is bounded, so that no row outweighs the likelihood.

    Parameters
    ----------
    log_resp, log_resp_view : Tensor of shape (R, N, K)
    rows : Rows
        Their `weight` is used.

    Returns
    -------
    Tensor of shape (R, N)
    """
    return rows.weight * (log_resp.exp() - log_resp_view.exp()).square().sum(-1)
