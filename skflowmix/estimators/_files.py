"""Estimators in files, and the version that copies by pickle carry."""

from __future__ import annotations

import os
from typing import Any, TypeVar

import numpy as np
import sklearn
import torch
from sklearn.exceptions import InconsistentVersionWarning

from .._version import __version__
from ..files import from_plain, has_function, read_archive, to_plain, write_archive
from ..warn import warn_user

Estimator = TypeVar("Estimator")
_STAMP = "_skflowmix_version"
_OF_OTHERS = frozenset(
    {"_skl_callbacks", "_metadata_request"}
)  # scikit-learn's objects, set anew where they are wanted


def save_estimator(estimator: Any, path: str | os.PathLike) -> None:
    """Write an estimator to a file; see `FlowMixtureDensity.save`."""
    parameters = estimator.get_params(deep=False)
    functions = [name for name, value in parameters.items() if has_function(value)]
    kept = {name: value for name, value in parameters.items() if name not in functions}
    state = {name: value for name, value in vars(estimator).items() if name not in parameters.keys() | _OF_OTHERS}
    metadata = {"class": type(estimator).__name__, "versions": versions()}
    try:
        write_archive(path, metadata, to_plain({"parameters": kept, "state": state}))
    except TypeError as error:
        raise TypeError(f"{type(estimator).__name__} was not saved to {os.fspath(path)!r}: {error}.") from error
    if functions:
        warn_user(
            f"Files hold no functions: in {os.fspath(path)!r} {', '.join(functions)} will have the default, which "
            "changes no prediction, but another fit."
        )


def load_estimator(cls: type[Estimator], path: str | os.PathLike) -> Estimator:
    """Read an estimator that `save_estimator` wrote; see `FlowMixtureDensity.load`."""
    metadata, plain = read_archive(path)
    if metadata.get("class") != cls.__name__:
        raise TypeError(f"{os.fspath(path)!r} holds a {metadata.get('class')}, not a {cls.__name__}.")
    try:
        content = from_plain(plain)
        estimator = cls(**content["parameters"])
        vars(estimator).update(content["state"])
    except Exception as error:
        raise ValueError(
            f"{os.fspath(path)!r}, of skflowmix {metadata['versions']['skflowmix']}, holds what this version does not "
            f"know: {type(error).__name__}: {error}."
        ) from error
    return estimator


def stamped(state: dict[str, Any]) -> dict[str, Any]:
    """The state of a copy by pickle, with the version that made it."""
    return {**state, _STAMP: __version__}


def without_stamp(estimator: Any, state: dict[str, Any]) -> dict[str, Any]:
    """The state without that version; a warning where it is another than this."""
    found = state.get(_STAMP, "0.1.0 or earlier")
    if found != __version__:
        warn_user(_OtherVersion(type(estimator).__name__, found), _OtherVersion)
    return {name: value for name, value in state.items() if name != _STAMP}


class _OtherVersion(InconsistentVersionWarning):
    def __init__(self, estimator_name, found):
        super().__init__(
            estimator_name=estimator_name,
            current_sklearn_version=sklearn.__version__,
            original_sklearn_version=sklearn.__version__,
        )
        self.found = found

    def __str__(self):
        return (
            f"This {self.estimator_name} was pickled by skflowmix {self.found}, and this is {__version__}: it may "
            "answer otherwise or not at all. Files that `save` writes are read by later versions."
        )


def versions() -> dict[str, str]:
    """Of the packages that a file depends on."""
    return {
        "skflowmix": __version__,
        "numpy": np.__version__,
        "scikit-learn": sklearn.__version__,
        "torch": torch.__version__,
    }
