import numpy as np
import pandas as pd
import pytest

from pipelines.ingest.columns import REQUIRED, match_columns, match_positions
from trading.bars import ORDER_FLOW
from trading.errors import BarError

# Header lines of real exports, and which of their columns are timestamp, open, high, low, close, volume, quote volume,
# what takers bought, trades; a dash stands for none.
EXPORTS = {
    "binance": (
        "open_time,open,high,low,close,volume,close_time,quote_volume,count,taker_buy_volume,taker_buy_quote_volume,ignore",
        "open_time,open,high,low,close,volume,quote_volume,taker_buy_volume,count",
    ),
    "binance spaced": (
        "Open time,Open,High,Low,Close,Volume,Close time,Quote asset volume,Number of trades,"
        "Taker buy base asset volume,Taker buy quote asset volume,Ignore",
        "Open time,Open,High,Low,Close,Volume,Quote asset volume,Taker buy base asset volume,Number of trades",
    ),
    "binance through a client": (
        "open_time,open,high,low,close,volume,close_time,quote_asset_volume,number_of_trades,"
        "taker_buy_base_asset_volume,taker_buy_quote_asset_volume,ignore",
        "open_time,open,high,low,close,volume,quote_asset_volume,taker_buy_base_asset_volume,number_of_trades",
    ),
    "takers in quote units only": (
        "open_time,open,high,low,close,volume,number_of_trades,taker_buy_quote_asset_volume",
        "open_time,open,high,low,close,volume,-,-,number_of_trades",
    ),
    "trades beside a count": (
        "timestamp,open,high,low,close,volume,count,trades",
        "timestamp,open,high,low,close,volume,-,-,trades",
    ),
    "coinbase": ("time,low,high,open,close,volume", "time,open,high,low,close,volume"),
    "kraken": ("time,open,high,low,close,vwap,volume,count", "time,open,high,low,close,volume,-,-,count"),
    "bitstamp": ("timestamp,open,high,low,close,volume", "timestamp,open,high,low,close,volume"),
    "bitfinex": ("MTS,OPEN,CLOSE,HIGH,LOW,VOLUME", "MTS,OPEN,HIGH,LOW,CLOSE,VOLUME"),
    "cryptodatadownload": (
        "unix,date,symbol,open,high,low,close,Volume BTC,Volume USD",
        "unix,open,high,low,close,Volume BTC,Volume USD",
    ),
    "cryptodatadownload, coin against coin": (
        "Date,Symbol,Open,High,Low,Close,Volume ETH,Volume BTC",
        "Date,Open,High,Low,Close,Volume ETH,Volume BTC",
    ),
    "money first": (
        "Date,Open,High,Low,Close,Volume USDT,Volume DOGE",
        "Date,Open,High,Low,Close,Volume DOGE,Volume USDT",
    ),
    "base by its plain name": (
        "unix,date,symbol,open,high,low,close,volume,Volume USD",
        "unix,open,high,low,close,volume,Volume USD",
    ),
    "bitcoin history": (
        "Timestamp,Open,High,Low,Close,Volume_(BTC),Volume_(Currency),Weighted_Price",
        "Timestamp,Open,High,Low,Close,Volume_(BTC),Volume_(Currency)",
    ),
    "cryptocompare": (
        "time,close,high,low,open,volumefrom,volumeto",
        "time,open,high,low,close,volumefrom,volumeto",
    ),
    "yahoo": ("Date,Open,High,Low,Close,Adj Close,Volume", "Date,Open,High,Low,Close,Volume"),
    "coinapi": (
        "time_period_start,time_period_end,price_open,price_high,price_low,price_close,volume_traded,trades_count",
        "time_period_start,price_open,price_high,price_low,price_close,volume_traded,-,-,trades_count",
    ),
    "short": ("t,o,h,l,c,v", "t,o,h,l,c,v"),
    "unit in the name": ("volume,close,low,time_ms,high,open", "time_ms,open,high,low,close,volume"),
    "zone in the name": ("Datetime (UTC),Open,High,Low,Close,Volume", "Datetime (UTC),Open,High,Low,Close,Volume"),
    "one of each": ("timestamp_ms,date,open,high,low,close,volume", "date,open,high,low,close,volume"),
}
CANONICAL = [*REQUIRED, "quote_volume", *ORDER_FLOW]


