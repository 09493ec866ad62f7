"""Fitted attributes that are parts of the one object that a fit is."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Generic, TypeVar, overload

T = TypeVar("T")


class FittedPart(Generic[T]):
    """Attribute of an estimator that is read off its fit, and cannot be set.

    Parameters
    ----------
    read : callable
        What it is, as a function of the fit.
    """

    def __init__(self, read: Callable[[Any], T]) -> None:
        self._read = read

    @overload
    def __get__(self, estimator: None, owner: type) -> FittedPart[T]: ...

    @overload
    def __get__(self, estimator: Any, owner: type) -> T: ...

    def __get__(self, estimator: Any, owner: type) -> FittedPart[T] | T:
        return self if estimator is None else self._read(estimator._fitted)

    def __set__(self, estimator: Any, value: Any) -> None:
        raise AttributeError("Attributes that a fit has left cannot be set.")
