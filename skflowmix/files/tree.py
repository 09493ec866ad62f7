"""Objects as what JSON holds, with their arrays in a list beside it, and back.

A list is a list, numbers, strings and None are themselves, and everything else is a dictionary of one key that says
what it is. Objects are made without a call of their constructors, and only of classes that `classes` names.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import torch

from ..modules.description import state_of
from .classes import CLASSES, NAMES

_THEMSELVES = (type(None), bool, int, float, str)


class Plain(NamedTuple):
    """Something as plain data.

    Attributes
    ----------
    root : JSON's data
    arrays : list of ndarray
        Of numbers, strings or dates; `root` has their places.
    """

    root: Any
    arrays: list[np.ndarray]


class DroppedFunction:
    """Stands where a function was, of which a file holds the name alone."""

    def __init__(self, name):
        self.name = name

    def __call__(self, *args, **kwargs):
        raise TypeError(f"{self.name} was a function, which files do not hold.")

    def __repr__(self):
        return f"<{self.name}, which the file does not hold>"


def to_plain(value: Any) -> Plain:
    """Take an object apart.

    Raises
    ------
    TypeError
        If it holds something that is neither data nor of a known class; the message says where.
    """
    plain = Plain(None, [])
    return plain._replace(root=_take_apart(value, plain.arrays, ""))


def from_plain(plain: Plain) -> Any:
    """Put an object together.

    Raises
    ------
    ValueError, KeyError, TypeError, IndexError
        If the data is not what `to_plain` returns.
    """
    return _put_together(plain.root, plain.arrays)


def has_function(value: Any) -> bool:
    """Whether something is a function, or a list or dictionary that holds one."""
    if isinstance(value, dict):
        return any(map(has_function, value.values()))
    if isinstance(value, (list, tuple)):
        return any(map(has_function, value))
    return callable(value)


def _take_apart(value, arrays, place):
    kind = type(value)
    if kind in _THEMSELVES:
        return value
    if kind is list:
        return [_take_apart(item, arrays, f"{place}[{i}]") for i, item in enumerate(value)]
    if kind is tuple:
        return {"tuple": _take_apart(list(value), arrays, place)}
    if kind is dict:
        keys = [_take_apart(key, arrays, place) for key in value]
        values = [_take_apart(of, arrays, f"{place}.{key}") for key, of in value.items()]
        return {"dict": [keys, values]}
    if kind is slice:
        return {"slice": _take_apart([value.start, value.stop, value.step], arrays, place)}
    if isinstance(value, torch.device):
        return {"device": str(value)}
    if isinstance(value, np.random.RandomState):
        return {"random_state": _take_apart(value.get_state(legacy=False), arrays, place)}
    if isinstance(value, type) and value in NAMES:
        return {"class": NAMES[value]}
    if kind in NAMES:
        return {"object": [NAMES[kind], _take_apart(state_of(value), arrays, place)]}
    if callable(value) and not isinstance(value, (type, torch.nn.Module)):
        return {"function": value.name if kind is DroppedFunction else repr(value)}
    return _take_array_apart(value, arrays, place)


def _take_array_apart(value, arrays, place):
    if not hasattr(value, "__array__") or isinstance(value, torch.Tensor):
        kind = value if isinstance(value, type) else type(value)
        raise TypeError(
            f"files hold no {kind.__module__}.{kind.__qualname__} (at {place.lstrip('.')}); classes of your own are "
            "made known by skflowmix.files.register, and pickles hold everything"
        )
    array = np.asarray(value)
    if array.dtype.hasobject:
        items = [_take_apart(item, arrays, f"{place}[{i}]") for i, item in enumerate(array.ravel().tolist())]
        return {"objects": [list(array.shape), items]}
    arrays.append(array)
    return {"array": len(arrays) - 1}


def _put_together(node, arrays):
    if type(node) in _THEMSELVES:
        return node
    if type(node) is list:
        return [_put_together(item, arrays) for item in node]
    ((kind, content),) = node.items()
    return _KINDS[kind](content, arrays)


def _objects(content, arrays):
    shape, items = content
    array = np.empty(len(items), dtype=object)
    array[:] = [_put_together(item, arrays) for item in items]
    return array.reshape(shape)


def _object(content, arrays):
    name, state = content
    value: Any = object.__new__(CLASSES[name])
    state = _put_together(state, arrays)
    if hasattr(value, "__setstate__"):
        value.__setstate__(state)
    else:
        vars(value).update(state)
    return value


def _random_state(content, arrays):
    random_state = np.random.RandomState()
    random_state.set_state(_put_together(content, arrays))
    return random_state


_KINDS = {
    "tuple": lambda content, arrays: tuple(_put_together(content, arrays)),
    "dict": lambda content, arrays: dict(zip(*_put_together(content, arrays), strict=True)),
    "slice": lambda content, arrays: slice(*_put_together(content, arrays)),
    "array": lambda content, arrays: arrays[content],
    "objects": _objects,
    "object": _object,
    "class": lambda content, arrays: CLASSES[content],
    "device": lambda content, arrays: torch.device(content),
    "random_state": _random_state,
    "function": lambda content, arrays: DroppedFunction(content),
}
