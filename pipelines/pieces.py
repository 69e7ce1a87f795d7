"""Frames that come in pieces, so that no more of them has to be held than a piece."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import IO, TYPE_CHECKING

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from trading.errors import WorkspaceError

if TYPE_CHECKING:
    import pyarrow as pa

PIECE = 1 << 17
"""Rows of a piece: 8 MB of bars as they are found, and enough for what a piece costs by itself not to count."""


class Spool:
    """Pieces of a frame on disk, written once and read as often as one likes, one reading at a time.

    The file has no name: however the process ends, nothing is left of it.

    Parameters
    ----------
    folder
        On the disk that has room for the frame.

    Raises
    ------
    WorkspaceError
        If nothing can be written there.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._writer: pa.RecordBatchStreamWriter | None = None
        try:
            self._file: IO[bytes] = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115 - closed when the spool is left
        except OSError as error:
            raise self._full(error) from error

    def __enter__(self) -> Spool:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()

    def write(self, piece: pd.DataFrame) -> None:
        """Add rows, whose columns and types are those of the first piece; raises as the constructor."""
        import pyarrow as pa

        table = arrow_table(piece)
        try:
            if self._writer is None:
                options = pa.ipc.IpcWriteOptions(compression="lz4")
                self._writer = pa.ipc.new_stream(self._file, table.schema, options=options)
            self._writer.write_table(table)
        except OSError as error:
            raise self._full(error) from error

    def read(self, columns: Sequence[str] | None = None) -> Iterator[pd.DataFrame]:
        """Pieces as they were written, or some of their columns; no more can be written then.

        Yields
        ------
        DataFrame
            Each piece that has rows; where none has, the first.
        """
        for table in self._tables(columns):
            yield table.to_pandas()

    def gather(self, columns: Sequence[str]) -> pd.DataFrame:
        """Some columns of the whole frame, numbered from 0; while they are put together, one of them is held twice."""
        whole = {name: pd.concat(part[name] for part in self.read([name])) for name in columns}
        return pd.DataFrame(
            {name: column.reset_index(drop=True) for name, column in whole.items()}, columns=list(columns), copy=False
        )

    def _full(self, error: OSError) -> WorkspaceError:
        return WorkspaceError(
            f"cannot write rows that are to be read again: {error}",
            where=str(self._folder),
            remedy="free some space there, or make the folder writable",
        )

    def _tables(self, columns: Sequence[str] | None) -> Iterator[pa.Table]:
        import pyarrow as pa

        try:
            if self._writer is not None:
                self._writer.close()
            self._file.seek(0)
        except OSError as error:
            raise self._full(error) from error
        schema = pa.ipc.read_schema(self._file)
        fields = None if columns is None else [schema.get_field_index(name) for name in columns]
        self._file.seek(0)
        with pa.ipc.open_stream(self._file, options=pa.ipc.IpcReadOptions(included_fields=fields)) as stream:
            empty = True
            for batch in stream:
                empty = False
                yield _selected(pa.Table.from_batches([batch]), columns)
            if empty:
                yield _selected(stream.schema.empty_table(), columns)


def arrow_table(frame: pd.DataFrame) -> pa.Table:
    """A frame as Arrow has it, in one chunk; a numbering of the rows is left out."""
    import pyarrow as pa

    numbered = isinstance(frame.index, pd.RangeIndex)
    return pa.Table.from_pandas(frame, preserve_index=False if numbered else None).combine_chunks()


def _selected(table: pa.Table, columns: Sequence[str] | None) -> pa.Table:
    """Columns in the order asked for."""
    return table if columns is None else table.select(list(columns))


def regrouped(
    pieces: Iterable[pd.DataFrame], group: Callable[[pd.DataFrame], NDArray[np.int64]]
) -> Iterator[pd.DataFrame]:
    """Cut a frame's pieces anew, so that neighbours of one group are in one piece.

    The rows of a piece's last group wait for the next piece. A single piece stays as it is.

    Parameters
    ----------
    pieces
        Consecutive rows of a frame.
    group
        Gives the n rows of a piece the numbers of their groups.

    Yields
    ------
    DataFrame
        The same rows in the same order, with their index. A frame without rows comes as one piece.
    """
    held: pd.DataFrame | None = None
    for piece in pieces:
        if held is None or not len(held):
            held = piece
        elif len(piece):
            begin = _last_group(group(held))
            if begin:
                yield held.iloc[:begin]
            held = pd.concat([held.iloc[begin:], piece])
    if held is not None:
        yield held


def stamp_numbers(rows: pd.DataFrame) -> NDArray[np.int64]:
    """A number for each value of the column ``timestamp``, for no time as well."""
    numbers: NDArray[np.int64] = pd.DatetimeIndex(rows["timestamp"]).asi8
    return numbers


def _last_group(groups: NDArray[np.int64]) -> int:
    """Where the last group begins."""
    others = np.flatnonzero(groups != groups[-1])
    return int(others[-1]) + 1 if len(others) else 0
