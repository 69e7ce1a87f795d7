"""Rows of bars from one file or a folder of files, as they are: nothing is judged, sorted or repaired here."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd

from pipelines.ingest.columns import match_columns, match_positions
from pipelines.ingest.tables import read_table
from pipelines.ingest.timestamps import parse_stamps
from trading.bars import COLUMNS, infer_timeframe
from trading.errors import BarError

SUFFIXES = (".csv", ".csv.gz", ".txt", ".parquet", ".pq", ".feather", ".arrow")
# Shorter files may consist of gaps and say nothing about their timeframe.
_TELLING = 20


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
        the cell is no time), ``open high low close volume`` and, where the source has it, ``quote_volume`` (float64,
        NaN where the cell is no number), ``fault_text`` (what stood in such cells, else missing).

    Raises
    ------
    BarError
        If a file is missing, empty, binary, damaged or without bars; if a column is missing; if times cannot be read;
        if files of a folder differ in timeframe.
    """
    files = _files(path)
    frames, notes, remarks = [], [], []
    lengths: dict[pd.Timedelta, str] = {}
    for file in files:
        frame, about, said = _read_file(file)
        frames.append(frame)
        notes.append(about)
        remarks += [f"{file.name}: {remark}" for remark in said]
        if len(frame) >= _TELLING:
            lengths.setdefault(infer_timeframe(pd.DatetimeIndex(frame["timestamp"].dropna().sort_values())), file.name)
    if len(lengths) > 1:
        raise BarError(
            "files of several timeframes: " + ", ".join(f"{name} {length}" for length, name in lengths.items()),
            where=str(path),
            rule="one timeframe in one folder",
            remedy="move the files of each timeframe to a folder of their own",
        )
    rows = pd.concat(frames, ignore_index=True)
    if path.is_dir() and (others := sorted(p.name for p in path.iterdir() if p.is_file() and p not in files)):
        remarks.append(f"not read, by their names no bars: {', '.join(others)}")
    order = ["timestamp", *COLUMNS, *(["quote_volume"] if "quote_volume" in rows else []), "fault_text"]
    return rows[order], Notes(tuple(notes), tuple(remarks))


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


def _read_file(path: Path) -> tuple[pd.DataFrame, FileNotes, list[str]]:
    table = read_table(path)
    remarks = list(table.remarks)
    frame = table.frame
    columns: Mapping[str, str | int]
    if table.named:
        frame = frame.set_axis([str(name) for name in frame.columns], axis=1)
        columns = match_columns(list(frame.columns), str(path))
    else:
        columns = match_positions(frame, str(path))
        order = sorted(columns, key=lambda name: columns[name])
        remarks.append(f"no header; taken as {', '.join(order)} from the number of columns and the prices")
    cells = {name: frame[own] for name, own in columns.items()}
    stamps, unit = parse_stamps(cells["timestamp"], f"{path}, column {columns['timestamp']}")
    numbers = {name: _as_numbers(column) for name, column in cells.items() if name != "timestamp"}
    rows = pd.DataFrame({"timestamp": stamps, **numbers})
    rows["fault_text"] = _fault_text(cells, rows)
    return rows, FileNotes(path.name, table.format, len(rows), columns, unit), remarks


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
