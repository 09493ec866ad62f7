"""Which of the states that a fit went through is kept.

States come as one stack of mixtures: those at the end of each of R restarts, and, where clusters are sought, after them
those at the end of each warm-up.
"""

import numpy as np
import torch

from ..partitions.automatic import MAX_ROWS
from ..partitions.judge import weigh
from ..partitions.rounding import Rounded


def best_score(states, scores, n_restarts, rows, random_state):
    """Index of the last state with the best score.

    Parameters
    ----------
    states : FlowMixture
    scores : ndarray of shape (n_states,)
    n_restarts : int
    rows : Rows
    random_state : RandomState

    Returns
    -------
    int
    """
    return int(np.argmax(scores[:n_restarts]))


def best_evidence(states, scores, n_restarts, rows, random_state):
    """Index of the state whose partition has the best evidence, as among starts: likelihood does not tell clusters.

    A last state has to be clearly better than that of its warm-up. Where there are labels, or clusters cannot differ,
    the score decides. Parameters are those of `best_score`.
    """
    may_differ = 1 < states.n_components < len(rows)
    if rows.allowed is not None or not may_differ or states.n_restarts == 1:
        return best_score(states, scores, n_restarts, rows, random_state)
    chosen = np.arange(len(rows))
    if len(rows) > MAX_ROWS:
        chosen = random_state.choice(len(rows), MAX_ROWS, replace=False)
    judged = rows[torch.as_tensor(chosen, device=rows.x.device)]
    x = judged.x.to(states.logits.device)
    X, weight = judged.x.double().cpu().numpy(), judged.weight.double().cpu().numpy()
    labels = [states.restart(i).log_resp(x).argmax(1).cpu().numpy() for i in range(states.n_restarts)]
    costs = weigh(Rounded.of(X, random_state), labels, weight, random_state).costs
    restart = int(np.argmin(costs.mean(1))) % n_restarts
    last, warm = restart, restart + n_restarts
    return last if _is_clearly_less(costs[last], costs[warm]) else warm


def _is_clearly_less(costs, others):
    """Whether the mean of paired numbers is less than that of the others by a standard error, or they are the same."""
    if not np.isfinite(costs.mean() + others.mean()):
        return bool(costs.mean() < others.mean())
    gain = others - costs
    return bool(gain.mean() >= gain.std() / np.sqrt(len(gain)))
