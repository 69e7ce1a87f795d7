"""Bars of the store as a file of their own: CSV, Parquet or Feather, a chunk at a time, whole or not at all."""

import gzip
import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path
from typing import IO
from uuid import uuid4

import pandas as pd

from pipelines.store.durable import sync_folder
from pipelines.store.errors import StoreError

Writer = Callable[[pd.DataFrame], None]


def export(chunks: Iterator[pd.DataFrame], path: Path) -> int:
    """Write frames one after the other to a file in the format that its name says.

    Parameters
    ----------
    chunks
        Frames with the same columns and a named index of times, in order.
    path
        Name that ends in ``.csv``, ``.csv.gz``, ``.parquet`` or ``.feather``. An old file is replaced at the end.

    Returns
    -------
    int
        Number of rows.

    Raises
    ------
    StoreError
        If there are no rows, the name has another ending, or the file cannot be written.
    """
    name = path.name.lower()
    opened = next((opened for suffix, opened in _FORMATS.items() if name.endswith(suffix)), None)
    if opened is None:
        raise StoreError(
            f"cannot tell the format of {path.name}",
            where=str(path),
            rule=f"a name that ends in {', '.join(_FORMATS)}",
            remedy="add one of these endings",
        )
    first = next(chunks, None)
    if first is None:
        raise StoreError(
            "there are no bars to export", where=str(path), remedy="ask for a time that `engine data list` shows"
        )
    temporary = path.with_name(f".{path.name}.{uuid4().hex[:8]}.tmp")
    rows = 0
    try:
        with temporary.open("wb") as stream:
            with opened(stream, first) as write:
                for chunk in _again(first, chunks):
                    write(chunk)
                    rows += len(chunk)
            stream.flush()
            os.fsync(stream.fileno())
        temporary.replace(path)
        sync_folder(path.parent)
    except OSError as error:
        raise StoreError(
            f"cannot write {path.name}: {error.strerror or error}",
            where=str(path.parent),
            rule="a folder that is there and that this user may write to",
            remedy="make the folder, free some space, or name another file",
        ) from error
    finally:
        with suppress(OSError):
            temporary.unlink()
    return rows


def _again(first: pd.DataFrame, rest: Iterator[pd.DataFrame]) -> Iterator[pd.DataFrame]:
    yield first
    yield from rest


@contextmanager
def _csv(stream: IO[bytes], first: pd.DataFrame) -> Iterator[Writer]:
    def write(chunk: pd.DataFrame) -> None:
        stamps = pd.DatetimeIndex(chunk.index).strftime("%Y-%m-%dT%H:%M:%S+00:00").rename(first.index.name)
        stream.write(chunk.set_axis(stamps).to_csv(header=chunk is first, lineterminator="\n").encode())

    yield write


@contextmanager
def _csv_gz(stream: IO[bytes], first: pd.DataFrame) -> Iterator[Writer]:
    # Without a time in its header, equal bars are equal bytes.
    with gzip.GzipFile(fileobj=stream, mode="wb", filename="", mtime=0) as packed, _csv(packed, first) as write:  # type: ignore[arg-type]
        yield write


@contextmanager
def _parquet(stream: IO[bytes], first: pd.DataFrame) -> Iterator[Writer]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    schema = pa.Table.from_pandas(first).schema
    with pq.ParquetWriter(stream, schema, compression="zstd") as file:
        yield lambda chunk: file.write_table(pa.Table.from_pandas(chunk, schema=schema))


@contextmanager
def _feather(stream: IO[bytes], first: pd.DataFrame) -> Iterator[Writer]:
    import pyarrow as pa

    # Feather keeps no index.
    schema = pa.Table.from_pandas(first.reset_index(), preserve_index=False).schema
    options = pa.ipc.IpcWriteOptions(compression="zstd")
    with pa.ipc.new_file(stream, schema, options=options) as file:
        yield lambda chunk: file.write_table(pa.Table.from_pandas(chunk.reset_index(), schema, preserve_index=False))


_FORMATS: dict[str, Callable[[IO[bytes], pd.DataFrame], AbstractContextManager[Writer]]] = {
    ".csv": _csv,
    ".csv.gz": _csv_gz,
    ".parquet": _parquet,
    ".feather": _feather,
}
