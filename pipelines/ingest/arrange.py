"""From rows as found to rows in time order, closed at the moment the run stands at."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from functools import partial

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pipelines.ingest.reader import BarReader
from pipelines.pieces import PIECE, Spool, regrouped, stamp_numbers
from trading.bars import Distances
from trading.errors import BarError
from trading.instrument import duration

_LENGTHS = (
    ("w", pd.Timedelta(7, "D")),
    ("d", pd.Timedelta(1, "D")),
    ("h", pd.Timedelta(1, "h")),
    ("m", pd.Timedelta(1, "min")),
)


Pieces = Callable[[], Iterable[pd.DataFrame]]
"""Gives the consecutive rows of a frame, each time it is called."""


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
    arrangement = Arrangement(in_time_order(rows), as_of, where)
    kept = pd.concat(arrangement.pieces(), ignore_index=True)
    return Arranged(kept, arrangement.timeframe, arrangement.duplicates_collapsed, arrangement.dropped_after_as_of)


class Arrangement:
    """What :func:`arrange` does, of rows in time order that come in pieces.

    Parameters
    ----------
    rows
        Rows sorted by ``timestamp``, NaT last.
    as_of, where
        As :func:`arrange`, which says what is raised.

    Attributes
    ----------
    timeframe
        Length of the source's bars.
    duplicates_collapsed, dropped_after_as_of
        As in :class:`Arranged`, known when all pieces have been taken.
    """

    def __init__(self, rows: Pieces, as_of: datetime | None, where: str) -> None:
        self._rows = rows
        self._moment = None if as_of is None else pd.Timestamp(as_of)
        distances = Distances()
        for piece in rows():
            stamps = piece["timestamp"].dropna()
            distances.add(pd.DatetimeIndex(stamps if self._moment is None else stamps[stamps < self._moment]))
        if distances.stamps < 2:
            raise BarError(
                f"{distances.stamps} row(s) with a time" + (f" before {self._moment}" if self._moment else ""),
                where=where,
                rule="two bars, from which the timeframe is told",
                remedy="give a longer file" + (" or a later as_of" if self._moment else ""),
            )
        self._bar = distances.timeframe()
        self.timeframe = spell(self._bar, where)
        self.duplicates_collapsed = self.dropped_after_as_of = 0

    def pieces(self) -> Iterator[pd.DataFrame]:
        """Give the rows once."""
        for piece in regrouped(self._closed(), stamp_numbers):
            # Equal rows have equal stamps, so that most pieces need no closer look.
            unique = piece.drop_duplicates() if piece["timestamp"].duplicated().any() else piece
            self.duplicates_collapsed += len(piece) - len(unique)
            yield unique.reset_index(drop=True)

    def _closed(self) -> Iterator[pd.DataFrame]:
        for piece in self._rows():
            stamps = piece["timestamp"]
            closed = piece
            if self._moment is not None:
                closed = piece[stamps.isna() | (stamps + self._bar <= self._moment)]
            self.dropped_after_as_of += len(piece) - len(closed)
            yield closed


class Survey:
    """What rows that come in pieces are like.

    Attributes
    ----------
    rows
        Their number so far.
    first, last
        Earliest and latest stamp; None before there is one.
    in_order
        Whether no stamp came before the one above it, and behind rows without a time none with one.
    """

    def __init__(self) -> None:
        self.rows = 0
        self.first: pd.Timestamp | None = None
        self.last: pd.Timestamp | None = None
        self.in_order = True
        self._above: int | None = None

    def watch(self, pieces: Iterable[pd.DataFrame]) -> Iterator[pd.DataFrame]:
        """Hand on what comes."""
        for piece in pieces:
            at = _sortable(piece)
            if len(at):
                self.in_order &= bool((np.diff(at, prepend=at[0] if self._above is None else self._above) >= 0).all())
                self._above = int(at[-1])
            stamps = piece["timestamp"].dropna()
            if len(stamps):
                first, last = stamps.min(), stamps.max()
                self.first = first if self.first is None else min(self.first, first)
                self.last = last if self.last is None else max(self.last, last)
            self.rows += len(piece)
            yield piece


def spooled(reader: BarReader, spool: Spool) -> tuple[Pieces, list[str]]:
    """A source's rows in time order, which are not held all at once unless they have to be sorted.

    Parameters
    ----------
    reader
        Of the source; is read.
    spool
        Where the rows are put; is read from when the pieces are.

    Returns
    -------
    tuple of Pieces and list of str
        Rows as :class:`Arrangement` takes them, and remarks on how they came into order.
    """
    found = Survey()
    for piece in found.watch(reader.pieces()):
        spool.write(piece)
    if found.in_order:
        return partial(spool.read, reader.columns), []
    said = "rows not in time order: all of them were held in memory to be sorted"
    return in_time_order(spool.gather(reader.columns)), [said] if found.rows > PIECE else []


def in_time_order(rows: pd.DataFrame) -> Pieces:
    """Pieces of the rows sorted by ``timestamp``, rows without one last; equal stamps stay in their order."""
    at = _sortable(rows)
    if (np.diff(at) >= 0).all():
        return lambda: [rows]
    order = np.argsort(at, kind="stable")
    return lambda: (rows.iloc[order[begin : begin + PIECE]] for begin in range(0, len(order), PIECE))


def _sortable(rows: pd.DataFrame) -> NDArray[np.int64]:
    """A number for each stamp by which to sort: no time comes last."""
    at = stamp_numbers(rows)
    return np.where(at == pd.NaT.value, np.iinfo(np.int64).max, at)


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
