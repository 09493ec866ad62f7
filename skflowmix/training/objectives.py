r"""What a fit minimises, as pure functions of the joint log-densities.

A row whose component is known only to lie in a set :math:`S` contributes
:math:`\log p(x, S) = \operatorname{logsumexp}_{k \in S} [\log w_k + \log p(x \mid k)]`. An unlabelled row allows
all components, so that this is its :math:`\log p(x)`; a labelled row allows those of its class and, as a
second term, :math:`\log p(S \mid x) = \log p(x, S) - \log p(x)`, which makes flows of different classes
repel each other where only the joint likelihood would let them overlap.
"""

from dataclasses import dataclass

import torch


@dataclass(frozen=True)
class Objective:
    """What `train` minimises: ``objective(mixture, rows, progress) -> loss`` of each restart and row.

    `progress` goes from 0 to 1 over the first iterations of a fit, for terms that come in gradually; scores are
    computed at 1.

    Attributes
    ----------
    supervised_weight, unlabelled_weight : float
        As in `mixture_loss`.
    log_weight_factor : float
        What multiplies the sum of the log-weights in the objective of each row: for a symmetric Dirichlet prior,
        its parameter minus one, by the number of rows.
    """

    supervised_weight: float = 1.0
    unlabelled_weight: float = 1.0
    log_weight_factor: float = 0.0

    def __call__(self, mixture, rows, progress=1.0):
        loss = mixture_loss(
            mixture.restart_log_joint(rows.x),
            rows,
            supervised_weight=self.supervised_weight,
            unlabelled_weight=self.unlabelled_weight,
        )
        if self.log_weight_factor:
            loss = loss - self.log_weight_factor * mixture.log_weights().sum(-1, keepdim=True)
        return loss


def assigned_objective(mixture, rows, progress=1.0):
    """`assigned_loss` of a mixture, in the form that `train` takes."""
    return assigned_loss(mixture.restart_log_joint(rows.x), rows)


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
