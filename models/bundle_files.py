"""Files of a bundle: written whole, read against their digests."""

import hashlib
import json
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from uuid import uuid4

import numpy as np
import pandas as pd

from trading.errors import ModelError


def checked(path: Path, sha256: str) -> bytes:
    """Content of a file.

    Raises
    ------
    ModelError
        If it cannot be read, or is not what the digest was taken of.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise ModelError(f"{path.name} cannot be read: {error}", where=str(path), remedy="train again") from error
    if sha256_of(content) != sha256:
        raise ModelError(
            f"{path.name} is not the file that was written",
            where=str(path),
            rule=f"SHA-256 {sha256}, as its spec says",
            remedy="fetch the bundle again, or train again",
        )
    return content


def require_keys(mapping: Mapping[str, Any], keys: Sequence[str], *, where: str) -> None:
    """Hold a spec, or a part of it, against what it must say.

    Raises
    ------
    ModelError
        Naming the first key that is missing.
    """
    if missing := [key for key in keys if key not in mapping]:
        raise ModelError(
            f"{missing[0]!r} is missing from the spec", where=where, rule="a complete spec", remedy="add it"
        )


def put_in_place(temporary: Path, folder: Path) -> None:
    """Put a finished folder in the place of an older one; between the two renames there is none, never a mixture."""
    old = folder.with_name(f".{folder.name}.{uuid4().hex[:8]}.old.tmp")
    if folder.exists():
        folder.replace(old)
    temporary.replace(folder)
    shutil.rmtree(old, ignore_errors=True)


def as_json(content: Mapping[str, Any], *, where: str) -> str:
    """A spec as text: plain values, numpy scalars, timestamps and paths.

    Raises
    ------
    ModelError
        If it holds anything else, or a number that is not finite.
    """
    try:
        return json.dumps(content, indent=2, sort_keys=True, allow_nan=False, default=_plain) + "\n"
    except (TypeError, ValueError) as error:
        raise ModelError(
            f"the spec is not JSON: {error}", where=where, rule="plain, finite values", remedy="convert the value"
        ) from error


def sha256_of(content: bytes) -> str:
    """SHA-256, in hexadecimal."""
    return hashlib.sha256(content).hexdigest()


def _plain(value: object) -> object:
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, pd.Timestamp):
        return value.isoformat()
    if isinstance(value, Path):
        return value.as_posix()
    raise TypeError(f"{type(value).__name__} {value!r}")
