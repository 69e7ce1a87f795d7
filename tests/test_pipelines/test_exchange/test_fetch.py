"""Fetching from an exchange on the loopback address, which misbehaves as it is told."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from pipelines.exchange.connection import Connection, redirected
from pipelines.exchange.errors import ExchangeError, RefusedError, UnreachableError, UnsupportedError
from pipelines.exchange.fetch import as_object, coverage_file, fetch_bars, gaps_within
from pipelines.exchange.moments import millis
from pipelines.store.bar_store import BarStore, Series
from pipelines.store.errors import StoreError
from pipelines.store.observations import Appended
from tests.exchange_server import ExchangeServer
from tests.exchange_server.faults import Fault
from tests.test_pipelines.test_exchange.driver import BINANCE, BITSTAMP, KRAKEN, TERMS, fetched, talk
from trading.errors import ParamsError

Serve = Callable[..., ExchangeServer]
START = pd.Timestamp("2017-10-01", tz="UTC")


def equal(root: Path, server: ExchangeServer, series: Series = BINANCE) -> None:
    """The store holds what the exchange has closed, bit for bit, and nothing else."""
    pd.testing.assert_frame_equal(
        BarStore(root).read(series), server.market.frame(series.timeframe), check_freq=False, check_exact=True
    )


def asked(server: ExchangeServer, name: str = "startTime") -> list[int]:
    return [int(query[name]) for endpoint, query in server.faults.log if endpoint == "klines"]


@pytest.mark.parametrize(
    ("series", "most"), [(BINANCE, 300), (Series("binance", "BTC/USDT:USDT", "1h"), 1000), (BITSTAMP, 1000)]
)
def test_a_history_is_fetched_by_pages_up_to_its_last_closed_bar(
    serve: Serve, tmp_path: Path, series: Series, most: int
) -> None:
    server = serve(700, most=most)
    done = fetched(server.url, tmp_path, series, START)
    equal(tmp_path, server, series)
    assert done.added == len(server.market.frame(series.timeframe))
    assert done.first == START
    assert done.last == server.market.frame(series.timeframe).index[-1]
    # The unfinished bar was in an answer, and is nowhere.
    assert millis(done.last) + millis(pd.Timestamp(series.bar.value)) <= server.market.millis()


def test_an_update_asks_for_what_is_new_and_the_overlap_only(serve: Serve, tmp_path: Path) -> None:
    server = serve(200)
    fetched(server.url, tmp_path, since=START)
    newest = BarStore(tmp_path).last(BINANCE)
    assert newest is not None
    server.faults.log.clear()
    server.market.set_time(server.market.now + pd.Timedelta(hours=10))
    done = fetched(server.url, tmp_path, overlap=5)
    equal(tmp_path, server)
    assert (done.added, done.unchanged, done.corrected) == (20, 5, 0)
    assert asked(server) == [millis(newest - 4 * BINANCE.bar)]


def test_a_bar_that_the_exchange_corrects_later_is_recorded_beside_the_first_one(serve: Serve, tmp_path: Path) -> None:
    server = serve(200)
    fetched(server.url, tmp_path, since=START)
    before = BarStore(tmp_path).read(BINANCE)
    changed = before.index[-3]
    server.market.correct("30m", changed, 12_345.0)
    done = fetched(server.url, tmp_path)
    equal(tmp_path, server)
    assert done.corrected == 1
    both = BarStore(tmp_path).corrections(BINANCE)
    assert both.index.tolist() == [changed, changed]
    assert both["close"].tolist() == [before.loc[changed, "close"], 12_345.0]
    assert both["current"].tolist() == [False, True]


def test_a_correction_older_than_the_overlap_is_found_by_asking_again(serve: Serve, tmp_path: Path) -> None:
    server = serve(200)
    fetched(server.url, tmp_path, since=START)
    server.market.correct("30m", START + pd.Timedelta(days=1), 1.0)
    assert fetched(server.url, tmp_path).corrected == 0
    assert fetched(server.url, tmp_path, since=START, again=True).corrected == 1
    equal(tmp_path, server)


def test_two_spans_and_what_lies_between_them(serve: Serve, tmp_path: Path) -> None:
    server = serve(300, most=100)
    middle, late = START + pd.Timedelta(days=2), START + pd.Timedelta(days=4)
    fetched(server.url, tmp_path, since=middle, until=middle + pd.Timedelta(days=1))
    stored = BarStore(tmp_path).read(BINANCE)
    assert (stored.index[0], stored.index[-1]) == (middle, middle + pd.Timedelta(days=1) - BINANCE.bar)
    fetched(server.url, tmp_path, since=late)
    fetched(server.url, tmp_path, since=START)
    equal(tmp_path, server)
    server.faults.log.clear()
    done = fetched(server.url, tmp_path, since=START, until=late)
    assert server.faults.count("klines") == 0
    assert (done.added, done.first, done.notes) == (0, None, [])


FAULTS: dict[str, list[Fault | None]] = {
    "429 with Retry-After": [Fault("status", 429, retry_after="0.05")],
    "429 with a date": [Fault("status", 429, retry_after="Mon, 01 Jan 2018 00:00:00 GMT")],
    "429 without": [Fault("status", 429), Fault("status", 429)],
    "banned for a moment": [Fault("status", 418, retry_after="0.02")],
    "too many requests, in Binance's words": [Fault("status", 200, body='{"code": -1003, "msg": "Too many requests"}')],
    "500 and 502": [Fault("status", 500), Fault("status", 502, body="<html>bad gateway</html>")],
    "503": [None, Fault("status", 503), Fault("status", 503)],
    "a connection that closes": [Fault("drop"), None, Fault("drop")],
    "half an answer": [Fault("cut"), None, Fault("cut_short")],
    "a page for people": [Fault("html")],
    "nothing, by mistake": [None, Fault("empty")],
    "everything twice": [Fault("twice"), Fault("twice"), Fault("twice")],
    "out of order": [Fault("shuffled"), Fault("shuffled"), Fault("shuffled")],
    "rows that are no bars": [Fault("bad_rows"), Fault("bad_rows")],
}


@pytest.mark.parametrize("faults", FAULTS.values(), ids=FAULTS.keys())
def test_the_store_ends_as_if_nothing_had_happened(serve: Serve, tmp_path: Path, faults: list[Fault | None]) -> None:
    server = serve(250, most=100)
    server.faults.plan("klines", *faults)
    said: list[str] = []
    done = fetched(server.url, tmp_path, since=START, said=said)
    equal(tmp_path, server)
    again = [fault for fault in faults if fault and fault.kind not in ("twice", "shuffled", "bad_rows", "empty")]
    # A closed connection may have been taken up again by the HTTP client itself.
    assert done.retries == len(again) or (faults[0] == Fault("drop") and done.retries < len(again)), said
    assert sum("asking again" in text for text in said) == done.retries


def test_a_slow_answer_is_given_up_and_asked_for_again(serve: Serve, tmp_path: Path) -> None:
    server = serve(100)
    server.faults.plan("klines", Fault("slow", seconds=2.0))
    said: list[str] = []
    assert fetched(server.url, tmp_path, since=START, timeout=0.3, said=said).retries == 1
    equal(tmp_path, server)
    assert any("does not answer in time" in text for text in said)


def test_retry_after_is_heeded(serve: Serve, tmp_path: Path) -> None:
    server = serve(100)
    server.faults.plan("klines", Fault("status", 429, retry_after="7"))
    waits: list[float] = []

    async def fetch(connection: Connection) -> Any:
        async def sleep(seconds: float) -> None:
            waits.append(seconds)

        connection.clock.ticker.sleep = sleep
        return await fetch_bars(connection, BarStore(tmp_path), BINANCE, START)

    talk(server.url, BINANCE, fetch, patience=10.0)
    assert waits == [7.0]


def test_an_exchange_that_wants_more_patience_than_there_is_is_not_waited_for(serve: Serve, tmp_path: Path) -> None:
    server = serve(100)
    server.faults.plan("klines", None, Fault("status", 418, retry_after="3600"))
    with pytest.raises(UnreachableError, match="asks for 3600 s") as caught:
        fetched(server.url, tmp_path, since=START, until=START + pd.Timedelta(days=1), again=True) and fetched(
            server.url, tmp_path, since=START
        )
    assert "ENGINE_EXCHANGE_PATIENCE" in caught.value.remedy
    assert len(BarStore(tmp_path).read(BINANCE)) == 48


@pytest.mark.parametrize(
    ("fault", "becomes", "words"),
    [
        (Fault("status", 451), RefusedError, "does not serve this address"),
        (Fault("status", 403), RefusedError, "does not serve this address"),
        (Fault("status", 404), ExchangeError, "refuses the request"),
        (Fault("status", 200, body='{"code": -1121, "msg": "Invalid symbol."}'), UnsupportedError, "Invalid symbol"),
    ],
)
def test_what_will_not_pass_is_not_asked_twice(
    serve: Serve, tmp_path: Path, fault: Fault, becomes: type[ExchangeError], words: str
) -> None:
    server = serve(100)
    server.faults.plan("klines", fault)
    with pytest.raises(becomes, match=words):
        fetched(server.url, tmp_path, since=START)
    assert server.faults.count("klines") == 1


def test_what_came_before_the_exchange_fell_silent_is_kept(serve: Serve, tmp_path: Path) -> None:
    server = serve(300, most=100)
    server.faults.plan("klines", None, None, *[Fault("status", 503)] * 4)
    with pytest.raises(UnreachableError, match="HTTP 503"):
        fetched(server.url, tmp_path, since=START)
    assert len(BarStore(tmp_path).read(BINANCE)) == 200
    server.faults.log.clear()
    fetched(server.url, tmp_path, overlap=0)
    assert asked(server)[0] == millis(START + 200 * BINANCE.bar)
    equal(tmp_path, server)


def test_without_a_network_the_message_says_what_to_check(tmp_path: Path) -> None:
    said: list[str] = []
    with pytest.raises(UnreachableError, match="cannot be reached") as caught:
        fetched("http://127.0.0.1:9", tmp_path, since=START, said=said)
    assert caught.value.where == "127.0.0.1:9"
    assert "ENGINE_EXCHANGE_URL" in caught.value.remedy
    assert len(said) == TERMS.attempts - 1


def test_an_outage_that_a_page_tells_of_is_healed_by_a_later_run(serve: Serve, tmp_path: Path) -> None:
    server = serve(300, windowed=True, most=100)
    silent = [None, Fault("empty"), Fault("empty"), None]
    server.faults.plan("klines", *silent)
    fetched(server.url, tmp_path, since=START)
    holes = gaps_within(BarStore(tmp_path), BINANCE, START, START + pd.Timedelta(days=30))
    assert holes["missing"].max() > 40
    fetched(server.url, tmp_path)
    equal(tmp_path, server)


def test_a_real_outage_is_asked_about_three_times_and_then_believed(
    serve: Serve, tmp_path: Path, half_hours: pd.DataFrame
) -> None:
    server = serve(300, windowed=True, most=50)
    lost = (half_hours.index >= START + pd.Timedelta(days=2)) & (half_hours.index < START + pd.Timedelta(days=5))
    server.market.bars = half_hours[~lost]
    for _ in range(4):
        server.faults.log.clear()
        fetched(server.url, tmp_path, since=START)
        equal(tmp_path, server)
    # The update alone: nobody asks about the outage any more.
    assert len(asked(server)) == 1
    noted = coverage_file(tmp_path, BINANCE).read()
    assert noted is not None
    assert (len(noted.covered), noted.doubted) == (1, ())


def test_daily_bars_are_asked_for_once_to_pass_several_outages(
    serve: Serve, tmp_path: Path, half_hours: pd.DataFrame
) -> None:
    server = serve(500, windowed=True, most=20)
    days = (half_hours.index - START) // pd.Timedelta(days=1)
    server.market.bars = half_hours[~days.isin([2, 3, 6, 7])]
    fetched(server.url, tmp_path, since=START)
    equal(tmp_path, server)
    assert sum(query.get("interval") == "1d" for _, query in server.faults.log) == 1


def test_long_before_the_market_began_costs_few_requests(serve: Serve, tmp_path: Path) -> None:
    server = serve(100, windowed=True)
    done = fetched(server.url, tmp_path, since=pd.Timestamp("2011-01-01", tz="UTC"))
    equal(tmp_path, server)
    assert done.requests < 10
    assert "the first bar is of 2017-10-01" in done.notes[0]


def test_an_exchange_that_gives_its_newest_bars_only_says_so(serve: Serve, tmp_path: Path) -> None:
    server = serve(2000)
    done = fetched(server.url, tmp_path, KRAKEN, START)
    stored = BarStore(tmp_path).read(KRAKEN)
    assert len(stored) == 719
    pd.testing.assert_frame_equal(stored, server.market.frame("1h").iloc[-719:], check_freq=False)
    assert "newest 720 bars" in done.notes[0]


def test_the_exchange_s_clock_decides_which_bar_has_closed(serve: Serve, tmp_path: Path) -> None:
    # Years behind this machine's: by the local clock every bar would have closed.
    server = serve(100, minutes=29.9)
    said: list[str] = []
    fetched(server.url, tmp_path, since=START, said=said)
    equal(tmp_path, server)
    assert len(BarStore(tmp_path).read(BINANCE)) == 99
    assert any("ahead of the exchange's" in text for text in said)


@pytest.mark.parametrize(("dated", "source"), [(True, "header"), (False, "local")])
def test_an_exchange_without_a_time_is_taken_by_the_date_of_its_answers(
    serve: Serve, tmp_path: Path, dated: bool, source: str
) -> None:
    server = serve(100, dated=dated)
    said: list[str] = []

    async def look(connection: Connection) -> str:
        return connection.clock.source

    assert talk(server.url, BITSTAMP, look, said=said) == source
    assert any("does not tell its time" in text for text in said) is not dated


def test_notes_that_are_lost_are_made_again_from_the_bars(
    serve: Serve, tmp_path: Path, half_hours: pd.DataFrame
) -> None:
    server = serve(300, most=1000)
    server.market.bars = half_hours.drop(half_hours.index[[100, 101, 250]])
    fetched(server.url, tmp_path, since=START)
    coverage_file(tmp_path, BINANCE).path.unlink()
    server.faults.log.clear()
    fetched(server.url, tmp_path, overlap=5)
    assert len(asked(server)) <= 2
    equal(tmp_path, server)


def test_notes_about_bars_that_are_gone_count_for_nothing(serve: Serve, tmp_path: Path) -> None:
    server = serve(100)
    fetched(server.url, tmp_path, since=START)
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "coverage").rename(tmp_path / "elsewhere" / "coverage")
    fetched(server.url, tmp_path / "elsewhere", since=START)
    equal(tmp_path / "elsewhere", server)


def test_the_first_fetch_must_say_where_to_begin(serve: Serve, tmp_path: Path) -> None:
    with pytest.raises(ParamsError, match="nothing of binance BTC/USDT 30m was fetched before"):
        fetched(serve(10).url, tmp_path)


def test_bars_that_open_between_two_bars_are_refused(serve: Serve, tmp_path: Path, half_hours: pd.DataFrame) -> None:
    server = serve(100)
    server.market.bars = half_hours.set_axis(half_hours.index + pd.Timedelta(minutes=7))
    with pytest.raises(ExchangeError, match="do not open at whole multiples of 30m"):
        fetched(server.url, tmp_path, since=START)


def test_a_time_without_any_bar_says_so(serve: Serve, tmp_path: Path) -> None:
    server = serve(100)
    done = fetched(server.url, tmp_path, since=START - pd.Timedelta(days=9), until=START - pd.Timedelta(days=8))
    assert done.notes == ["binance has no bar of BTC/USDT 30m in this time"]
    assert as_object(done, gaps_within(BarStore(tmp_path), BINANCE, done.since, done.until))["gaps"]["count"] == 0


def test_real_holes_are_told_with_examples(serve: Serve, tmp_path: Path, half_hours: pd.DataFrame) -> None:
    server = serve(100)
    server.market.bars = half_hours.drop(half_hours.index[[20, 21, 40]])
    done = fetched(server.url, tmp_path, since=START)
    told = as_object(done, gaps_within(BarStore(tmp_path), BINANCE, done.since, done.until))
    assert (told["gaps"]["count"], told["gaps"]["missing"]) == (2, 3)
    assert told["gaps"]["examples"][0]["start"] == START + 20 * BINANCE.bar


def test_progress_ends_at_the_whole(serve: Serve, tmp_path: Path) -> None:
    told: list[tuple[int, int]] = []
    server = serve(300, most=100)
    talk(
        server.url,
        BINANCE,
        lambda connection: fetch_bars(
            connection,
            BarStore(tmp_path),
            BINANCE,
            START,
            progress=lambda done, total, note: told.append((done, total)),
        ),
    )
    assert told == sorted(told)
    assert told[-1][0] == told[-1][1]


def test_unknown_symbols_timeframes_and_exchanges_are_told_apart(serve: Serve, tmp_path: Path) -> None:
    url = serve(10).url
    for series, words in (
        (Series("kraken", "BTC/USDT", "1h"), "kraken has no market BTC/USDT"),
        (Series("kraken", "BTC/USD", "2h"), "kraken has no bars of 2h"),
        (Series("bitflyer", "BTC/JPY", "1h"), "bitflyer does not give bars"),
    ):
        with pytest.raises(UnsupportedError, match=words):
            fetched(url, tmp_path, series, START)
    with pytest.raises(ExchangeError, match="unknown exchange 'krakn'"):
        fetched(url, tmp_path, Series("krakn", "BTC/USD", "1h"), START)


def test_addresses_lead_to_the_mirror_and_keep_their_host() -> None:
    urls = {"public": "https://{hostname}/api/v1", "ws": {"spot": "wss://stream.binance.com:9443/ws"}, "none": None}
    assert redirected(urls, "http://127.0.0.1:80/") == {
        "public": "http://127.0.0.1:80/{hostname}/api/v1",
        "ws": {"spot": "ws://127.0.0.1:80/stream.binance.com/ws"},
        "none": None,
    }
    assert redirected("wss://a.b", "https://m.org/x") == "wss://m.org/x/a.b"
    with pytest.raises(ExchangeError, match=r"'127\.0\.0\.1:80' is no address"):
        redirected(urls, "127.0.0.1:80")


def test_markets_are_asked_for_with_the_same_patience(serve: Serve, tmp_path: Path) -> None:
    server = serve(100)
    server.faults.plan("markets", Fault("status", 502), None, Fault("cut"))
    server.faults.plan("time", Fault("status", 503))
    fetched(server.url, tmp_path, since=START)
    equal(tmp_path, server)


def test_what_could_not_be_stored_is_not_noted_as_answered(serve: Serve, tmp_path: Path) -> None:
    class Full(BarStore):
        """A disk that is full after the first page."""

        def append(self, series: Series, bars: pd.DataFrame, recorded_at: pd.Timestamp) -> Appended:
            if self.last(series) is not None:
                raise StoreError("no space left")
            return super().append(series, bars, recorded_at)

    server = serve(300, most=100)
    with pytest.raises(StoreError):
        talk(server.url, BINANCE, lambda connection: fetch_bars(connection, Full(tmp_path), BINANCE, START))
    noted = coverage_file(tmp_path, BINANCE).read()
    assert noted is not None
    assert noted.end == millis(START + 100 * BINANCE.bar)
    fetched(server.url, tmp_path)
    equal(tmp_path, server)


def test_stopped_in_the_middle_of_a_page_nothing_is_half_done(serve: Serve, tmp_path: Path) -> None:
    server = serve(300, most=100)
    server.faults.plan("klines", None, None, Fault("slow", seconds=2.0))

    async def stopped(connection: Connection) -> None:
        task = asyncio.ensure_future(fetch_bars(connection, BarStore(tmp_path), BINANCE, START))
        while server.faults.count("klines") < 3:
            await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    talk(server.url, BINANCE, stopped)
    assert len(BarStore(tmp_path).read(BINANCE)) == 200
    fetched(server.url, tmp_path)
    equal(tmp_path, server)
