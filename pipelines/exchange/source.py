"""An exchange as a run's source: ``exchange:kraken`` in ``run.yaml`` means the stored bars of that exchange.

A run reads a file below its workspace, whose content DVC knows; so the stored series is written there, and only when it
says something else than before. Stages do not know where bars come from.
"""

from pathlib import Path
from uuid import uuid4

import pandas as pd

from pipelines.artifacts import digest
from pipelines.store.bar_store import BarStore, Series
from trading.errors import BarError
from trading.instrument import Instrument

_PREFIX = "exchange:"


def source_of(venue: str) -> str:
    """A run's source that means an exchange; :func:`venue_of` reads it."""
    return _PREFIX + venue


def venue_of(source: str) -> str | None:
    """Name of the exchange in a run's source; None where the source is a path."""
    return source.removeprefix(_PREFIX).strip().lower() if source.startswith(_PREFIX) else None


def series_of(venue: str, instrument: Instrument) -> Series:
    """The stored series that a run on an instrument reads."""
    return Series(venue, instrument.symbol, instrument.timeframe)


def file_name(series: Series) -> str:
    """Name of the file that a run reads: ``kraken_BTC-USD_1h.parquet``, as those of the sample."""
    return f"{series.venue}_{series.instrument.slug}_{series.timeframe}.parquet"


def bars_of(store: BarStore, series: Series, as_of: pd.Timestamp | None = None) -> pd.DataFrame:
    """The bars that a run reads.

    Parameters
    ----------
    store, series
        Which.
    as_of
        The moment that the run stands at, in UTC. Only bars that had closed by then; of a corrected one what the store
        held by then, or, if it was fetched later, what it holds now. None: all bars as they are now.

    Returns
    -------
    DataFrame
        As :meth:`~pipelines.store.bar_store.BarStore.read` returns it; may be empty.

    Raises
    ------
    UnknownSeriesError
        If nothing is stored of the series.
    """
    if as_of is None:
        return store.read(series)
    # A bar that opens now minus its length has closed: the bound is half-open.
    end = as_of - series.bar + pd.Timedelta(1, "us")
    now, then = store.read(series, end=end), store.read(series, end=end, as_of=as_of)
    return pd.concat([then, now[~now.index.isin(then.index)]]).sort_index()


def write_source(store: BarStore, series: Series, path: Path, as_of: pd.Timestamp | None = None) -> bool:
    """Write the bars that a run reads to a file, if they are other ones than those in it.

    Parameters
    ----------
    store, series, as_of
        As for :func:`bars_of`: what is fetched later does not change the file of a moment.
    path
        The file.

    Returns
    -------
    bool
        Whether the file was written.

    Raises
    ------
    UnknownSeriesError
        If nothing is stored of the series.
    BarError
        If none of its bars had closed by ``as_of``.
    """
    bars = bars_of(store, series, as_of)
    if bars.empty:
        raise BarError(
            f"no bar of {series} had closed by {as_of}",
            where=str(store.root),
            rule="a run with an as_of uses nothing that was known later",
            remedy="choose a later --as-of, or fetch older bars: `engine data fetch --since`",
        )
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{uuid4().hex[:8]}.tmp")
    try:
        bars.to_parquet(temporary, compression="zstd")
        if path.is_file() and digest(path) == digest(temporary):
            return False
        temporary.replace(path)
        return True
    finally:
        temporary.unlink(missing_ok=True)
