"""Which components matter for which rows: of most rows nearly all of a posterior is in one or two of them.

A component whose share of a row is below the rounding of the row's likelihood adds nothing to it, and its gradient is
as small as that share. Leaving it out is a truncated posterior (Forster and Lücke, 2018, arXiv:1711.03431), whose
objective never exceeds the likelihood. Shares change slowly in training, so that they are computed now and then, and
the seldomer the longer they have been as they are.
"""

import math

import torch

_FIRST_WAIT = 4


class Relevance:
    """Components whose share of a row is above the rounding of its likelihood.

    Parameters
    ----------
    mixture : FlowMixture
    rows : Rows
    """

    def __init__(self, mixture, rows):
        self.mixture, self.rows = mixture, rows
        shape = len(rows), mixture.n_restarts, mixture.n_components
        self.relevant = torch.ones(shape, dtype=torch.bool, device=rows.x.device)
        self.wait = torch.full((len(rows),), _FIRST_WAIT, device=rows.x.device)
        self.renewed = -self.wait

    @torch.no_grad()
    def renew(self, index, iteration):
        """Look again at some rows, unless that was done less than four iterations ago.

        Where nothing has changed since, the next look is twice as far away.

        Parameters
        ----------
        index : int Tensor of shape (M,)
        iteration : int
        """
        stale = index[iteration - self.renewed[index] >= self.wait[index]]
        found = [self._above_rounding(chunk) for chunk in self.rows[stale].chunks(self.mixture)]
        if not found:
            return
        relevant = torch.cat(found)
        same = (relevant == self.relevant[stale]).all(-1).all(-1)
        self.wait[stale] = torch.where(same, 2 * self.wait[stale], _FIRST_WAIT)
        self.relevant[stale], self.renewed[stale] = relevant, iteration

    def _above_rounding(self, rows):
        """bool Tensor of shape (N, R, K); of rows with a label, what it allows is never left out."""
        log_resp = self.mixture.restart_log_joint(rows.restart_x).log_softmax(-1)
        negligible = log_resp < math.log(torch.finfo(log_resp.dtype).eps)
        if rows.allowed is not None:
            negligible &= ~rows.restart_allowed | rows.restart_allowed.all(-1, keepdim=True)
        return ~negligible.transpose(0, 1)
