"""What the tests of exchanges share: terms with tiny waits, a connection and a store in one call, a faster clock."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

import pandas as pd

from pipelines.exchange.clock import ExchangeClock, Ticker
from pipelines.exchange.connection import Connection
from pipelines.exchange.fetch import Fetched, fetch_bars
from pipelines.exchange.terms import Terms
from pipelines.store.bar_store import BarStore, Series

T = TypeVar("T")
# A busy machine may keep an answer for seconds; a test of silence gives a timeout of its own.
TERMS = Terms(url="", timeout=30.0, attempts=4, pause=0.001, patience=5.0, rate_limit=False, overlap=20, settle=0.0)
BINANCE = Series("binance", "BTC/USDT", "30m")
KRAKEN = Series("kraken", "BTC/USD", "1h")
BITSTAMP = Series("bitstamp", "BTC/USD", "30m")
PERPETUAL = Series("binance", "BTC/USDT:USDT", "1h")


def talk(
    url: str,
    series: Series,
    conversation: Callable[[Connection], Awaitable[T]],
    *,
    said: list[str] | None = None,
    clock: ExchangeClock | None = None,
    **terms: Any,
) -> T:
    """Open a connection for a series, and close it after the conversation."""

    async def held() -> T:
        say = (lambda _: None) if said is None else said.append
        async with Connection(series.venue, replace(TERMS, url=url, **terms), say, clock) as connection:
            await connection.open(series)
            return await conversation(connection)

    return asyncio.run(held())


def fetched(
    url: str,
    root: Path,
    series: Series = BINANCE,
    since: pd.Timestamp | None = None,
    until: pd.Timestamp | None = None,
    *,
    again: bool = False,
    said: list[str] | None = None,
    **terms: Any,
) -> Fetched:
    """Fetch a series into the store at a folder."""
    return talk(
        url,
        series,
        lambda connection: fetch_bars(connection, BarStore(root), series, since, until, again=again),
        said=said,
        **terms,
    )


def fetch_in_child(url: str, root: Path, since: str) -> None:
    """What a test kills: a fetch in a process of its own."""
    fetched(url, root, since=pd.Timestamp(since))


def fast_clock(speed: float) -> ExchangeClock:
    """A clock in whose world time passes so many times faster, as the server's does."""

    async def sleep(seconds: float) -> None:
        await asyncio.sleep(seconds / speed)

    return ExchangeClock(Ticker(lambda: time.monotonic() * speed, time.time, sleep))
