"""scikit-learn's callbacks (1.9 and newer): what a fit reports, as a tree of tasks.

The root is the fit, below it are its phases, and below those their iterations. A callback that returns True at the end
of an iteration ends the phase; the fit keeps its best state, as ever.
"""

from __future__ import annotations

from contextlib import contextmanager
from functools import partial

from sklearn.utils.validation import validate_data

from ..fitting.averaging import mean_of_fits
from ..training import QUIET, Listener, Printer, Report

try:
    from sklearn.callback import CallbackSupportMixin
except ImportError:  # an older scikit-learn
    CallbackSupportMixin = object

__all__ = ["CallbackSupportMixin", "reporting"]


@contextmanager
def reporting(estimator, verbose, *, X=None, y=None, sample_weight=None):
    """A Report to `verbose` and to the callbacks of an estimator, for the time of a fit.

    Parameters
    ----------
    estimator : object
        Its ``fit`` is decorated with `sklearn.base._fit_context`, which ends what begins here.
    verbose : int
    X, y, sample_weight : array-like, default=None
        As they were given, for callbacks.
    """
    listeners: list[Listener] = [Printer(verbose)] if verbose else []
    if not getattr(estimator, "_skl_callbacks", None):
        yield Report(listeners) if listeners else QUIET
        return
    metadata = None if sample_weight is None else {"sample_weight": sample_weight}
    tasks = Tasks(estimator, X=X, y=y, metadata=metadata)
    yield Report([*listeners, tasks])
    tasks.root.call_on_fit_task_end(estimator=estimator, **tasks.data)


class Tasks(Listener):
    """Tells callbacks of the phases and the iterations of a fit.

    Parameters
    ----------
    estimator : object
    **data
        X, y and metadata, as callbacks get them.

    Attributes
    ----------
    root : CallbackContext
    """

    def __init__(self, estimator, **data):
        self.estimator, self.data = estimator, data
        self.root = estimator._init_callback_context(max_subtasks=None)  # how many phases there are, the fit decides
        self.root.call_on_fit_task_begin(estimator=estimator, **data)

    def begin(self, phase, most):
        self.phase = self.root.subcontext(task_name=phase, max_subtasks=most)
        self.phase.call_on_fit_task_begin(estimator=self.estimator, **self.data)

    def iterate(self, iteration):
        task = self.phase.subcontext(task_name="iteration")
        task.call_on_fit_task_begin(estimator=self.estimator, **self.data)
        attributes = None if iteration.current is None else partial(self._attributes, iteration)
        return task.call_on_fit_task_end(estimator=self.estimator, **self.data, reconstruction_attributes=attributes)

    def end(self, phase):
        self.phase.call_on_fit_task_end(estimator=self.estimator, **self.data)

    def _attributes(self, iteration):
        """What an estimator has that was fitted up to an iteration."""
        fits = iteration.current(iteration)
        seen = object.__new__(type(self.estimator))
        validate_data(seen, self.data["X"], skip_check_array=True)
        return {"_state": fits[0] if len(fits) == 1 else mean_of_fits(fits), **vars(seen)}
