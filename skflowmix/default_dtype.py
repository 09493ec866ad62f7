"""Single precision for what has no dtype, whatever torch's default is.

The default belongs to all threads of a program, so that it is not to be changed, not even for a while. A mode that
fills in the argument belongs to one thread, as `torch.device` does as a context.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

import torch
from torch.overrides import TorchFunctionMode

_OF_FLOATS = {torch.empty, torch.ones, torch.zeros, torch.eye, torch.linspace, torch.logspace, torch.rand, torch.randn}
_OF_NUMBERS = {torch.arange, torch.full}
_OF_DATA = {torch.tensor, torch.as_tensor, torch.asarray}
_LEFT: ContextVar[bool] = ContextVar("whether a caller's function runs", default=False)


class SinglePrecision(TorchFunctionMode):
    """Numbers with a point become float32, as where nobody has changed the default."""

    def __torch_function__(self, func, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        if kwargs.get("dtype") is None and not _LEFT.get() and _asks_for_floats(func, args, kwargs):
            kwargs = {**kwargs, "dtype": torch.float32}
        return func(*args, **kwargs)


def _asks_for_floats(func, args, kwargs):
    if func in _OF_NUMBERS:
        return any(isinstance(value, float) for value in [*args, *kwargs.values()])
    return func in _OF_FLOATS or (func in _OF_DATA and _holds_floats(args[0] if args else kwargs.get("data")))


def _holds_floats(data):
    """Whether numbers that have no dtype of their own decide that of a tensor."""
    if isinstance(data, (list, tuple)):
        return any(map(_holds_floats, data))
    return isinstance(data, float) and not hasattr(data, "dtype")


@contextmanager
def single_precision() -> Iterator[None]:
    """Make what has no dtype float32 in this thread."""
    if torch.get_default_dtype() == torch.float32:
        yield
        return
    with SinglePrecision():
        yield


@contextmanager
def callers_precision() -> Iterator[None]:
    """Leave that for a function of the caller's, which was written for the caller's default."""
    token = _LEFT.set(True)
    try:
        yield
    finally:
        _LEFT.reset(token)
