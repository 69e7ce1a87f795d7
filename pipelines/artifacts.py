"""The only reader and writer of stage files. Every write is atomic: a kill leaves the old file or the new one."""

import hashlib
import json
import shutil
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from itertools import chain
from pathlib import Path
from typing import Any
from uuid import uuid4

import numpy as np
import pandas as pd

from pipelines.pieces import PIECE, Spool, arrow_table
from trading.errors import StageError, WorkspaceError

_BUFFER = 1 << 20


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

    def read_frames(self, name: str, rows: int = PIECE) -> Iterator[pd.DataFrame]:
        """A frame from Parquet in pieces of ``rows`` rows, one at least; raises as :meth:`read_frame`."""
        import pyarrow as pa
        import pyarrow.parquet as pq

        # With a buffer a column is read bit by bit, and not as much of it as there is in a group of rows.
        with pq.ParquetFile(self._present(name), buffer_size=_BUFFER) as file:
            for batch in file.iter_batches(rows):
                yield pa.Table.from_batches([batch]).to_pandas()
            if not file.metadata.num_rows:
                yield file.schema_arrow.empty_table().to_pandas()

    def read_index(self, name: str) -> pd.DatetimeIndex:
        """The stamps of a frame that has them as its index, without its columns; raises as :meth:`read_frame`."""
        return pd.DatetimeIndex(pd.read_parquet(self._present(name), columns=[]).index)

    def count_rows(self, name: str) -> int:
        """Rows of a frame, without reading them; raises as :meth:`read_frame`."""
        import pyarrow.parquet as pq

        return int(pq.read_metadata(self._present(name)).num_rows)

    def columns(self, name: str) -> list[str]:
        """Columns of a frame, without reading its rows; raises as :meth:`read_frame`."""
        import pyarrow.parquet as pq

        schema = pq.read_schema(self._present(name))
        index = schema.pandas_metadata["index_columns"] if schema.pandas_metadata else []
        return [column for column in schema.names if column not in index]

    def write_frame(self, name: str, frame: pd.DataFrame) -> Path:
        """Write a frame as Parquet (zstd)."""
        with _atomic(self.path(name)) as temporary:
            frame.to_parquet(temporary, compression="zstd")
        return self.path(name)

    def write_frames(self, name: str, pieces: Iterable[pd.DataFrame]) -> Path:
        """Write a frame that comes in pieces as :meth:`write_frame` would write it whole, a group of rows for each.

        Parameters
        ----------
        name
            Of the file, which is put into place when all pieces are in it.
        pieces
            Consecutive rows, one piece at least. A numbering of the rows is not stored.
        """
        import pyarrow.parquet as pq

        tables = map(arrow_table, pieces)
        first = next(tables)
        with (
            _atomic(self.path(name)) as temporary,
            pq.ParquetWriter(temporary, first.schema, compression="zstd") as writer,
        ):
            for table in chain([first], tables):
                writer.write_table(table, row_group_size=max(len(table), 1))
        return self.path(name)

    def spool(self) -> Spool:
        """Room for a frame that is read again before it is known how it is to be written."""
        return Spool(self.root)

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
