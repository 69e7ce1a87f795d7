"""Live bars from an exchange whose clock runs an hour in half a second."""

import asyncio
from collections.abc import Callable
from contextlib import aclosing
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pandas as pd
import pytest

from pipelines.exchange.connection import Connection
from pipelines.exchange.errors import RefusedError
from pipelines.exchange.stream import mode_of
from pipelines.exchange.watch import watch
from pipelines.store.bar_store import BarStore, Series
from tests.exchange_server import ExchangeServer
from tests.exchange_server.faults import Fault
from tests.test_pipelines.test_exchange.driver import BINANCE, BITSTAMP, TERMS, fast_clock

Serve = Callable[..., ExchangeServer]
SPEED = 7200.0
# Five minutes of the exchange's: the stream shows a bar every two and a half.
SETTLE = 300.0
PAUSE = 20.0


def watched(
    server: ExchangeServer,
    root: Path,
    count: int,
    series: Series = BINANCE,
    *,
    after: Callable[[int], None] = lambda seen: None,
    unless: Callable[[], bool] = lambda: True,
    said: list[str] | None = None,
    overlap: int = TERMS.overlap,
) -> list[pd.DataFrame]:
    """The first bars of a watch, ``count`` of them, or more until ``unless``; ``after`` is told the number so far."""
    came: list[pd.DataFrame] = []

    async def run() -> None:
        say = (lambda _: None) if said is None else said.append
        terms = replace(TERMS, url=server.url, settle=SETTLE, pause=PAUSE, overlap=overlap)
        async with Connection(series.venue, terms, say, fast_clock(server.market.speed)) as connection:
            await connection.open(series)
            async with aclosing(watch(connection, BarStore(root), series)) as bars:
                async for some in bars:
                    came.append(some)
                    # What is told is stored, and was closed by the exchange's own clock.
                    assert BarStore(root).read(series).loc[some.index].equals(some)
                    assert some.index[-1] + series.bar <= pd.Timestamp(server.market.millis(), unit="ms", tz="UTC")
                    after(sum(map(len, came)))
                    if sum(map(len, came)) >= count and (unless() or sum(map(len, came)) >= 100):
                        return

    asyncio.run(asyncio.wait_for(run(), 60))
    return came


def each_once(server: ExchangeServer, root: Path, came: list[pd.DataFrame], series: Series = BINANCE) -> None:
    """No bar is missing, none came twice, and all are as the exchange ended with them, told and stored."""
    told = pd.concat(came)
    ended = server.market.frame(series.timeframe)
    pd.testing.assert_frame_equal(told, ended.loc[told.index[0] : told.index[-1]], check_freq=False, check_exact=True)
    stored = BarStore(root).read(series)
    pd.testing.assert_frame_equal(
        stored.loc[: told.index[-1]], ended.loc[stored.index[0] : told.index[-1]], check_freq=False, check_exact=True
    )


def test_bars_come_over_the_socket_as_they_close(serve: Serve, tmp_path: Path) -> None:
    # Slower than elsewhere: on a busy machine a stream may come too late, and then bars are asked for.
    server = serve(200, minutes=25, speed=SPEED / 3)
    said: list[str] = []
    asked: list[int] = []

    def unasked() -> bool:
        return any(one == other for one, other in pairwise(asked))

    def note(seen: int) -> None:
        asked.append(server.faults.count("klines"))

    came = watched(server, tmp_path, 2, said=said, after=note, unless=unasked)
    each_once(server, tmp_path, came)
    assert "live bars come over the WebSocket" in said
    assert unasked()
    assert BarStore(tmp_path).corrections(BINANCE).empty


def test_after_the_socket_was_cut_what_was_missed_is_asked_for(serve: Serve, tmp_path: Path) -> None:
    server = serve(200, minutes=20, speed=SPEED / 2)
    said: list[str] = []

    def cuts() -> int:
        return sum("was cut" in text for text in said)

    def back() -> int:
        return sum("the WebSocket is back" in text for text in said)

    def cut(seen: int) -> None:
        if server.wire.sockets and cuts() == back() < 2:
            server.drop_sockets()

    came = watched(server, tmp_path, 4, after=cut, said=said, unless=lambda: back() == 2)
    each_once(server, tmp_path, came)
    assert back() == 2
    assert cuts() >= 2


def test_while_there_is_no_socket_bars_are_asked_for(serve: Serve, tmp_path: Path) -> None:
    server = serve(200, minutes=20, speed=SPEED, refuse_sockets=True)
    said: list[str] = []
    came = watched(server, tmp_path, 3, said=said)
    each_once(server, tmp_path, came)
    assert sum("was cut" in text for text in said) == 1


def test_a_socket_that_is_open_and_says_nothing_delays_nobody(serve: Serve, tmp_path: Path) -> None:
    server = serve(200, minutes=20, speed=SPEED, silent=True)
    each_once(server, tmp_path, watched(server, tmp_path, 2))