@pytest.mark.parametrize("export", EXPORTS)
def test_usual_exports_are_understood(export: str) -> None:
    header, wanted = (line.split(",") for line in EXPORTS[export])
    expected = {name: own for name, own in zip(CANONICAL, wanted, strict=False) if own != "-"}
    assert match_columns(header, "x.csv") == expected


@pytest.mark.parametrize("export", sorted(set(EXPORTS) - {"cryptodatadownload, coin against coin"}))
def test_column_order_does_not_matter(export: str) -> None:
    # Of two volumes in coins the first is the base: only there is order all there is.
    header, _ = (line.split(",") for line in EXPORTS[export])
    assert match_columns(header[::-1], "x.csv") == match_columns(header, "x.csv")


def test_case_does_not_matter() -> None:
    assert match_columns(["TIMESTAMP", "oPEN", "High", "LOW", "close", "VOLUME"], "")["open"] == "oPEN"


@pytest.mark.parametrize(
    ("header", "missing"),
    [
        ("timestamp,venue,coin,funding_rate", "open, high, low, close, volume"),
        ("timestamp,open,high,low,close", "volume"),
        ("timestamp,open,high,low,close,Volume USD", "volume"),
        ("timestamp,open,high,low,Adj Close,volume", "close"),
        ("open,high,low,close,volume,close_time", "timestamp"),
    ],
)
def test_a_missing_column_is_named_with_what_is_there(header: str, missing: str) -> None:
    with pytest.raises(BarError, match=f"no column for {missing} ") as caught:
        match_columns(header.split(","), "prices.csv")
    assert header.split(",")[-1] in caught.value.what
    assert caught.value.where == "prices.csv"
    assert caught.value.remedy


def test_two_columns_of_one_name_are_refused() -> None:
    with pytest.raises(BarError, match="'close' and 'Close'"):
        match_columns(["time", "open", "high", "low", "close", "Close", "volume"], "")


def ohlcv(rows: int = 50) -> pd.DataFrame:
    rng = np.random.default_rng(1)
    body = rng.uniform(90, 110, (rows, 2))
    return pd.DataFrame(
        {
            "timestamp": np.arange(rows) * 3600 + 1_500_000_000,
            "open": body[:, 0],
            "high": body.max(axis=1) + 1,
            "low": body.min(axis=1) - 1,
            "close": body[:, 1],
            "volume": rng.uniform(0, 5, rows),
        }
    )


@pytest.mark.parametrize(
    "order",
    [
        "timestamp open high low close volume",  # ccxt
        "timestamp open close high low volume",  # Bitfinex
        "timestamp low high open close volume",  # Coinbase
    ],
)
def test_six_columns_without_header_are_told_apart_by_their_prices(order: str) -> None:
    names = order.split()
    table = ohlcv()[names].set_axis(range(6), axis=1)
    assert match_positions(table, "") == {name: at for at, name in enumerate(names)}


def test_wider_tables_without_header_follow_the_exchange_that_exports_them() -> None:
    bars = ohlcv()
    kraken = bars.assign(trades=3).set_axis(range(7), axis=1)
    assert (match_positions(kraken, "")["volume"], match_positions(kraken, "")["trades"]) == (5, 6)
    binance = bars.assign(a=1, quote=2.0, b=0, c=0, d=0, e=0).set_axis(range(12), axis=1)
    for table in (binance, binance.iloc[:, :11]):
        found = match_positions(table, "")
        assert [found[name] for name in ("quote_volume", "trades", "taker_buy_volume")] == [7, 8, 9]


def test_unknown_widths_and_meaningless_prices_are_refused() -> None:
    with pytest.raises(BarError, match="9 columns without a header"):
        match_positions(ohlcv().assign(a=1, b=2, c=3).set_axis(range(9), axis=1), "")
    noise = pd.DataFrame(np.tile([1.0, 5, 4, 3, 2, 9], (30, 1)))
    noise[[1, 2, 3, 4]] = [5.0, 1.0, 9.0, 2.0]
    with pytest.raises(BarError, match="cannot tell which column"):
        match_positions(noise, "")
