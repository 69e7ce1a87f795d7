"""The only reader and writer of stage files. Every write is atomic: a kill leaves the old file or the new one."""

import hashlib
import json
import shutil
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any
from uuid import uuid4

import numpy as np
import pandas as pd

from trading.errors import StageError, WorkspaceError


class Artifacts:
    """Files of one workspace, named relative to it.

    Parameters
    ----------
    root
        The workspace: the folder that holds ``dvc.yaml``, ``params.yaml`` and ``data/``.
    """

    def __init__(self, root: Path) -> None:
        self.root = root

    def path(self, name: str) -> Path:
        """Absolute path of a file or folder of the workspace."""
        return self.root / name

    def exists(self, name: str) -> bool:
        """Whether the file is there."""
        return self.path(name).exists()

    def read_frame(self, name: str) -> pd.DataFrame:
        """A frame from Parquet.

        Raises
        ------
        StageError
            If the stage that writes it has not run.
        """
        return pd.read_parquet(self._present(name))

    def write_frame(self, name: str, frame: pd.DataFrame) -> Path:
        """Write a frame as Parquet (zstd)."""
        with _atomic(self.path(name)) as temporary:
            frame.to_parquet(temporary, compression="zstd")
        return self.path(name)

    def read_json(self, name: str) -> Any:
        """An object from JSON; raises as :meth:`read_frame`."""
        return json.loads(self._present(name).read_text(encoding="utf-8"))

    def write_json(self, name: str, content: object) -> Path:
        """Write JSON with sorted keys, so that equal content is equal bytes."""
        return self.write_text(name, json_text(content))

    def write_text(self, name: str, text: str) -> Path:
        """Write a text file."""
        with _atomic(self.path(name)) as temporary:
            temporary.write_text(text, encoding="utf-8")
        return self.path(name)

    def write_bytes(self, name: str, content: bytes) -> Path:
        """Write a binary file."""
        with _atomic(self.path(name)) as temporary:
            temporary.write_bytes(content)
        return self.path(name)

    def sha256(self, name: str) -> str:
        """Digest of a file, or of a folder's files in the order of their names."""
        return digest(self._present(name))

    def _present(self, name: str) -> Path:
        path = self.path(name)
        if not path.exists():
            raise StageError(f"{name} is missing", where=str(path), remedy="run `engine run`, or `dvc repro`, first")
        return path


def digest(path: Path) -> str:
    """SHA-256 of a file, or of a folder's files and their names in order."""
    if path.is_dir():
        total = hashlib.sha256()
        for file in sorted(p for p in path.rglob("*") if p.is_file()):
            total.update(f"{file.relative_to(path).as_posix()}\0{digest(file)}\0".encode())
        return total.hexdigest()
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def content_hash(content: object) -> str:
    """SHA-256 of an object's canonical JSON: the identity of a trial, a study or a feature spec."""
    return hashlib.sha256(json_text(content).encode()).hexdigest()


def json_text(content: object) -> str:
    """Canonical JSON: sorted keys, numpy and pandas scalars as plain values, NaN refused in favour of null."""
    return json.dumps(_plain(content), indent=2, sort_keys=True, allow_nan=False) + "\n"


def _plain(value: object) -> object:
    match value:
        case Mapping():
            return {str(key): _plain(item) for key, item in value.items()}
        case list() | tuple() | np.ndarray():
            return [_plain(item) for item in value]
        case pd.Timestamp():
            return value.isoformat()
        case bool() | np.bool_():
            return bool(value)
        case np.integer():
            return int(value)
        case float() | np.floating():
            return float(value) if np.isfinite(value) else None
        case Path():
            return value.as_posix()
        case _:
            return value


class _atomic:  # noqa: N801 - a context manager that reads as a verb
    """Give a temporary neighbour of ``target`` to write to, and rename it into place on success."""

    def __init__(self, target: Path) -> None:
        self.target = target
        self.temporary = target.with_name(f".{target.name}.{uuid4().hex[:8]}.tmp")

    def __enter__(self) -> Path:
        try:
            self.target.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise WorkspaceError(
                f"cannot write {self.target.name}: {error.strerror}",
                where=str(self.target.parent),
                remedy="choose a folder you may write to with ENGINE_STATE",
            ) from error
        return self.temporary

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if kind is None:
            self.temporary.replace(self.target)
            return
        with suppress(OSError):
            shutil.rmtree(self.temporary) if self.temporary.is_dir() else self.temporary.unlink()
        if isinstance(error, PermissionError | OSError) and not isinstance(error, FileNotFoundError):
            raise WorkspaceError(
                f"cannot write {self.target.name}: {error}",
                where=str(self.target.parent),
                remedy="free some space, or choose a folder you may write to with ENGINE_STATE",
            ) from error
