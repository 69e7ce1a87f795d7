import ccxt
import pytest

from pipelines.exchange.catalogue import exchange_class, exchange_id, market_of, timeframe_of
from pipelines.exchange.errors import ExchangeError, UnsupportedError

MARKETS = {name: {"symbol": name} for name in ("BTC/USD", "BTC/EUR", "BTC/USDT:USDT", "ETH/USD", "ETH/BTC")}


@pytest.mark.parametrize("name", ["kraken", " Kraken ", "KRAKEN"])
def test_names_are_ccxt_s_in_any_case(name: str) -> None:
    assert exchange_id(name) == "kraken"


@pytest.mark.parametrize(
    ("typed", "meant"), [("krakn", "kraken"), ("binanc", "binance"), ("bitfinex2", "bitfinex"), ("coin", "coinbase")]
)
def test_an_unknown_exchange_is_met_with_names_like_it(typed: str, meant: str) -> None:
    with pytest.raises(ExchangeError, match=f"unknown exchange '{typed}'") as caught:
        exchange_id(typed)
    assert meant in caught.value.remedy


@pytest.mark.parametrize("name", ["", "qqqqqqqq"])
def test_where_nothing_is_alike_all_are_listed(name: str) -> None:
    with pytest.raises(ExchangeError) as caught:
        exchange_id(name)
    assert "kraken" in caught.value.remedy


def test_the_class_with_live_data_is_preferred() -> None:
    assert exchange_class("binance").__module__ == "ccxt.pro.binance"
    without = next(name for name in ccxt.exchanges if not hasattr(ccxt.pro, name))
    assert exchange_class(without).__module__ == f"ccxt.async_support.{without}"


@pytest.mark.parametrize(
    ("symbol", "first"), [("BTC/USDC", "BTC/USD"), ("BTC/USDT", "BTC/USDT:USDT"), ("ETC/USD", "ETH/USD")]
)
def test_an_unknown_symbol_is_met_with_its_relatives(symbol: str, first: str) -> None:
    assert market_of("kraken", MARKETS, "BTC/USD") == {"symbol": "BTC/USD"}
    with pytest.raises(UnsupportedError, match=f"no market {symbol}") as caught:
        market_of("kraken", MARKETS, symbol)
    assert first in caught.value.rule


def test_a_symbol_like_no_other_says_how_many_there_are() -> None:
    with pytest.raises(UnsupportedError) as caught:
        market_of("kraken", MARKETS, "QQQQ/XXXX")
    assert "5 markets" in caught.value.rule


def test_a_list_of_relatives_ends_somewhere() -> None:
    many = {f"BTC/{chr(65 + number)}{number}": {} for number in range(20)}
    with pytest.raises(UnsupportedError) as caught:
        market_of("kraken", many, "BTC/ZZZ")
    assert "and 12 more" in caught.value.rule


@pytest.mark.parametrize(
    ("there", "rule"), [(["1m", "1h", "1M", "1s"], "it has 1m, 1h"), (None, "it has no bars of any length")]
)
def test_an_unknown_timeframe_is_met_with_those_there_are(there: list[str] | None, rule: str) -> None:
    with pytest.raises(UnsupportedError, match="no bars of 2h") as caught:
        timeframe_of("kraken", there, "2h")
    assert caught.value.rule == rule
    assert timeframe_of("kraken", ["1h"], "1h") == "1h"
