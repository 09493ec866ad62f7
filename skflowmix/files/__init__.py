"""Files of fitted estimators: numpy's npz with metadata in JSON, without pickles; reading one runs no code."""

from .archive import FORMAT, read_archive, write_archive
from .classes import register
from .tree import Plain, from_plain, has_function, to_plain

__all__ = ["FORMAT", "Plain", "from_plain", "has_function", "read_archive", "register", "to_plain", "write_archive"]
