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
from threadpoolctl import threadpool_limits  # scikit-learn cannot be without it


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


@contextmanager
def one_thread():
    """Keep torch's operations and scikit-learn's loops from being divided; it takes milliseconds."""
    with one_torch_thread(), threadpool_limits(limits=1, user_api="openmp"):
        yield
