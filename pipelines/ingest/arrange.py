"""From rows as found to rows in time order, closed at the moment the run stands at."""

from dataclasses import dataclass
from datetime import datetime

import pandas as pd

from trading.bars import infer_timeframe
from trading.errors import BarError
from trading.instrument import duration

_LENGTHS = (
    ("w", pd.Timedelta(7, "D")),
    ("d", pd.Timedelta(1, "D")),
    ("h", pd.Timedelta(1, "h")),
    ("m", pd.Timedelta(1, "min")),
)


@dataclass(frozen=True)
class Arranged:
    """Rows in time order.

    Parameters
    ----------
    rows
        As :func:`pipelines.ingest.reader.read_bars` returns them, sorted by ``timestamp`` (NaT last), numbered anew.
    timeframe
        Length of the source's bars, such as ``30m``.
    duplicates_collapsed
        Rows left out because an equal one is there.
    dropped_after_as_of
        Rows left out because their bar had not closed.
    """

    rows: pd.DataFrame
    timeframe: str
    duplicates_collapsed: int
    dropped_after_as_of: int


def arrange(rows: pd.DataFrame, as_of: datetime | None, where: str) -> Arranged:
    """Sort, collapse equal rows, and leave out bars that close later than ``as_of``.

    The timeframe is the most frequent distance between stamps before ``as_of``, so that what a file says about later
    times changes nothing. Rows whose stamp is no time are kept: they cannot be placed, and are never used.

    Raises
    ------
    BarError
        If no bar has closed at ``as_of``, or the distance is no timeframe.
    """
    moment = None if as_of is None else pd.Timestamp(as_of)
    undated = rows["timestamp"].isna()
    kept = rows if moment is None else rows[undated | (rows["timestamp"] < moment)]
    kept = kept.sort_values("timestamp", kind="stable", na_position="last")
    if kept["timestamp"].notna().sum() < 2:
        raise BarError(
            f"{int(kept['timestamp'].notna().sum())} row(s) with a time" + (f" before {moment}" if moment else ""),
            where=where,
            rule="two bars, from which the timeframe is told",
            remedy="give a longer file" + (" or a later as_of" if moment else ""),
        )
    bar = infer_timeframe(pd.DatetimeIndex(kept["timestamp"].dropna()))
    timeframe = spell(bar, where)
    if moment is not None:
        kept = kept[kept["timestamp"].isna() | (kept["timestamp"] + bar <= moment)]
    unique = kept.drop_duplicates(ignore_index=True)
    return Arranged(unique, timeframe, len(kept) - len(unique), len(rows) - len(kept))


def spell(bar: pd.Timedelta, where: str) -> str:
    """A bar length as people write it: ``30m``, ``1h``, ``1d``, ``1w``.

    Raises
    ------
    BarError
        If it is not a whole number of minutes.
    """
    for unit, length in _LENGTHS:
        if bar >= length and bar % length == pd.Timedelta(0):
            return f"{bar // length}{unit}"
    raise BarError(
        f"rows are mostly {bar} apart",
        where=where,
        rule="bars of one or more whole minutes",
        remedy="give bars (candles), not trades or quotes",
    )


def ensure_reachable(source: str, target: str, where: str) -> None:
    """Refuse a target timeframe that the source's bars cannot be put together to.

    Raises
    ------
    BarError
        Naming both timeframes.
    """
    if duration(target) % duration(source) == pd.Timedelta(0):
        return
    finer = duration(target) < duration(source)
    raise BarError(
        f"{target} bars were asked for, but the file's are {source}",
        where=where,
        rule="a target timeframe is the file's own or a whole multiple of it" + (", never finer" if finer else ""),
        remedy=f"ask for {source} or a multiple of it, or give a file of {target} bars",
    )
