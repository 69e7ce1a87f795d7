"""Cells of a table as moments in UTC and as numbers; what cannot be read is refused, not guessed."""

import re
from collections.abc import Sequence

import numpy as np
import pandas as pd

from pipelines.ingest.timestamps import parse_stamps
from pipelines.sentiment.errors import SeriesError
from trading.errors import BarError

PUBLISHED = ("published_at", "publishedat", "published", "published_on", "publication_time", "pubdate", "pub_date")
_OTHER_TIMES = ("timestamp", "datetime", "date", "time", "day", "ts", "created_at")
_RSS = re.compile(r"[A-Za-z]{3}, \d{1,2} [A-Za-z]{3} \d{4} \d{2}:\d{2}:\d{2} (?:GMT|UTC|Z|[+-]\d{4})")
_OFFSET = re.compile(r"(?:Z|UTC|GMT|[+-]\d{2}:?\d{2})\s*$", re.IGNORECASE)


def first_of(table: pd.DataFrame, names: Sequence[str]) -> str | None:
    """The first of some names that the table has."""
    return next((name for name in names if name in table), None)


def published(table: pd.DataFrame, where: str) -> pd.Series:
    """Moments of publication of a table that names them as such.

    Raises
    ------
    SeriesError
        If no column says that it holds them, or as :func:`moments`.
    """
    name = first_of(table, PUBLISHED)
    if name is None:
        others = [column for column in table if column in _OTHER_TIMES]
        raise SeriesError(
            "no column says when values became public",
            where=f"{where}, columns {', '.join(map(str, table.columns))}",
            rule="a column published_at: a value may not be used before it, and its event's time says nothing about it",
            remedy=f"rename {others[0]} to published_at if it is the time of publication, else add that time"
            if others
            else "add published_at",
        )
    return moments(table[name], f"{where}, column {name}")


def moments(column: pd.Series, where: str) -> pd.Series:
    """Stamps as times in UTC.

    Parameters
    ----------
    column
        Times with a zone, text in ISO 8601 with an offset or as RSS writes it, or epochs.
    where
        File and column, for the message.

    Raises
    ------
    SeriesError
        If a stamp names no offset, or is no time.
    """
    naive = pd.Series(False, index=column.index)
    if isinstance(column.dtype, pd.DatetimeTZDtype):
        pass
    elif column.dtype.kind == "M":
        naive[:] = True
    elif column.dtype.kind not in "iuf":
        text = column.astype("string").str.strip()
        naive = text.notna() & pd.to_numeric(text, errors="coerce").isna() & ~text.str.contains(_OFFSET, na=False)
        column = text
    if naive.any():
        raise SeriesError(
            f"{int(naive.sum())} of {len(column)} stamps name no offset, the first is {str(column[naive].iloc[0])!r}",
            where=where,
            rule="a moment of publication is worth nothing if it may be hours off",
            remedy="write stamps in UTC as 2024-01-31T13:00:00+00:00, or as epochs",
        )
    stamps = _parsed(column, where)
    if (wrong := stamps.isna()).any():
        raise SeriesError(
            f"{int(wrong.sum())} of {len(stamps)} stamps are no times, the first in row {int(wrong.argmax()) + 1}",
            where=where,
            rule="every row has the moment of its publication",
            remedy="delete these rows, or write their stamps",
        )
    return stamps


def _parsed(column: pd.Series, where: str) -> pd.Series:
    if column.dtype == "string" and column.str.fullmatch(_RSS, na=False).all():
        text = column.str.replace(r"(?:GMT|UTC|Z)$", "+0000", regex=True)
        return pd.to_datetime(text, format="%a, %d %b %Y %H:%M:%S %z", utc=True, errors="coerce")
    try:
        return parse_stamps(column, where)[0]
    except BarError as error:
        raise SeriesError(error.what, where=error.where, rule=error.rule, remedy=error.remedy) from error


def numbers(column: pd.Series, where: str) -> pd.Series:
    """Cells as float64; NaN where they are empty.

    Raises
    ------
    SeriesError
        If a cell is neither empty nor a finite number, or all are empty.
    """
    text = column.astype("string").str.strip()
    found = pd.to_numeric(text, errors="coerce").astype("float64")
    wrong = (found.isna() & text.notna() & ~text.str.lower().isin(["", "nan", "null", "none"])) | np.isinf(found)
    if wrong.any():
        raise SeriesError(
            f"{int(wrong.sum())} of {len(column)} values are no numbers, the first is {str(column[wrong].iloc[0])!r}",
            where=where,
            rule="a finite number, or an empty cell where nothing is known",
            remedy="mend these cells",
        )
    if found.isna().all():
        raise SeriesError(
            f"all {len(column)} values are missing",
            where=where,
            rule="a series has values; without any it is left out",
            remedy="export the series again, or take its file out of the context folder",
        )
    return found


def within(values: pd.Series, low: float, high: float, what: str, where: str, remedy: str) -> None:
    """Refuse values outside of what the series can be.

    Raises
    ------
    SeriesError
        If there are any.
    """
    wrong = (values < low) | (values > high)
    if wrong.any():
        raise SeriesError(
            f"{int(wrong.sum())} of {len(values)} values are no {what}, the first is {values[wrong].iloc[0]:g}",
            where=where,
            rule=f"from {low:g} to {high:g}",
            remedy=remedy,
        )
