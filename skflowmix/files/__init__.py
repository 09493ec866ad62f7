"""Files of fitted estimators: numpy's npz with metadata in JSON, without pickles, and ONNX; no code is in them."""

from .archive import FORMAT, read_archive, write_archive
from .classes import register
from .graph import Answers
from .onnx import write_onnx
from .tree import Plain, from_plain, has_function, to_plain

__all__ = [
    "FORMAT",
    "Answers",
    "Plain",
    "from_plain",
    "has_function",
    "read_archive",
    "register",
    "to_plain",
    "write_archive",
    "write_onnx",
]
