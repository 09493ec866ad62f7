"""Estimators of mixtures in files that other programs evaluate."""

from __future__ import annotations

import os
from typing import Any

import numpy as np

from ..bridge import undisturbed
from ..files import Answers, write_onnx
from ._files import versions


def to_onnx(self: Any, path: str | os.PathLike) -> None:
    """Write the density and the probabilities to a file of ONNX, for programs without torch or this package.

    Its input is "X", any number of rows in the units of the fit, in double precision. Its outputs are "log_density",
    as of `score_samples`, and "probabilities", as of `predict_proba`. The metadata have the learned ``classes``, in
    JSON. Nothing in the file looks for values that are missing: those give NaN.

    Before it is put in its place it is tried by onnxruntime. Until then, and if that fails, what was there stays.

    Parameters
    ----------
    path : str or path-like

    Raises
    ------
    ImportError
        If onnx, onnxscript or onnxruntime is missing; ``pip install 'skflowmix[onnx]'``.
    ValueError
        If `flow` is a function that makes what ONNX cannot express.
    """
    fitted = self._fitted
    of_component, classes = fitted.plan.component_class, fitted.classes.tolist()
    columns = of_component if self._recipe.tells_classes else np.arange(len(of_component))
    metadata = {"class": type(self).__name__, "classes": classes, "versions": versions()}
    with undisturbed():
        write_onnx(path, Answers(fitted, columns), metadata)
