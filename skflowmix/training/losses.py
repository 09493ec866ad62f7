r"""What each row costs, as pure functions of the joint log-densities.

A row whose component is known only to lie in a set :math:`S` contributes
:math:`\log p(x, S) = \operatorname{logsumexp}_{k \in S} [\log w_k + \log p(x \mid k)]`. An unlabelled row allows
all components, so that this is its :math:`\log p(x)`; a labelled row allows those of its class and, as a
second term, :math:`\log p(S \mid x) = \log p(x, S) - \log p(x)`, which makes flows of different classes
repel each other where only the joint likelihood would let them overlap.
"""

import torch


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
    return -rows.restart_weight * (rows.resp.transpose(0, 1) * log_joint).sum(-1)


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
    weight, allowed = rows.restart_weight, rows.restart_allowed
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
    weight, allowed = rows.restart_weight, rows.restart_allowed
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
    return rows.restart_weight * (log_resp.exp() - log_resp_view.exp()).square().sum(-1)
