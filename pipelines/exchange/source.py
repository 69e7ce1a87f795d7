"""An exchange as a run's source: ``exchange:kraken`` in ``run.yaml`` means the stored bars of that exchange.

A run reads a file below its workspace, whose content DVC knows; so the stored series is written there, and only when it
says something else than before. Stages do not know where bars come from.
"""

from pathlib import Path
from uuid import uuid4

from pipelines.artifacts import digest
from pipelines.store.bar_store import BarStore, Series
from trading.instrument import Instrument

_PREFIX = "exchange:"


def venue_of(source: str) -> str | None:
    """Name of the exchange in a run's source; None where the source is a path."""
    return source.removeprefix(_PREFIX).strip().lower() if source.startswith(_PREFIX) else None


def series_of(venue: str, instrument: Instrument) -> Series:
    """The stored series that a run on an instrument reads."""
    return Series(venue, instrument.symbol, instrument.timeframe)


def file_name(series: Series) -> str:
    """Name of the file that a run reads: ``kraken_BTC-USD_1h.parquet``, as those of the sample."""
    return f"{series.venue}_{series.instrument.slug}_{series.timeframe}.parquet"


def write_source(store: BarStore, series: Series, path: Path) -> bool:
    """Write the current bars of a series to a file, if they are other ones than those in it.

    Returns
    -------
    bool
        Whether the file was written.

    Raises
    ------
    UnknownSeriesError
        If nothing is stored of the series.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{uuid4().hex[:8]}.tmp")
    try:
        store.read(series).to_parquet(temporary, compression="zstd")
        if path.is_file() and digest(path) == digest(temporary):
            return False
        temporary.replace(path)
        return True
    finally:
        temporary.unlink(missing_ok=True)
