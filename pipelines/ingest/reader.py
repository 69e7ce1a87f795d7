"""Rows of bars from one file or a folder of files, as they are: nothing is judged, sorted or repaired here."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd

from pipelines.ingest.columns import match_columns, match_positions
from pipelines.ingest.tables import Table, read_tables
from pipelines.ingest.timestamps import parse_stamps
from pipelines.pieces import PIECE
from trading.bars import COLUMNS, ORDER_FLOW, infer_timeframe
from trading.errors import BarError

SUFFIXES = (".csv", ".csv.gz", ".txt", ".parquet", ".pq", ".feather", ".arrow")
# Shorter files may consist of gaps and say nothing about their timeframe.
_TELLING = 20
_NUMBERS = [*COLUMNS, "quote_volume", *ORDER_FLOW]


@dataclass(frozen=True)
class FileNotes:
    """How one file was read.

    Parameters
    ----------
    name
        File name without its folder.
    format
        ``csv``, ``csv.gz``, ``parquet`` or ``feather``.
    rows
        Rows in the file.
    columns
        Canonical column to the file's name for it, or to its position where the file has no header.
    time_unit
        ``iso``, ``s``, ``ms``, ``us`` or ``ns``.
    """

    name: str
    format: str
    rows: int
    columns: Mapping[str, str | int]
    time_unit: str


@dataclass(frozen=True)
class Notes:
    """How a source was read: its files, and remarks in sentences."""

    files: tuple[FileNotes, ...]
    remarks: tuple[str, ...] = field(default=())


def read_bars(path: Path) -> tuple[pd.DataFrame, Notes]:
    """Rows of a file, or of all files of a folder one after the other.

    Parameters
    ----------
    path
        CSV (also gzipped), Parquet or Feather, or a folder of such files. The format is told by content.

    Returns
    -------
    tuple of DataFrame and Notes
        One row for each row of the source, in the order found, numbered from 0: ``timestamp`` (UTC bar open, NaT where
        the cell is no time), ``open high low close volume`` and, where the source has them, ``quote_volume`` and both
        of ``taker_buy_volume`` and ``trades`` (float64, NaN where the cell is no number), ``fault_text`` (what stood in
        such cells, else missing).

    Raises
    ------
    BarError
        If a file is missing, empty, binary, damaged or without bars; if a column is missing; if times cannot be read;
        if files of a folder differ in timeframe.
    """
    reader = BarReader(path)
    rows = pd.concat(reader.pieces(), ignore_index=True)
    return rows[reader.columns], reader.notes


class BarReader:
    """Reads what :func:`read_bars` reads, in pieces.

    What is told by the cells (times, the order of columns without names) is told by a file's first piece.

    Parameters
    ----------
    path
        As :func:`read_bars`.
    rows
        Most rows of a piece.

    Attributes
    ----------
    columns
        Those of :func:`read_bars`, known when all has been read.
    notes
        How the source was read, known when all has been read.
    """

    def __init__(self, path: Path, rows: int = PIECE) -> None:
        self._path = path
        self._rows = rows
        self.columns: list[str] = []
        self.notes = Notes(())

    def pieces(self) -> Iterator[pd.DataFrame]:
        """Read everything once; raises as :func:`read_bars`.

        Yields
        ------
        DataFrame
            Consecutive rows with every column that rows can have, NaN in those that their file has not.
        """
        files = _files(self._path)
        read = [_File(file) for file in files]
        for file in read:
            yield from file.pieces(self._rows)
        lengths: dict[pd.Timedelta, str] = {}
        for file in read:
            if file.timeframe is not None:
                lengths.setdefault(file.timeframe, file.path.name)
        if len(lengths) > 1:
            raise BarError(
                "files of several timeframes: " + ", ".join(f"{name} {length}" for length, name in lengths.items()),
                where=str(self._path),
                rule="one timeframe in one folder",
                remedy="move the files of each timeframe to a folder of their own",
            )
        remarks = [f"{file.path.name}: {remark}" for file in read for remark in file.remarks]
        left_out, said = _order_flow(read)
        remarks += said
        if self._path.is_dir():
            others = sorted(p.name for p in self._path.iterdir() if p.is_file() and p not in files)
            remarks += [f"not read, by their names no bars: {', '.join(others)}"] if others else []
        notes = [file.notes(left_out) for file in read]
        held = {name for file in notes for name in file.columns}
        self.columns = ["timestamp", *(name for name in _NUMBERS if name in held), "fault_text"]
        self.notes = Notes(tuple(notes), tuple(remarks))


class _File:
    """One file of a source; what it says of itself is known when it has been read."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.remarks: list[str] = []
        self.timeframe: pd.Timedelta | None = None
        self._columns: Mapping[str, str | int] = {}
        self._format = ""
        self._unit: str | None = None
        self._rows = 0
        self._numbers = dict.fromkeys(ORDER_FLOW, 0)

    def pieces(self, rows: int) -> Iterator[pd.DataFrame]:
        """Its rows; see :meth:`BarReader.pieces`."""
        ordered = True
        for table in read_tables(self.path, rows):
            piece = self._piece(table)
            stamps = pd.DatetimeIndex(piece["timestamp"].dropna())
            if not self._rows and len(piece) >= _TELLING:
                self.timeframe = infer_timeframe(stamps.sort_values())
                ordered = stamps.is_monotonic_increasing or stamps.is_monotonic_decreasing
            elif not ordered:
                # The first piece may be scattered over the whole file: neighbours in it are none in the market.
                self.timeframe = None
            self._rows += len(piece)
            yield piece

    @property
    def order_flow(self) -> dict[str, str | int]:
        """Its columns of order flow in which a number stands, by canonical name."""
        return {name: self._columns[name] for name, count in self._numbers.items() if count}

    def notes(self, left_out: Sequence[str]) -> FileNotes:
        """How it was read, but for the columns that are left out."""
        columns = {name: own for name, own in self._columns.items() if name not in left_out}
        return FileNotes(self.path.name, self._format, self._rows, columns, str(self._unit))

    def _piece(self, table: Table) -> pd.DataFrame:
        frame = table.frame
        if table.named:
            frame = frame.set_axis([str(name) for name in frame.columns], axis=1)
        if not self._columns:
            self._format = table.format
            self.remarks += table.remarks
            self._columns = self._match(frame, table.named)
        cells = {name: frame[own] for name, own in self._columns.items()}
        where = f"{self.path}, column {self._columns['timestamp']}"
        stamps, self._unit = parse_stamps(cells["timestamp"], where, self._unit)
        numbers = {name: _as_numbers(cells[name]) if name in cells else np.nan for name in _NUMBERS}
        rows = pd.DataFrame({"timestamp": stamps, **numbers})
        for name in self._numbers:
            self._numbers[name] += int(rows[name].notna().sum())
        rows["fault_text"] = _fault_text(cells, rows)
        return rows

    def _match(self, frame: pd.DataFrame, named: bool) -> Mapping[str, str | int]:
        if named:
            return match_columns(list(frame.columns), str(self.path))
        columns = match_positions(frame, str(self.path))
        order = sorted(columns, key=lambda name: columns[name])
        self.remarks.append(f"no header; taken as {', '.join(order)} from the number of columns and the prices")
        return columns


