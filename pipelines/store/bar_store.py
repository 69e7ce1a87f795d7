"""Bars of every series, as they were recorded.

Layout below the root::

    bars/venue=binance/symbol=BTC-USDT/timeframe=1m/log.json
    bars/venue=binance/symbol=BTC-USDT/timeframe=1m/period=2024-01/0b5c….parquet

A period is a month for bars shorter than an hour, else a year.
"""

import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from pipelines.store import query
from pipelines.store.errors import StoreError, UnknownSeriesError
from pipelines.store.log import Entry, Log
from pipelines.store.moments import from_micros, micros, utc, utc_or_none
from pipelines.store.observations import Appended
from pipelines.store.shape import shaped_bars
from pipelines.store.table import Table
from trading.errors import EngineError
from trading.instrument import Instrument, duration

KEY = "timestamp"
_VENUE = re.compile(r"[a-z0-9][a-z0-9_]*")


@dataclass(frozen=True, order=True, slots=True)
class Series:
    """Bars of a symbol on a venue at a timeframe.

    Parameters
    ----------
    venue
        Name of an exchange as ccxt spells it, such as ``binance``.
    symbol
        Unified symbol such as ``BTC/USDT`` or ``BTC/USDT:USDT``; :meth:`parse` accepts slugs as well.
    timeframe
        Bar length such as ``1m``.
    """

    venue: str
    symbol: str
    timeframe: str

    def __post_init__(self) -> None:
        if not _VENUE.fullmatch(self.venue):
            raise StoreError(
                f"unknown venue {self.venue!r}",
                rule="small letters, digits and _",
                remedy="write it as ccxt does, such as binance or kraken",
            )
        Instrument(self.symbol, self.timeframe)

    @classmethod
    def parse(cls, venue: str, symbol: str, timeframe: str) -> "Series":
        """Accept a symbol or its slug, in any case."""
        instrument = Instrument.parse(symbol, timeframe)
        return cls(venue.strip().lower(), instrument.symbol, instrument.timeframe)

    @property
    def instrument(self) -> Instrument:
        """What is traded, wherever."""
        return Instrument(self.symbol, self.timeframe)

    @property
    def bar(self) -> pd.Timedelta:
        """Length of one bar."""
        return duration(self.timeframe)

    @property
    def folder(self) -> Path:
        """Folder of the series below the root of a store: all that a run on this series depends on."""
        slug = self.instrument.slug
        return Path("bars") / f"venue={self.venue}" / f"symbol={slug}" / f"timeframe={self.timeframe}"

    def __str__(self) -> str:
        return f"{self.venue} {self.symbol} {self.timeframe}"


