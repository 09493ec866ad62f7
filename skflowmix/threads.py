"""One thread for work that is too small to be divided.

Threads wait for each other at the end of every operation. On idle cores that costs what small operations gain by a
second thread; where other processes want the cores, a thread waits for one that is not running, for much longer than
the work takes.
"""

from contextlib import contextmanager

import torch
from threadpoolctl import threadpool_limits  # scikit-learn cannot be without it

_WORTH_DIVIDING = 2**22


@contextmanager
def threads_for(n_multiply_adds):
    """Let torch divide operations among its threads only if they are large; the number of threads is left as found.

    Parameters
    ----------
    n_multiply_adds : int
        Of the largest operation. Below four millions a second thread gains a sixth at most (docs/performance.md).
    """
    found = torch.get_num_threads()
    if found == 1 or n_multiply_adds >= _WORTH_DIVIDING:
        yield
        return
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(found)


@contextmanager
def one_thread():
    """Keep scikit-learn's loops, of a few thousand rows at most, from being divided; also a decorator."""
    with threadpool_limits(limits=1, user_api="openmp"):
        yield
