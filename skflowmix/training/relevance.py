"""Which components matter for which rows: of most rows nearly all of a posterior is in one or two of them.

A component whose share of a row is below the rounding of the row's likelihood adds nothing to it, and its gradient is
as small as that share. Leaving it out is a truncated posterior (Forster and Lücke, 2018, arXiv:1711.03431), whose
objective never exceeds the likelihood. Shares change slowly in training, so that they are computed now and then.
"""

import math

import torch

_RENEWAL = 4


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
        self.renewed = torch.full((len(rows),), -_RENEWAL, device=rows.x.device)

    @torch.no_grad()
    def renew(self, index, iteration):
        """Look again at those of some rows that were last looked at four iterations ago, or earlier.

        Parameters
        ----------
        index : int Tensor of shape (M,)
        iteration : int
        """
        stale = index[iteration - self.renewed[index] >= _RENEWAL]
        found = [self._above_rounding(chunk) for chunk in self.rows[stale].chunks(self.mixture)]
        if found:
            self.relevant[stale], self.renewed[stale] = torch.cat(found), iteration

    def _above_rounding(self, rows):
        """bool Tensor of shape (N, R, K); of rows with a label, what it allows is never left out."""
        log_resp = self.mixture.restart_log_joint(rows.x).log_softmax(-1)
        negligible = log_resp < math.log(torch.finfo(log_resp.dtype).eps)
        if rows.allowed is not None:
            negligible &= ~rows.allowed | rows.allowed.all(-1, keepdim=True)
        return ~negligible.transpose(0, 1)