class BarStore:
    """Bars of many series in one folder.

    Parameters
    ----------
    root
        The folder; it is made by the first append.
    """

    def __init__(self, root: Path) -> None:
        self.root = Path(root)

    def append(self, series: Series, bars: pd.DataFrame, recorded_at: pd.Timestamp) -> Appended:
        """Store closed bars. Calling it again with the same bars changes nothing; other processes may append as well.

        A bar whose values differ from those stored is a correction: it becomes current, and the older one is kept with
        when it was recorded. A bar recorded earlier than what is stored takes its place in the past.

        Parameters
        ----------
        series
            Where they belong.
        bars
            Bars as of the contract: strictly increasing index ``timestamp`` (UTC, open), finite float columns
            ``open high low close volume``, and any of ``quote_volume trades taker_buy_volume funding_rate``, whose NaN
            means unknown.
        recorded_at
            When they were received, in UTC: not before the last of them closed.

        Returns
        -------
        Appended
            How many bars were added, unchanged and corrected.

        Raises
        ------
        BarError
            If the bars do not have this shape, or one of them was not closed when it was recorded.
        StoreError
            If they cannot be written, or compared with what is stored.
        """
        moment = utc(recorded_at, "recorded_at")
        return self.table(series).append(shaped_bars(str(series), series.timeframe, bars, moment), moment)

    def read(
        self,
        series: Series,
        start: pd.Timestamp | None = None,
        end: pd.Timestamp | None = None,
        as_of: pd.Timestamp | None = None,
    ) -> pd.DataFrame:
        """Bars that open in ``[start, end)``; only files that can hold such bars are read.

        Parameters
        ----------
        series
            Which.
        start, end
            Opens in UTC; None is no bound.
        as_of
            Use only what was recorded by then. A history that was fetched today was recorded today, whatever it is
            about: to leave out later bars, say ``end``.

        Returns
        -------
        DataFrame
            Index ``timestamp`` (UTC, open), float columns ``open high low close volume``, and those of the optional
            ones that any bar of the series has, NaN where unknown.

        Raises
        ------
        UnknownSeriesError
            If nothing is stored of this series.
        DamagedStoreError
            If a file that is needed is not whole.
        """
        bounds = utc_or_none(start, "start"), utc_or_none(end, "end"), utc_or_none(as_of, "as_of")
        return self.table(series).read(self.log(series), *bounds)

    def chunks(
        self,
        series: Series,
        start: pd.Timestamp | None = None,
        end: pd.Timestamp | None = None,
        as_of: pd.Timestamp | None = None,
    ) -> Iterator[pd.DataFrame]:
        """What :meth:`read` returns, a period at a time: memory for one month or year, however long the history is."""
        log, table = self.log(series), self.table(series)
        low, high, moment = utc_or_none(start, "start"), utc_or_none(end, "end"), utc_or_none(as_of, "as_of")
        for first, after in _stretches(log):
            lower, upper = first if low is None else max(low, first), after if high is None else min(high, after)
            if lower < upper and len(chunk := table.read(log, lower, upper, moment)):
                yield chunk

    def last(self, series: Series) -> pd.Timestamp | None:
        """Open of the newest bar; None where nothing is stored. Reads the log only."""
        log = self.table(series).log()
        if log is None or not log.entries:
            return None
        return from_micros(max(entry.last for entry in log.entries))

    def series(self) -> list[Series]:
        """Every series that has bars, in order of venue, symbol and timeframe.

        Raises
        ------
        DamagedStoreError
            If a log cannot be read.
        """
        return [series for series in self.folders() if self.last(series) is not None]

    def folders(self) -> list[Series]:
        """Every series that has a folder, though it may hold nothing, or a damaged log."""
        found = []
        for path in self.root.glob("bars/venue=*/symbol=*/timeframe=*"):
            venue, symbol, timeframe = (part.split("=", 1)[1] for part in path.parts[-3:])
            # DVC's files lie beside the folders, and other people's folders are theirs.
            with suppress(EngineError):
                if path.is_dir():
                    found.append(Series.parse(venue, symbol, timeframe))
        return sorted(found)

    def corrections(self, series: Series) -> pd.DataFrame:
        """Every observation of the bars that were corrected, in order of bar and of recording.

        Returns
        -------
        DataFrame
            Index ``timestamp`` (repeated: once for each observation), ``recorded_at``, the columns of the bars, and
            ``current``: whether :meth:`read` returns it.
        """
        table = self.table(series)

        def ask(log: Log) -> pd.DataFrame:
            overlapping = [entry for entry in log.entries if _repeats(entry, log)]
            for entry in overlapping:
                table.whole(entry)
            columns = log.columns
            if not overlapping:
                return query.fetch(query.newest(table.folder, [], KEY, columns, None, None, None), KEY)
            every = query.observations(table.folder, overlapping, KEY, columns)
            return query.fetch(f"{every} QUALIFY count(*) OVER (PARTITION BY {KEY}) > 1", KEY)

        found = table.reading(self.log(series), ask)
        found["current"] = ~found[KEY].duplicated(keep="last")
        return found.set_index(KEY)

    def gaps(self, series: Series) -> pd.DataFrame:
        """Holes between the first and the last bar.

        Returns
        -------
        DataFrame
            One row a hole, in order of time: ``start`` (open of the first missing bar), ``end`` (open of the bar after
            the hole), both in UTC, and ``missing`` (number of bars).
        """
        stamps = pd.DatetimeIndex(self.table(series).read(self.log(series), columns=[]).index)
        bar = series.bar
        missing = np.diff(stamps.asi8) // micros(bar) - 1
        holes = np.flatnonzero(missing > 0)
        return pd.DataFrame(
            {"start": stamps[holes] + bar, "end": stamps[holes + 1], "missing": missing[holes].astype(np.int64)}
        )

    def sql(self, series: Series, as_of: pd.Timestamp | None = None) -> str:
        """The series as a SELECT for any DuckDB session: ``timestamp``, ``recorded_at`` and the columns of the bars.

        It names the files of this moment. A writer may merge them into others later: ask anew for each session.
        """
        log, table = self.log(series), self.table(series)
        moment = None if as_of is None else micros(utc(as_of, "as_of"))
        entries = query.needed(log.entries, None, None, moment)
        return query.newest(table.folder.resolve(), entries, KEY, log.columns, None, None, moment)

    def log(self, series: Series) -> Log:
        """The log of a series that has bars; raises as :meth:`read` does."""
        log = self.table(series).log()
        if log is None or not log.entries:
            there = ", ".join(str(one) for one in self.folders()) or "nothing"
            raise UnknownSeriesError(
                f"no bars of {series}",
                where=str(self.root),
                rule=f"the store holds {there}",
                remedy="choose one of these, or fetch it with `engine data fetch`",
            )
        return log

    def table(self, series: Series) -> Table:
        """The files of a series."""
        return Table(
            folder=self.root / series.folder,
            lock=self.root / ".locks" / f"{series.venue}_{series.instrument.name}.lock",
            key=KEY,
            about={"kind": "bars", "venue": series.venue, "symbol": series.symbol, "timeframe": series.timeframe},
            resolution="M" if series.bar < pd.Timedelta(hours=1) else "Y",
        )


def _stretches(log: Log) -> list[tuple[pd.Timestamp, pd.Timestamp]]:
    """First moment of each period that has files, and of the period after it, in order."""
    names = sorted({entry.period.split("=", 1)[1] for entry in log.entries})
    spans = [pd.Period(name) for name in names]
    return [(_start(span), _start(span + 1)) for span in spans]


def _start(span: pd.Period) -> pd.Timestamp:
    return utc(span.start_time.tz_localize("UTC"), "period")


def _repeats(entry: Entry, log: Log) -> bool:
    """Whether a file can hold a time twice, or one that another file has as well."""
    return entry.rows > entry.keys or any(
        entry.first <= other.last and other.first <= entry.last for other in log.entries if other is not entry
    )
