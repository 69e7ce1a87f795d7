"""What a store holds, series by series: the figures behind ``engine data list``."""

from dataclasses import dataclass

from pipelines.store.bar_store import BarStore, Series
from pipelines.store.errors import StoreError, UnknownSeriesError
from pipelines.store.external_store import ExternalStore
from pipelines.store.log import to_text
from trading.instrument import Instrument


@dataclass(frozen=True)
class SeriesSummary:
    """One series of bars.

    Parameters
    ----------
    venue, symbol, timeframe
        Which it is.
    first, last
        Opens of its first and last bar, ISO 8601 in UTC.
    bars
        Bars it has now.
    gaps, missing
        Holes between the first and the last bar, and the bars missing in them.
    corrections
        Observations that a later one replaced.
    files, size
        Files and their bytes.
    fault
        What keeps it from being read; the figures are then empty.
    """

    venue: str
    symbol: str
    timeframe: str
    first: str = ""
    last: str = ""
    bars: int = 0
    gaps: int = 0
    missing: int = 0
    corrections: int = 0
    files: int = 0
    size: int = 0
    fault: str = ""


@dataclass(frozen=True)
class ExternalSummary:
    """One external series; fields as of :class:`SeriesSummary`, times are those of publication."""

    name: str
    first: str = ""
    last: str = ""
    rows: int = 0
    corrections: int = 0
    files: int = 0
    size: int = 0
    fault: str = ""


def summarise(store: BarStore, series: Series) -> SeriesSummary:
    """The figures of a series; a damaged one is described, not refused."""
    names = (series.venue, series.symbol, series.timeframe)
    try:
        log = store.log(series)
        bars = len(store.table(series).read(log, columns=[]))
        gaps = store.gaps(series)
    except StoreError as error:
        return SeriesSummary(*names, fault=error.what)
    return SeriesSummary(
        *names,
        first=to_text(min(entry.first for entry in log.entries)),
        last=to_text(max(entry.last for entry in log.entries)),
        bars=bars,
        gaps=len(gaps),
        missing=int(gaps["missing"].sum()),
        corrections=sum(entry.rows for entry in log.entries) - bars,
        files=len(log.entries),
        size=sum(entry.size for entry in log.entries),
    )


def summarise_external(store: ExternalStore, name: str) -> ExternalSummary:
    """The figures of an external series; a damaged one is described, not refused."""
    try:
        log = store.log(name)
        rows = len(store.table(name).read(log, columns=[]))
    except StoreError as error:
        return ExternalSummary(name, fault=error.what)
    return ExternalSummary(
        name,
        first=to_text(min(entry.first for entry in log.entries)),
        last=to_text(max(entry.last for entry in log.entries)),
        rows=rows,
        corrections=sum(entry.rows for entry in log.entries) - rows,
        files=len(log.entries),
        size=sum(entry.size for entry in log.entries),
    )


def choose(store: BarStore, symbol: str | None, venue: str | None, timeframe: str | None) -> list[Series]:
    """Series of the store that fit what was typed; None fits all.

    Raises
    ------
    UnknownSeriesError
        If none does.
    """
    there = store.folders()
    wanted = None if symbol is None else Instrument.parse(symbol, timeframe or "1m").symbol
    chosen = [
        series
        for series in there
        if wanted in (None, series.symbol)
        and (venue is None or series.venue == venue.strip().lower())
        and timeframe in (None, series.timeframe)
    ]
    if not chosen:
        typed = " ".join(part for part in (venue, wanted, timeframe) if part)
        raise UnknownSeriesError(
            f"no bars of {typed}" if typed else "the store is empty",
            where=str(store.root),
            rule=f"the store holds {', '.join(map(str, there)) or 'nothing'}",
            remedy="choose one of these, or fetch it with `engine data fetch`",
        )
    return chosen


def choose_one(store: BarStore, symbol: str, venue: str | None, timeframe: str | None) -> Series:
    """The one series that fits what was typed.

    Raises
    ------
    UnknownSeriesError
        If none does, or several do.
    """
    chosen = choose(store, symbol, venue, timeframe)
    if len(chosen) > 1:
        raise UnknownSeriesError(
            f"{symbol} names {len(chosen)} series: {', '.join(map(str, chosen))}",
            where=str(store.root),
            rule="one series at a time",
            remedy="add --venue, --timeframe or both",
        )
    return chosen[0]
