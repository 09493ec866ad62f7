"""What is being done, told to whoever asked for it around a call; nobody by default.

Partitions, which know nothing of reports, say by `note` how far they are.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

_READER: ContextVar[Callable[[str], None] | None] = ContextVar("reader of notes", default=None)


def note(text: str) -> None:
    """Tell what is being done from here on."""
    reader = _READER.get()
    if reader is not None:
        reader(text)


@contextmanager
def read_by(reader: Callable[[str], None]) -> Iterator[None]:
    """Have a function called with the notes that are written in the context."""
    before = _READER.set(reader)
    try:
        yield
    finally:
        _READER.reset(before)
