"""One thread for everything.

Threads that share an operation wait for each other at its end. A second one gains a fifth on idle cores; where other
processes want the cores it waits for one that is not running, and a fit takes three times as long, or more
(docs/notes/time-of-fits.md). With one thread fits are the same on machines of any number of cores, side by side in a
grid search they do not get into each other's way, and a process that forks has no threads of torch's that its child
would wait for. Whoever has many rows to predict divides them with joblib.
"""

import threading
from contextlib import contextmanager

import torch
from threadpoolctl import ThreadpoolController  # scikit-learn cannot be without it


class _Threads:
    """What was found by the first of those that have one thread at the same time."""

    def __init__(self):
        self.lock, self.n_users, self.found = threading.Lock(), 0, 1
        self.own = threading.local()

    def enter(self):
        with self.lock:
            if self.n_users == 0:
                self.found = torch.get_num_threads()
            self.n_users += 1
        torch.set_num_threads(1)
        self.own.inside = True

    def leave(self):
        self.own.inside = False
        with self.lock:
            self.n_users -= 1
            torch.set_num_threads(self.found)


_THREADS = _Threads()


@contextmanager
def one_torch_thread():
    """Keep torch's operations from being divided.

    The number of threads is left as found, also where several threads of a program are in here at the same time.
    """
    if getattr(_THREADS.own, "inside", False):
        yield
        return
    _THREADS.enter()
    try:
        yield
    finally:
        _THREADS.leave()


class _OneBlasThread:
    """A limit of the whole process: the first that wants it sets it, and the last that leaves lifts it."""

    def __init__(self):
        self.lock, self.n_users, self.found = threading.Lock(), 0, []

    def enter(self, pools):
        with self.lock:
            if self.n_users == 0:
                self.found = pools.info()
                set_for_good(pools, 1)
            self.n_users += 1

    def leave(self, pools):
        with self.lock:
            self.n_users -= 1
            if self.n_users == 0:
                set_for_good(pools, self.found)


def set_for_good(pools, limits):
    """Set the numbers of threads of pools.

    The thread that sets a limit of BLAS is the only one that may, in newer versions of threadpoolctl, until it leaves
    a context.
    """
    pools.limit(limits=limits)
    with pools.limit(limits=None):
        pass


_ONE_BLAS_THREAD = _OneBlasThread()


@contextmanager
def one_thread():
    """Keep torch's operations, scikit-learn's loops and numpy's linear algebra from being divided.

    It takes milliseconds. The number of OpenMP's threads belongs to a thread, that of BLAS's to the process.
    """
    pools = ThreadpoolController()
    openmp, blas = pools.select(user_api="openmp"), pools.select(user_api="blas")
    with one_torch_thread(), openmp.limit(limits=1):
        _ONE_BLAS_THREAD.enter(blas)
        try:
            yield
        finally:
            _ONE_BLAS_THREAD.leave(blas)