def test_without_live_bars_the_trades_say_when_to_ask(serve: Serve, tmp_path: Path) -> None:
    server = serve(200, minutes=20, speed=SPEED)
    said: list[str] = []
    came = watched(server, tmp_path, 2, BITSTAMP, said=said)
    each_once(server, tmp_path, came, BITSTAMP)
    assert "bitstamp has no live bars: its live trades say when a bar has ended, and then it is asked for" in said
    assert server.wire.sockets


def test_without_a_socket_at_all_it_polls_and_says_so(
    serve: Serve, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import ccxt.pro

    # As the exchanges that ccxt has no live data of.
    monkeypatch.delattr(ccxt.pro, "binance")
    server = serve(200, minutes=20, speed=SPEED)
    said: list[str] = []
    came = watched(server, tmp_path, 2, said=said)
    each_once(server, tmp_path, came)
    assert "binance has no WebSocket here: bars are asked for as they end" in said


def test_bars_that_ccxt_would_make_of_trades_are_not_the_exchange_s() -> None:
    connection = Connection("binance", TERMS)
    for bars, trades, mode in ((True, True, "bars"), ("emulated", True, "trades"), (None, None, "polling")):
        connection.api.has = {"watchOHLCV": bars, "watchTrades": trades}
        assert mode_of(connection) == mode


def test_a_watch_goes_on_behind_the_newest_stored_bar(serve: Serve, tmp_path: Path) -> None:
    server = serve(200, minutes=20, speed=SPEED)
    first = watched(server, tmp_path, 2)
    server.market.set_time(pd.Timestamp(server.market.millis(), unit="ms", tz="UTC") + pd.Timedelta(hours=6))
    second = watched(server, tmp_path, 13)
    each_once(server, tmp_path, [*first, *second])
    assert len(second[0]) >= 11


def test_bars_that_the_exchange_corrects_over_the_socket_are_kept_in_both_versions(
    serve: Serve, tmp_path: Path
) -> None:
    server = serve(200, minutes=20, speed=SPEED)
    said: list[str] = []
    told: list[pd.Timestamp] = []

    def correct(seen: int) -> None:
        if seen == 2:
            newest = BarStore(tmp_path).last(BINANCE)
            assert newest is not None
            told.append(newest)
            server.wire.late[int(newest.value // 1_000_000)] = 1.0

    def corrected() -> bool:
        return any("corrected 1 bar(s)" in text for text in said)

    watched(server, tmp_path, 4, after=correct, said=said, unless=corrected)
    found = BarStore(tmp_path).corrections(BINANCE)
    assert found.index.unique().tolist() == told
    assert found["close"].iloc[-1] == 1.0
    assert corrected()


def test_the_exchange_can_be_away_for_a_while(serve: Serve, tmp_path: Path) -> None:
    server = serve(200, minutes=20, speed=SPEED, refuse_sockets=True)
    said: list[str] = []

    def away(seen: int) -> None:
        if seen == 1:
            server.faults.plan("klines", *[Fault("status", 503)] * 4)
            server.faults.plan("time", *[Fault("status", 503)] * 2)

    came = watched(server, tmp_path, 3, after=away, said=said)
    each_once(server, tmp_path, came)
    assert any("waiting for it" in text for text in said)
    assert "binance answers again" in said


def test_what_waiting_cannot_mend_ends_the_watch(serve: Serve, tmp_path: Path) -> None:
    server = serve(200, minutes=20, speed=SPEED, refuse_sockets=True)

    def block(seen: int) -> None:
        server.faults.always["klines"] = Fault("status", 451)

    with pytest.raises(RefusedError):
        watched(server, tmp_path, 10_000, after=block)


def test_a_stream_that_the_exchange_refuses_ends_and_bars_are_asked_for(
    serve: Serve, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import ccxt
    import ccxt.pro

    async def refused(*_: object) -> None:
        raise ccxt.BadRequest("binance: too many streams")

    monkeypatch.setattr(ccxt.pro.binance, "watch_ohlcv", refused)
    server = serve(200, minutes=20, speed=SPEED)
    said: list[str] = []
    each_once(server, tmp_path, watched(server, tmp_path, 2, said=said))
    assert "no WebSocket (binance: too many streams): bars are asked for as they end" in said


def test_a_bug_in_the_stream_is_not_swallowed(serve: Serve, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import ccxt.pro

    async def broken(*_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(ccxt.pro.binance, "watch_ohlcv", broken)
    with pytest.raises(ZeroDivisionError):
        watched(serve(200, minutes=20, speed=SPEED), tmp_path, 2)


def test_every_bar_of_the_stream_is_asked_for_once_more(serve: Serve, tmp_path: Path) -> None:
    server = serve(200, minutes=20, speed=SPEED)
    watched(server, tmp_path, 4, overlap=4)
    # Once in the beginning, and once after half as many bars as the overlap has.
    assert server.faults.count("klines") >= 2
