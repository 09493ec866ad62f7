"""How much work a model is: rows to evaluate together, and rows that need not be."""

import torch

_CACHED_FLOWS_TIMES_ROWS = 2**13
_FLOWS_TIMES_ROWS = 2**17


def rows_at_once(model):
    """How many rows to evaluate together: on a CPU those whose hidden units its cache may hold.

    Parameters
    ----------
    model : FlowMixture or PosteriorNetwork
    """
    on_cpu = next(model.parameters()).device.type == "cpu"
    flows_times_rows = _CACHED_FLOWS_TIMES_ROWS if on_cpu else _FLOWS_TIMES_ROWS
    return max(flows_times_rows // (model.n_restarts * model.n_components), 1)


def evaluate_some(function, rows, wanted):
    """What a function of each component's rows gives, where it is asked for.

    Each component evaluates as many rows as the one of most rows has to: what it is asked for comes first, other rows
    fill it up. How many these are, the host has to know.

    Parameters
    ----------
    function : callable
        Tensor of shape (C, N, D) -> Tensor of shape (C, N).
    rows : Tensor of shape (C, N, D)
    wanted : bool Tensor of shape (C, N), or None
        None asks for everything.

    Returns
    -------
    Tensor of shape (C, N)
        Zero or another number without a meaning where nothing was asked for.
    """
    if wanted is None:
        return function(rows)
    most = max(int(wanted.sum(1).max()), 1)  # flows take no empty batches
    if most == rows.shape[1]:
        return function(rows)
    index = wanted.byte().argsort(dim=1, descending=True, stable=True)[:, :most]
    own = rows.gather(1, index[:, :, None].expand(-1, -1, rows.shape[2]))
    return torch.zeros_like(rows[:, :, 0]).scatter(1, index, function(own))
