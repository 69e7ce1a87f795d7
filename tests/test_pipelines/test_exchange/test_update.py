from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from pipelines.exchange.errors import RefusedError, UnreachableError
from pipelines.exchange.terms import Terms
from pipelines.exchange.update import refresh, update
from pipelines.store.bar_store import BarStore
from tests.exchange_server import ExchangeServer
from tests.exchange_server.faults import Fault
from tests.test_pipelines.test_exchange.driver import BINANCE, PERPETUAL, TERMS
from trading.errors import ParamsError

Serve = Callable[..., ExchangeServer]
START = pd.Timestamp("2017-10-01", tz="UTC")


def terms_for(server: ExchangeServer) -> Terms:
    return replace(TERMS, url=server.url)


def test_a_perpetual_comes_with_its_funding_rates_unless_they_are_not_wanted(serve: Serve, tmp_path: Path) -> None:
    terms = terms_for(serve(200))
    done = update(terms, tmp_path, PERPETUAL, START)
    assert done.bars.added > 90
    assert done.funding is not None
    assert done.funding.added == 13
    assert update(terms, tmp_path, PERPETUAL, funding=False).funding is None
    assert update(terms, tmp_path, BINANCE, START).funding is None


def test_a_run_asks_nobody_for_a_past_that_is_stored(serve: Serve, tmp_path: Path) -> None:
    server = serve(200)
    terms = terms_for(server)
    update(terms, tmp_path, BINANCE, START)
    last = BarStore(tmp_path).last(BINANCE)
    assert last is not None
    asked = len(server.faults.log)
    # The newest bar that has closed by then is stored: the one after it closes later.
    for as_of in (last + 2 * BINANCE.bar - pd.Timedelta(seconds=1), START + pd.Timedelta(days=1)):
        stored = refresh(terms, tmp_path, BINANCE, as_of)
        assert (stored.last, stored.updated, stored.away, stored.notes) == (last, None, "", ())
        assert str(stored) == "binance BTC/USDT 30m: as stored, up to 2017-10-05 03:30 UTC"
    assert len(server.faults.log) == asked
    for as_of in (None, last + 2 * BINANCE.bar):
        done = refresh(terms, tmp_path, BINANCE, as_of)
        assert done.updated is not None
        assert done.updated.bars.added == 0
        assert str(done) == "binance BTC/USDT 30m: no new bar, up to 2017-10-05 03:30 UTC"


def test_a_run_hears_of_new_bars_of_corrections_and_of_what_was_odd(serve: Serve, tmp_path: Path) -> None:
    server = serve(200)
    terms = terms_for(server)
    update(terms, tmp_path, BINANCE, START)
    last = BarStore(tmp_path).last(BINANCE)
    assert last is not None
    server.market.correct("30m", last, 5000.0)
    server.market.set_time(last + 5 * BINANCE.bar)
    server.faults.plan("klines", Fault("bad_rows"))
    done = refresh(terms, tmp_path, BINANCE)
    assert done.last == last + 4 * BINANCE.bar
    assert str(done) == "binance BTC/USDT 30m: 4 new bars, 1 corrected, up to 2017-10-05 05:30 UTC"
    assert "1 rows without a number in every cell were left out" in done.notes


def test_a_run_goes_on_with_what_is_stored_while_the_exchange_is_away(serve: Serve, tmp_path: Path) -> None:
    server = serve(200)
    terms = terms_for(server)
    update(terms, tmp_path, BINANCE, START)
    server.faults.always["klines"] = Fault("status", 503)
    said: list[str] = []
    stored = refresh(terms, tmp_path, BINANCE, say=said.append)
    assert said[-1].startswith("binance answers HTTP 503; going on with what is stored, up to 2017-10-05")
    assert stored.updated is None
    assert str(stored) == "binance BTC/USDT 30m: as stored, up to 2017-10-05 03:30 UTC; binance answers HTTP 503"
    server.faults.always["klines"] = Fault("status", 451)
    with pytest.raises(RefusedError):
        refresh(terms, tmp_path, BINANCE)


def test_a_run_on_what_was_never_fetched_says_what_to_do(serve: Serve, tmp_path: Path) -> None:
    server = serve(20)
    with pytest.raises(ParamsError) as caught:
        refresh(terms_for(server), tmp_path, BINANCE)
    assert "engine data fetch --exchange binance --symbol BTC/USDT --timeframe 30m --since" in caught.value.remedy
    server.faults.always["markets"] = Fault("status", 503)
    with pytest.raises(UnreachableError):
        refresh(terms_for(server), tmp_path, BINANCE)
