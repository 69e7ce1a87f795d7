"""Funding rates of a perpetual: what its holders paid each other, as an external series by time of publication.

A rate is public when it is settled, which is the time that the exchange stamps it with; whoever joins it to bars adds a
delay of their own. What was *predicted* for the next settlement is no part of it.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import pandas as pd

from pipelines.context import Progress, silent
from pipelines.exchange.backfill import FEW
from pipelines.exchange.connection import Connection
from pipelines.exchange.coverage import Coverage, CoverageFile
from pipelines.exchange.moments import millis, moment
from pipelines.store.bar_store import Series
from pipelines.store.external_store import ExternalStore
from pipelines.store.observations import Appended

COLUMN = "funding_rate"
# Settlements that are asked for again, for corrections: a month of eight-hour funding.
_AGAIN = 90
# The longest usual time between two settlements.
_INTERVAL = 8 * 3_600_000


@dataclass(frozen=True)
class Funded:
    """What a fetch of funding rates did: where they are kept, and how many the store counted."""

    name: str
    added: int
    unchanged: int
    corrected: int
    last: pd.Timestamp | None


def series_name(series: Series) -> str:
    """Name of the rates of a symbol in the store of external series; they have no timeframe."""
    return f"funding/{series.venue}/{series.instrument.slug}"


def has_funding(connection: Connection, market: Mapping[str, Any]) -> bool:
    """Whether the market is a perpetual whose past rates the exchange gives."""
    return bool(market.get("swap")) and bool(connection.api.has.get("fetchFundingRateHistory"))


async def fetch_funding(
    connection: Connection,
    store: ExternalStore,
    series: Series,
    since: pd.Timestamp,
    until: pd.Timestamp | None = None,
    *,
    progress: Progress = silent,
) -> Funded:
    """Fetch the rates settled in ``[since, until)`` that the store lacks, and the newest ones once more.

    Raises
    ------
    ExchangeError
        If the exchange cannot be asked any more; what came before is stored.
    StoreError
        If the store cannot be written.
    """
    name = series_name(series)
    notes = CoverageFile(store.root / "coverage" / f"{name}.json")
    now = connection.clock.millis()
    start, end = millis(since), now + 1 if until is None else min(millis(until), now + 1)
    known = None if store.last(name) is None else notes.read()
    if known is not None:
        missing = known.missing(start, end)
        start = min([_again(store, name, start), *(a for a, _ in missing)])
    counts, last, cursor = Appended(0, 0, 0), None, start
    limit = connection.page(series, "fetchFundingRateHistory")
    while cursor < end:
        rates = to_rates(await connection.funding(series, cursor, limit), cursor, end)
        if rates.empty:
            # Nothing is left, or nothing was settled in the window that this exchange answers for.
            cursor += (limit or FEW) * _INTERVAL
            continue
        counted = store.append(name, rates, connection.clock.now())
        counts = Appended(
            counts.added + counted.added, counts.unchanged + counted.unchanged, counts.corrected + counted.corrected
        )
        last = rates.index[-1]
        notes.update(partial(_noted, start=cursor, end=millis(last) + 1))
        cursor = millis(last) + 1
        progress(cursor - start, end - start, f"funding to {last}")
    return Funded(name, counts.added, counts.unchanged, counts.corrected, last)


def _noted(old: Coverage, start: int, end: int) -> Coverage:
    return old.add(start, end)


def to_rates(answer: Sequence[Mapping[str, Any]], start: int, end: int) -> pd.DataFrame:
    """Rates settled in ``[start, end)``, in milliseconds, from ccxt's records in any order.

    Returns
    -------
    DataFrame
        Column ``funding_rate`` (a fraction of the position's value for one interval) on ``published_at``.
    """
    found = {
        int(one["timestamp"]): float(one["fundingRate"])
        for one in answer
        if one.get("timestamp") is not None and one.get("fundingRate") is not None
    }
    stamps = sorted(stamp for stamp, rate in found.items() if start <= stamp < end and math.isfinite(rate))
    index = pd.DatetimeIndex([moment(stamp) for stamp in stamps], tz="UTC", name="published_at").as_unit("us")
    return pd.DataFrame({COLUMN: [found[stamp] for stamp in stamps]}, index=index, dtype="float64")


def _again(store: ExternalStore, name: str, start: int) -> int:
    stamps = store.read(name, moment(start)).index
    return millis(stamps[-min(_AGAIN, len(stamps))]) if len(stamps) else start
