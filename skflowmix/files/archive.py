"""The file: an npz archive that numpy opens, with a checksum."""

from __future__ import annotations

import hashlib
import io
import json
import os
import zipfile
from pathlib import Path
from typing import Any

import numpy as np

from .tree import Plain
from .whole import whole_file

FORMAT = 1
_METADATA, _CHECKSUM = "metadata.npy", "checksum.npy"


def write_archive(path: str | os.PathLike, metadata: dict[str, Any], plain: Plain) -> None:
    """Write a file; until it is whole, and if that fails, what was there before stays.

    Parameters
    ----------
    path : str or path-like
    metadata : dict
        What JSON holds; the format and the plain data's root are added.
    plain : Plain
    """
    text = json.dumps({"format": FORMAT, **metadata, "root": plain.root})
    members = {_METADATA: _bytes_of(np.frombuffer(text.encode(), dtype=np.uint8))}
    members |= {f"array_{i}.npy": _bytes_of(array) for i, array in enumerate(plain.arrays)}
    members[_CHECKSUM] = _bytes_of(_checksum(members))
    with whole_file(path) as file, zipfile.ZipFile(file, "w") as archive:
        for name, content in members.items():
            archive.writestr(zipfile.ZipInfo(name), content)


def read_archive(path: str | os.PathLike) -> tuple[dict[str, Any], Plain]:
    """Read a file that `write_archive` wrote: its metadata, and the plain data.

    Raises
    ------
    OSError
        If there is no file that can be read.
    ValueError
        If it is damaged, of a later format, or something else.
    """
    content = Path(path).read_bytes()
    try:
        metadata, plain = _parse(content)
        found, version = metadata["format"], metadata["versions"]["skflowmix"]
    except Exception as error:
        what = "a pickle" if content[:1] == b"\x80" else "damaged, or something else"
        raise ValueError(f"{os.fspath(path)!r} is no file that `save` wrote, but {what}: {error}.") from error
    if found != FORMAT:
        raise ValueError(
            f"{os.fspath(path)!r} has format {found}, of skflowmix {version}; this version reads format {FORMAT}."
        )
    return metadata, plain


def _parse(content):
    members = _members_of(content)
    if members.pop(_CHECKSUM) != _bytes_of(_checksum(members)):
        raise ValueError("its checksum is another")
    metadata = json.loads(_array_of(members.pop(_METADATA)).tobytes())
    arrays = [_array_of(members[f"array_{i}.npy"]) for i in range(len(members))]
    return metadata, Plain(metadata.pop("root"), arrays)


def _members_of(content):
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        if any(member.compress_type != zipfile.ZIP_STORED for member in archive.infolist()):
            raise ValueError("its members are compressed")
        return {member.filename: archive.read(member) for member in archive.infolist()}


def _checksum(members):
    digest = hashlib.sha256()
    for name in sorted(members):
        digest.update(f"{name} {len(members[name])} ".encode())
        digest.update(members[name])
    return np.frombuffer(digest.digest(), dtype=np.uint8)


def _bytes_of(array):
    content = io.BytesIO()
    np.lib.format.write_array(content, array, allow_pickle=False)
    return content.getvalue()


def _array_of(content):
    return np.lib.format.read_array(io.BytesIO(content), allow_pickle=False)
