"""Numbers among what a user gives: what is none of them, and what is more than any machine holds."""

from dataclasses import fields
from itertools import pairwise
from typing import Any

import numpy as np

_MOST_WEIGHTS = 10**9


def check_numbers(settings: Any) -> None:
    """Raise a ValueError where a record of settings has a boolean in the place of a number, which Python takes for one.

    Those that may be booleans say so in their type.
    """
    for field in fields(settings):
        value = getattr(settings, field.name)
        if isinstance(value, (bool, np.bool_)) and "bool" not in str(field.type) and field.type != "Any":
            raise ValueError(f"{field.name} must be a number; got {value!r}.")


def check_layer_sizes(sizes, *, n_outputs=1, **counts):
    """Raise a ValueError where hidden layers are no sizes, or networks have more weights than memory has room for.

    Parameters
    ----------
    sizes : sequence
    n_outputs : int, default=1
        Numbers that a network gives, at least.
    **counts : int
        What multiplies the networks, by the names of the parameters; other values count as one.
    """
    if not all(isinstance(size, (int, np.integer)) and size >= 1 and not isinstance(size, bool) for size in sizes):
        raise ValueError(f"hidden_layer_sizes must hold positive integers; got {sizes!r}.")
    n_weights = sum(int(one) * int(other) for one, other in pairwise([1, *sizes, n_outputs]))
    told = {name: int(count) for name, count in counts.items() if isinstance(count, (int, np.integer)) and count > 0}
    for count in told.values():
        n_weights *= count
    if n_weights > _MOST_WEIGHTS:
        said = ", ".join(f"{name}={count}" for name, count in {"hidden_layer_sizes": tuple(sizes), **told}.items())
        raise ValueError(
            f"{said} makes networks of {n_weights:.1e} weights or more; {_MOST_WEIGHTS:.0e} in all are allowed."
        )


def as_floats(values, name):
    """An array of float64 of numbers, of any shape.

    Raises
    ------
    ValueError
        If they are strings, complex, or no numbers at all.
    """
    try:
        array = np.asarray(values)
        if array.dtype.kind in "USVcmM" or (array.dtype == object and any(isinstance(v, str) for v in array.flat)):
            raise TypeError(f"got {array.dtype.name if array.dtype != object else 'strings'}")
        return array.astype(np.float64)
    except (TypeError, ValueError, OverflowError) as error:
        raise ValueError(f"{name} must hold real numbers; {error}.") from error
