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
) -> Updated | None:
    """Bring the source of a run up to date: continue what was fetched before.

    Parameters
    ----------
    terms, store, series, progress, say
        As for :func:`update`.
    as_of
        The moment that the run stands at. Bars up to it are enough: if they are stored, nobody is asked.

    Returns
    -------
    Updated or None
        None if nothing was fetched: there was no need, or the exchange cannot be reached, which is said.

    Raises
    ------
    UnreachableError
        If the exchange cannot be reached and nothing is stored.
    ExchangeError, ParamsError, StoreError
        As :func:`update`; a series that was never fetched needs a first ``engine data fetch``.
    """
    last = BarStore(store).last(series)
    if last is not None and as_of is not None and last + 2 * series.bar > as_of:
        return None
    try:
        return update(terms, store, series, progress=progress, say=say)
    except UnreachableError as error:
        if last is None:
            raise
        say(f"{error.what}; going on with what is stored, up to {last}")
        return None