def _order_flow(files: Sequence[_File]) -> tuple[Sequence[str], list[str]]:
    """Which columns of order flow are left out, and why: bars carry both in every file, or neither."""
    without = [file.path.name for file in files if len(file.order_flow) < len(ORDER_FLOW)]
    if not without:
        return (), []
    remarks = []
    for file in files:
        if len(file.order_flow) == 1:
            [(name, own)] = file.order_flow.items()
            lacking = next(other for other in ORDER_FLOW if other != name)
            remarks.append(f"{file.path.name}: {name} ({own!r}) left out: {lacking} is missing, and bars carry both")
    if len(without) < len(files):
        remarks.append(f"{' and '.join(ORDER_FLOW)} left out: not both are in {', '.join(without)}")
    return ORDER_FLOW, remarks


def _files(path: Path) -> list[Path]:
    if not path.is_dir():
        return [path]
    found = sorted(p for p in path.iterdir() if p.is_file() and p.name.lower().endswith(SUFFIXES))
    if not found:
        raise BarError(
            "the folder holds no file of bars",
            where=str(path),
            rule=f"files that end in {', '.join(SUFFIXES)}",
            remedy="name the folder that the exports are in",
        )
    return [p for p in found if not p.name.startswith(".")]


def _as_numbers(column: pd.Series) -> pd.Series:
    # Booleans are no prices, and neither are dates that happen to convert.
    if column.dtype.kind in "iuf":
        return column.astype("float64")
    if column.dtype.kind in "bM":
        return pd.Series(np.nan, index=column.index, dtype="float64")
    return pd.to_numeric(column, errors="coerce").astype("float64")


def _fault_text(cells: Mapping[str, pd.Series], rows: pd.DataFrame) -> pd.Series:
    """For each row, the cells that hold something unreadable, as ``close='n/a'``; missing where all are read."""
    text = pd.Series(pd.NA, index=rows.index, dtype="string")
    for name, column in cells.items():
        faulty = rows[name].isna() & column.notna()
        if faulty.any():
            said = column[faulty].map(lambda cell, name=name: f"{name}={str(cell)!r}").astype("string")
            text[faulty] = text[faulty].str.cat(said, sep="; ").fillna(said)
    return text
