"""What is made of a socket's messages and failures, told by an exchange that is only pretended."""

import asyncio
from collections.abc import Iterator
from contextlib import aclosing
from pathlib import Path
from typing import Any

import ccxt
import pytest

from pipelines.exchange.connection import Connection
from pipelines.exchange.stream import Cut, Event, Over, Rows, listen
from pipelines.exchange.watch import _Watcher
from pipelines.store.bar_store import BarStore
from tests.test_pipelines.test_exchange.driver import BINANCE, TERMS

BAR = 1_800_000
OLD, NEW = [0, 1.0, 1.0, 1.0, 1.0, 1.0], [BAR, 2.0, 2.0, 2.0, 2.0, 2.0]


class Socket:
    """Stands in for ccxt: each call does the next thing of a script."""

    def __init__(self, *script: Exception | list[list[float]]) -> None:
        self.script: Iterator[Exception | list[list[float]]] = iter(script)
        self.ohlcvs: dict[str, Any] = {BINANCE.symbol: {BINANCE.timeframe: [OLD, NEW]}}

    async def watch_ohlcv(self, symbol: str, timeframe: str) -> list[list[float]]:
        assert (symbol, timeframe) == (BINANCE.symbol, BINANCE.timeframe)
        step = next(self.script)
        if isinstance(step, Exception):
            raise step
        return step


def heard(socket: Socket, count: int) -> list[Event]:
    connection = Connection("binance", TERMS)
    connection.api = socket

    async def run() -> list[Event]:
        found: list[Event] = []
        async with aclosing(listen(connection, BINANCE, "bars")) as events:
            async for event in events:
                found.append(event)
                if len(found) == count:
                    break
        return found

    return asyncio.run(run())


def test_a_message_carries_what_it_shows_and_what_the_newest_bars_are_by_now() -> None:
    assert heard(Socket([NEW]), 1) == [Rows((tuple(NEW),), (tuple(OLD), tuple(NEW)))]


def test_rows_are_copies_because_ccxt_writes_into_its_own() -> None:
    row = list(NEW)
    (event,) = heard(Socket([row]), 1)
    row[4] = 9.0
    assert isinstance(event, Rows)
    assert event.rows == (tuple(NEW),)


@pytest.mark.parametrize(
    "error", [ccxt.NetworkError("gone"), ccxt.RequestTimeout("gone"), ConnectionResetError("gone")]
)
def test_a_line_that_is_cut_is_taken_up_again_and_its_past_is_forgotten(error: Exception) -> None:
    socket = Socket(error, error, [NEW])
    assert heard(socket, 3) == [Cut("gone"), Cut("gone"), Rows((tuple(NEW),), ())]
    assert socket.ohlcvs == {}


@pytest.mark.parametrize(
    "error", [ccxt.NotSupported("never"), ccxt.BadSymbol("never"), ccxt.AuthenticationError("never")]
)
def test_what_will_not_pass_ends_the_stream(error: Exception) -> None:
    assert heard(Socket(error), 9) == [Over("never")]


@pytest.mark.parametrize("event", [Cut("gone"), Over("gone")])
def test_a_watch_believes_nothing_that_it_saw_before_the_cut(event: Event, tmp_path: Path) -> None:
    watcher = _Watcher(Connection("binance", TERMS), BarStore(tmp_path), BINANCE)
    watcher.live.see([NEW], 2 * BAR)
    asyncio.run(watcher.take(event))
    watcher.live.see([[2 * BAR, *NEW[1:]]], 2 * BAR + 1)
    assert watcher.live.due(2 * BAR + 2).ask == (BAR, 2 * BAR)
