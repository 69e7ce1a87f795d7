"""The Crypto Fear & Greed Index: one number from 0 to 100 a day.

A value bears the midnight (UTC) at which its day begins. It is computed from the 24 hours before that midnight and
shown during the 24 hours after it; nobody records the minute it appears, and it has failed to appear for days. The
declared delay makes up for what the stamp does not say: see ``docs/sentiment.md`` for the measurement.
"""

import re

import pandas as pd

from pipelines.sentiment.cells import PUBLISHED, first_of, moments, numbers, within
from pipelines.sentiment.errors import SeriesError

_STAMPS = (*PUBLISHED, "timestamp", "date", "time", "day", "datetime")
_VALUES = ("value", "fng_value", "fng", "fear_greed", "fear_and_greed", "fear_greed_index", "index", "score")
_DATE = re.compile(r"\s*\d{1,4}[-/.]\d{1,2}[-/.]\d{1,4}\s*")
_ISO = re.compile(r"\s*\d{4}[-/.]\d{1,2}[-/.]\d{1,2}\s*")


def rows(table: pd.DataFrame, where: str) -> pd.DataFrame:
    """Observations of a table.

    Parameters
    ----------
    table
        The API's records (``value``, ``timestamp``), the CSV it wraps into JSON (a date and a number, in columns of any
        order), or a table with one of the usual names for each. Dates are days in UTC.
    where
        File, for the message.

    Returns
    -------
    DataFrame
        ``published_at`` (UTC) and ``value``.

    Raises
    ------
    SeriesError
        If a column is missing, a date could be read in two ways, or a value is no index.
    """
    named = not {"0", "1"} <= set(table.columns)
    stamp, value = (first_of(table, _STAMPS), first_of(table, _VALUES)) if named else _by_content(table)
    if stamp is None or value is None:
        raise SeriesError(
            f"no column for {'the time' if stamp is None else 'the index'}",
            where=f"{where}, columns {', '.join(map(str, table.columns))}",
            rule=f"a time ({', '.join(_STAMPS)}) and a value ({', '.join(_VALUES)})",
            remedy="name the columns published_at and value",
        )
    found = numbers(table[value], f"{where}, column {value}")
    within(found, 0.0, 100.0, "Fear & Greed Index", f"{where}, column {value}", "take the index, not its change")
    return pd.DataFrame({"published_at": _stamps(table[stamp], f"{where}, column {stamp}"), "value": found})


def prepare(values: pd.Series) -> pd.Series:
    """The index in [-1, 1]: extreme fear is -1, extreme greed 1."""
    return (values - 50.0) / 50.0


def _by_content(table: pd.DataFrame) -> tuple[str | None, str | None]:
    """The columns of dates and of numbers in a table without names."""
    text = table.astype("string")
    dates = [str(name) for name in text if text[name].str.fullmatch(_DATE, na=False).all()]
    others = [str(name) for name in text if str(name) not in dates]
    values = [name for name in others if pd.to_numeric(text[name], errors="coerce").notna().all()]
    return next(iter(dates), None), next(iter(values), None)


def _stamps(column: pd.Series, where: str) -> pd.Series:
    if column.dtype.kind == "M" and not isinstance(column.dtype, pd.DatetimeTZDtype):
        days = column.dt.normalize() == column
        return pd.to_datetime(column, utc=True) if days.all() else moments(column, where)
    text = column.astype("string")
    if not text.str.fullmatch(_DATE, na=False).all():
        return moments(column, where)
    text = text.str.strip().str.replace(r"[/.]", "-", regex=True)
    if text.str.fullmatch(_ISO).all():
        return pd.to_datetime(text, format="%Y-%m-%d", utc=True)
    readings = [pd.to_datetime(text, format=form, utc=True, errors="coerce") for form in ("%d-%m-%Y", "%m-%d-%Y")]
    # The API says 02-01-2024 or 01-02-2024 as it was asked to; only one of them puts the days of a file in order.
    right = [days for days in readings if days.notna().all() and _in_order(days)]
    if len(right) != 1:
        raise SeriesError(
            f"dates such as {text.iloc[0]!r} can be read as day first or month first",
            where=where,
            rule="rows in time order that only one reading puts into order, or dates as 2024-01-31",
            remedy="export epochs (the API's default), or dates as 2024-01-31",
        )
    return right[0]


def _in_order(days: pd.Series) -> bool:
    return bool(days.is_monotonic_increasing or days.is_monotonic_decreasing)
