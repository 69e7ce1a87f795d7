"""Observations asked through DuckDB: the newest of each time, as of any moment, from no file but those it needs."""

from collections.abc import Iterable, Sequence
from itertools import groupby, pairwise
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from pipelines.store.log import Entry, to_text
from pipelines.store.observations import RECORDED

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

# DuckDB would otherwise fetch extensions from the network, and take every core.
_CONFIG: dict[str, str | bool | int | float | list[str]] = {
    "threads": 1,
    "autoinstall_known_extensions": False,
    "autoload_known_extensions": False,
}


def needed(entries: Iterable[Entry], start: int | None, end: int | None, as_of: int | None) -> tuple[Entry, ...]:
    """Files that can hold observations about ``[start, end)`` recorded by ``as_of``; None is no bound."""
    return tuple(
        entry
        for entry in entries
        if (start is None or entry.last >= start)
        and (end is None or entry.first < end)
        and (as_of is None or entry.recorded_first <= as_of)
    )


def newest(
    folder: Path,
    entries: Sequence[Entry],
    key: str,
    columns: Sequence[str],
    start: int | None,
    end: int | None,
    as_of: int | None,
) -> str:
    """SQL of one row for each time: the last observation, of those recorded by ``as_of``.

    Periods in which each time has one observation are read as they are; only the others are ranked.

    Parameters
    ----------
    folder
        The series' folder.
    entries
        What :func:`needed` left, in order of time.
    key
        Name of the column of times.
    columns
        Columns of values asked for; where a file has none of a name, it is NULL.
    start, end, as_of
        Bounds in microseconds since 1970.
    """
    if not entries:
        nulls = ", ".join(f"NULL::DOUBLE AS {_name(name)}" for name in columns)
        return f"SELECT NULL::TIMESTAMPTZ AS {_name(key)}, NULL::TIMESTAMPTZ AS {RECORDED}, {nulls} WHERE false"
    parts = []
    for _, group in groupby(entries, key=lambda entry: entry.period):
        files = list(group)
        rank = f" QUALIFY row_number() OVER (PARTITION BY {_name(key)} ORDER BY {RECORDED} DESC) = 1"
        parts.append(observations(folder, files, key, columns, start, end, as_of) + ("" if _single(files) else rank))
    return "\nUNION ALL ".join(parts)


def observations(
    folder: Path,
    entries: Sequence[Entry],
    key: str,
    columns: Sequence[str],
    start: int | None = None,
    end: int | None = None,
    as_of: int | None = None,
) -> str:
    """SQL of every observation in some files; parameters as of :func:`newest`."""
    there = {name for entry in entries for name in entry.columns}
    values = [_name(name) if name in there else f"NULL::DOUBLE AS {_name(name)}" for name in columns]
    files = ", ".join("'" + str(folder / entry.file).replace("'", "''") + "'" for entry in entries)
    bounds = [
        f"{column} {sign} TIMESTAMPTZ '{to_text(bound)}'"
        for column, sign, bound in ((_name(key), ">=", start), (_name(key), "<", end), (RECORDED, "<=", as_of))
        if bound is not None
    ]
    where = f" WHERE {' AND '.join(bounds)}" if bounds else ""
    # The paths say period=..., which would otherwise become a column.
    source = f"read_parquet([{files}], union_by_name = true, hive_partitioning = false)"
    return f"SELECT {', '.join([_name(key), RECORDED, *values])} FROM {source}{where}"


def without_recorded(sql: str, key: str, columns: Sequence[str]) -> str:
    """SQL of the times and values of a query, without when each was recorded."""
    return f"SELECT {', '.join(map(_name, [key, *columns]))} FROM ({sql})"


def fetch(sql: str, key: str) -> pd.DataFrame:
    """The rows of a query, ordered by time and moment of recording, both in UTC at microseconds."""
    with connect() as connection:
        columns = connection.sql(sql).fetchnumpy()
    frame = pd.DataFrame({name: _column(values) for name, values in columns.items()})
    # Files are read in order of time; only where their times overlap is there anything to sort.
    if (np.diff(pd.DatetimeIndex(frame[key]).asi8) <= 0).any():
        frame = frame.sort_values([key, RECORDED] if RECORDED in frame else [key], kind="stable", ignore_index=True)
    return frame


def connect() -> "DuckDBPyConnection":
    """A database in memory, on one thread, that asks no network for anything."""
    import duckdb

    return duckdb.connect(config=_CONFIG)


def _single(entries: Sequence[Entry]) -> bool:
    """Whether no time can have two observations in these files."""
    in_order = all(left.last < right.first for left, right in pairwise(entries))
    return in_order and all(entry.rows == entry.keys for entry in entries)


def _column(values: np.ndarray) -> pd.Series:
    if values.dtype.kind == "M":
        return pd.Series(pd.DatetimeIndex(np.asarray(values)).as_unit("us").tz_localize("UTC"))
    # NULL comes as a masked value.
    return pd.Series(np.ma.filled(values.astype(np.float64), np.nan))


def _name(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
