"""What an exchange's WebSocket says, as events: rows of bars, trades that went by, and the line being cut."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing, suppress
from dataclasses import dataclass
from typing import Any, Literal

from pipelines.exchange.candles import Row
from pipelines.exchange.connection import Connection
from pipelines.exchange.failure import back_off
from pipelines.store.bar_store import Series

Mode = Literal["bars", "trades", "polling"]
# A late change is of the bar before, or the one before that.
_RECENT = 5
_LONGEST = 8


@dataclass(frozen=True)
class Rows:
    """A message of the stream.

    Parameters
    ----------
    rows
        What it shows, the unfinished bar among it; nothing where only trades went by.
    recent
        The newest rows of all messages so far, as they stand now: a late change of an older bar shows here only.
    """

    rows: tuple[Row, ...]
    recent: tuple[Row, ...]


@dataclass(frozen=True)
class Cut:
    """The line was cut, and why; it is being restored."""

    reason: str


@dataclass(frozen=True)
class Over:
    """There will be no more of the stream, and why."""

    reason: str


Event = Rows | Cut | Over


def mode_of(connection: Connection) -> Mode:
    """What the exchange's WebSocket offers. Bars that ccxt itself would make of trades are not the exchange's bars."""
    if connection.api.has.get("watchOHLCV") is True:
        return "bars"
    if connection.api.has.get("watchTrades") is True:
        return "trades"
    return "polling"


async def listen(connection: Connection, series: Series, mode: Mode) -> AsyncGenerator[Event]:
    """Events for as long as there are any.

    A line that is cut is taken up again, each time a little later, up to a minute; ccxt notices a silent one by its own
    pings.
    """
    import ccxt

    failed = 0
    while mode != "polling":
        try:
            message = await _message(connection, series, mode)
        except (ccxt.NetworkError, ccxt.OperationFailed, OSError) as error:
            failed += 1
            _forget(connection.api)
            yield Cut(_short(error))
            await connection.clock.ticker.sleep(back_off(min(failed, _LONGEST), connection.terms.pause))
        except ccxt.BaseError as error:
            yield Over(_short(error))
            return
        else:
            failed = 0
            yield message


async def pump(connection: Connection, series: Series, mode: Mode, events: "asyncio.Queue[Event]") -> None:
    """Put the events of a stream into a queue, until it is over or this is cancelled."""
    async with aclosing(listen(connection, series, mode)) as stream:
        async for event in stream:
            await events.put(event)


async def stop(task: "asyncio.Task[None]") -> None:
    """End a pump, and wait until it has ended."""
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task


async def _message(connection: Connection, series: Series, mode: Mode) -> Rows:
    if mode == "trades":
        await connection.api.watch_trades(series.symbol)
        return Rows((), ())
    rows = await connection.api.watch_ohlcv(series.symbol, series.timeframe)
    kept = (connection.api.ohlcvs.get(series.symbol) or {}).get(series.timeframe) or ()
    # ccxt changes its rows in place when the next message comes.
    return Rows(tuple(tuple(row) for row in rows), tuple(tuple(row) for row in list(kept)[-_RECENT:]))


def _forget(api: Any) -> None:
    """Drop what the stream said before it was cut: ccxt would repeat it beside what comes after."""
    if api.ohlcvs:
        api.ohlcvs.clear()


def _short(error: BaseException) -> str:
    text = " ".join(str(error).split()) or type(error).__name__
    return text[:120]
