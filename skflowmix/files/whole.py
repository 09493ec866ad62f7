"""A file that is written beside the old one and then put in its place."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO


@contextmanager
def whole_file(path: str | os.PathLike) -> Iterator[BinaryIO]:
    """A file to write to; until it is whole, and if that fails, what was there before stays.

    Parameters
    ----------
    path : str or path-like
    """
    goal = Path(os.path.realpath(path))
    beside = goal.with_name(f".{goal.name[:100]}.{secrets.token_hex(8)}")
    try:
        with open(beside, "xb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(beside, goal)
    finally:
        beside.unlink(missing_ok=True)
