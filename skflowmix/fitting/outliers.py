"""How low a density has to be to be an outlier's."""

from dataclasses import replace

import numpy as np


def with_offset(fitted, table, contamination):
    """A fit that knows the log-density below which a share of the rows that it was fitted to lies.

    Parameters
    ----------
    fitted : FittedMixture
    table : Table
        The rows, of which those of weight nil do not count.
    contamination : float or None
        That share; None leaves the fit as it is.

    Returns
    -------
    FittedMixture
    """
    if contamination is None:
        return fitted
    used = table.weight > 0
    log_density, weight = fitted.log_density("log_prob", table.X[used]), table.weight[used]
    order = np.argsort(log_density, kind="stable")
    reached = np.cumsum(weight[order]) / weight.sum()
    above = np.searchsorted(reached, contamination * (1 + 1e-12), side="right")
    return replace(fitted, offset=float(log_density[order[min(above, len(order) - 1)]]))
