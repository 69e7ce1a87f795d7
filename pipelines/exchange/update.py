"""One conversation that brings a symbol up to date: its bars, and its funding rates where it has some.

For a run, :func:`refresh`: it can go on with what is stored while the exchange is away.
"""

import asyncio
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from pipelines.context import Progress, silent
from pipelines.exchange.connection import Connection, Say, unheard
from pipelines.exchange.errors import UnreachableError
from pipelines.exchange.fetch import Fetched, fetch_bars
from pipelines.exchange.funding import Funded, fetch_funding, has_funding
from pipelines.exchange.terms import Terms
from pipelines.store.bar_store import BarStore, Series
from pipelines.store.external_store import ExternalStore


@dataclass(frozen=True)
class Updated:
    """What came: of the bars, and of the funding rates if the market has some and they were wanted."""

    bars: Fetched
    funding: Funded | None


@dataclass(frozen=True)
class Refreshed:
    """The source of a run, as it stands now.

    Parameters
    ----------
    series
        Which.
    last
        Open of the newest stored bar, in UTC.
    updated
        What was fetched; None if there was no need to ask, or nobody to ask.
    away
        Why the exchange could not be asked, in words; empty if it could, or need not be.
    """

    series: Series
    last: pd.Timestamp
    updated: Updated | None = None
    away: str = ""

    @property
    def notes(self) -> tuple[str, ...]:
        """What was odd about what came, in sentences."""
        return () if self.updated is None else tuple(self.updated.bars.notes)

    def __str__(self) -> str:
        if self.updated is None:
            came = "as stored"
        elif (bars := self.updated.bars).added or bars.corrected:
            came = f"{bars.added:,} new bar{'' if bars.added == 1 else 's'}, {bars.corrected:,} corrected"
        else:
            came = "no new bar"
        away = f"; {self.away}" if self.away else ""
        return f"{self.series}: {came}, up to {self.last + self.series.bar:%Y-%m-%d %H:%M} UTC{away}"


def update(
    terms: Terms,
    store: Path,
    series: Series,
    since: pd.Timestamp | None = None,
    until: pd.Timestamp | None = None,
    *,
    again: bool = False,
    funding: bool = True,
    progress: Progress = silent,
    say: Say = unheard,
) -> Updated:
    """Fetch what the store lacks of a series, and the newest bars and rates once more.

    Parameters
    ----------
    terms
        How the exchange is talked to.
    store
        Folder of the store.
    series
        Which; its venue is the exchange's name.
    since, until, again
        As :func:`~pipelines.exchange.fetch.fetch_bars` takes them.
    funding
        Whether rates are wanted as well.
    progress, say
        Told how far it is, and what happened on the way.

    Raises
    ------
    ExchangeError, ParamsError, StoreError
        As :func:`~pipelines.exchange.fetch.fetch_bars`; what came before is kept.
    """

    async def talk() -> Updated:
        async with Connection(series.venue, terms, say) as connection:
            market = await connection.open(series)
            bars = await fetch_bars(connection, BarStore(store), series, since, until, again=again, progress=progress)
            if not funding or not has_funding(connection, market):
                return Updated(bars, None)
            rates = ExternalStore(store)
            return Updated(bars, await fetch_funding(connection, rates, series, bars.since, until, progress=progress))

    return asyncio.run(talk())


def refresh(
    terms: Terms,
    store: Path,
    series: Series,
    as_of: pd.Timestamp | None = None,
    *,
    progress: Progress = silent,
    say: Say = unheard,
) -> Refreshed:
    """Bring the source of a run up to date: continue what was fetched before.

    Parameters
    ----------
    terms, store, series, progress, say
        As for :func:`update`.
    as_of
        The moment that the run stands at. Bars up to it are enough: if they are stored, nobody is asked.

    Returns
    -------
    Refreshed
        Up to where bars are stored, what was fetched for it, and why not more if the exchange cannot be reached.

    Raises
    ------
    UnreachableError
        If the exchange cannot be reached and nothing is stored.
    ExchangeError, ParamsError, StoreError
        As :func:`update`; a series that was never fetched needs a first ``engine data fetch``.
    """
    bars = BarStore(store)
    last = bars.last(series)
    if last is not None and as_of is not None and last + 2 * series.bar > as_of:
        return Refreshed(series, last)
    try:
        updated = update(terms, store, series, progress=progress, say=say)
    except UnreachableError as error:
        # Some pages may have come before.
        last = bars.last(series)
        if last is None:
            raise
        say(f"{error.what}; going on with what is stored, up to {last}")
        return Refreshed(series, last, away=error.what)
    last = bars.last(series)
    assert last is not None, "only a series that has bars can be continued"
    return Refreshed(series, last, updated)
