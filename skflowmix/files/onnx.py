"""Fitted mixtures in files of ONNX, which other programs read and evaluate without torch or this package."""

from __future__ import annotations

import importlib
import json
import logging
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch

from .graph import Answers, program_of
from .whole import whole_file

_REQUIRED = ("onnx", "onnxscript", "onnxruntime")
_ROWS, _ANSWERS = "X", ("log_density", "probabilities")
_ALLOWED_ERROR = 1e-6
_one_at_a_time = threading.Lock()


def write_onnx(path: str | os.PathLike, answers: Answers, metadata: dict[str, Any]) -> None:
    """Write a file of input "X" and outputs "log_density" and "probabilities", all in double precision.

    Parameters
    ----------
    path : str or path-like
    answers : Answers
    metadata : dict of str to what JSON holds

    Raises
    ------
    ImportError
        If a package is missing that this takes.
    ValueError
        If ONNX cannot express the mixture.
    """
    for name in _REQUIRED:
        try:
            importlib.import_module(name)
        except ImportError as error:
            raise ImportError(f"to_onnx requires {name}: pip install 'skflowmix[onnx]'.") from error
    try:
        with _one_at_a_time, _less_noise():
            content = _content(answers, metadata)
            _check(content, answers)
    except Exception as error:
        raise ValueError(
            f"{os.fspath(path)!r} was not written, as ONNX cannot express the mixture: {_reason(error)}. All flows "
            "with a name can be written, and transforms of your own that take elementary functions and products of "
            "matrices, the same for all numbers."
        ) from error
    with whole_file(path) as file:
        file.write(content)


def _content(answers, metadata):
    rows: Any = ({0: "n_samples"},)
    written: Any = torch.onnx.export(
        program_of(answers), input_names=[_ROWS], output_names=_ANSWERS, dynamic_shapes=rows, dynamo=True, verbose=False
    )
    for node in written.model.graph:
        node.metadata_props.clear()  # in whose folders the code stands
    written.model.metadata_props.update({name: json.dumps(value, default=str) for name, value in metadata.items()})
    return written.model_proto.SerializeToString()


def _check(content, answers):
    """Raise a ValueError where a runtime has other answers, and what it raises where it has none."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    scaler = answers.scaler
    rows = scaler["center"] + scaler["limit"] * torch.linspace(-0.5, 0.5, 5, dtype=torch.float64)[:, None]
    with torch.no_grad():
        expected = answers(rows)
    found = onnxruntime.InferenceSession(content, options).run(_ANSWERS, {_ROWS: rows.numpy()})
    if not all(map(lambda one, other: np.allclose(one, other, _ALLOWED_ERROR, _ALLOWED_ERROR), found, expected)):
        raise ValueError("its answers were others")


def _reason(error):
    """The first line of the error that all others follow from."""
    while error.__cause__ is not None:
        error = error.__cause__
    return f"{type(error).__name__}: {str(error).partition(chr(10))[0].rstrip('.')}"


@contextmanager
def _less_noise() -> Iterator[None]:
    """Without torch's word on packages that nothing here needs."""
    logger = logging.getLogger("torch.onnx")
    before = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(before)
