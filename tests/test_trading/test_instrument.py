"""Symbols and timeframes are spelt one way inside, and accepted in two."""

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trading.errors import InstrumentError
from trading.instrument import Instrument, duration

CODE = st.text("ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789", min_size=1, max_size=6)


@pytest.mark.parametrize(
    ("text", "length"), [("1m", "1min"), ("30m", "30min"), ("4h", "4h"), ("1d", "1D"), ("2w", "14D")]
)
def test_durations(text: str, length: str) -> None:
    assert duration(text) == pd.Timedelta(length)


@pytest.mark.parametrize("text", ["", "h", "0h", "1H", "1.5h", "1 h", "-1h", "1y"])
def test_other_durations_are_refused(text: str) -> None:
    with pytest.raises(InstrumentError, match="timeframe"):
        duration(text)


@pytest.mark.parametrize(
    ("given_", "symbol", "slug"),
    [
        ("BTC/USD", "BTC/USD", "BTC-USD"),
        ("btc-usd", "BTC/USD", "BTC-USD"),
        ("BTC/USDT:USDT", "BTC/USDT:USDT", "BTC-USDT_USDT"),
        ("BTC-USDT_USDT", "BTC/USDT:USDT", "BTC-USDT_USDT"),
        ("BTC/USD:BTC-240628", "BTC/USD:BTC-240628", "BTC-USD_BTC-240628"),
    ],
)
def test_symbol_and_slug_mean_the_same(given_: str, symbol: str, slug: str) -> None:
    instrument = Instrument.parse(given_, "1h")
    assert (instrument.symbol, instrument.slug) == (symbol, slug)
    assert Instrument.parse(slug, "1h") == instrument


@given(CODE, CODE, st.one_of(st.none(), CODE))
def test_every_symbol_survives_its_slug(base: str, quote: str, settle: str | None) -> None:
    instrument = Instrument(f"{base}/{quote}" + (f":{settle}" if settle else ""), "4h")
    assert Instrument.parse(instrument.slug, "4h") == instrument
    assert not set(instrument.model_name("1d")) & set("/:")


@pytest.mark.parametrize("symbol", ["", "BTC", "BTC/", "BTC USD", "../etc", "BTC/USD/EUR"])
def test_other_symbols_are_refused(symbol: str) -> None:
    with pytest.raises(InstrumentError, match="symbol"):
        Instrument.parse(symbol, "1h")


def test_names_and_sizes() -> None:
    instrument = Instrument("BTC/USD", "1h")
    assert (instrument.name, instrument.model_name("24h")) == ("BTC-USD-1h", "BTC-USD-1h-24h")
    assert instrument.bars_per_year == 8760
    assert instrument.bars_in("1d") == 24


@pytest.mark.parametrize("horizon", ["30m", "90m"])
def test_a_horizon_is_whole_bars(horizon: str) -> None:
    with pytest.raises(InstrumentError, match="whole"):
        Instrument("BTC/USD", "1h").bars_in(horizon)
