"""Frames of bars as arrays, and what is refused."""

import re

import numpy as np
import pandas as pd
import pytest

from pipelines.features.market import market_of
from tests.test_pipelines.test_features.markets import make_bars
from trading.bars import COLUMNS
from trading.errors import BarError

HOUR = pd.Timedelta("1h")
BARS = make_bars(50, gaps=0.1)


def test_columns_become_rows():
    market = market_of(BARS, HOUR)
    assert len(market) == len(BARS)
    np.testing.assert_array_equal(market.values, BARS[COLUMNS].to_numpy().T)
    np.testing.assert_array_equal(pd.to_datetime(market.opened, unit="s", utc=True), BARS.index)
    assert market.values.flags.c_contiguous
    assert market_of(BARS, HOUR, [*COLUMNS, "trades"]).values.shape == (6, len(BARS))
    assert len(market_of(BARS.iloc[:0], HOUR)) == 0


def test_stamps_in_any_unit_and_zone():
    expected = market_of(BARS, HOUR).opened
    for index in (BARS.index.as_unit("ns"), BARS.index.as_unit("s"), BARS.index.tz_convert("Asia/Kolkata")):
        np.testing.assert_array_equal(market_of(BARS.set_axis(index), HOUR).opened, expected)


def test_integers_are_numbers_too():
    whole = BARS.round()
    np.testing.assert_array_equal(market_of(whole.astype(int), HOUR).values, market_of(whole, HOUR).values)


@pytest.mark.parametrize(
    ("harm", "says"),
    [
        (lambda b: b.drop(columns=["open", "trades"]), "bars without open, trades"),
        (lambda b: b.reset_index(drop=True), "bars without stamps.*RangeIndex"),
        (lambda b: b.tz_localize(None), "bars without stamps.*DatetimeIndex"),
        (lambda b: b.assign(close="dear"), "text among the bars"),
        (lambda b: b.assign(close=b["close"].where(b.index != b.index[7])), "1 bar.s. that no feature"),
        (lambda b: b.assign(low=0.0), f"{len(BARS)} bar.s. that no feature"),
        (lambda b: b.assign(high=np.inf), f"{len(BARS)} bar.s. that no feature"),
        (lambda b: b.assign(volume=-1.0), f"{len(BARS)} bar.s. that no feature"),
        (lambda b: b.assign(trades=np.nan), f"{len(BARS)} bar.s. that no feature"),
        (lambda b: b.iloc[::-1], "bars off their grid"),
        (lambda b: b.iloc[[0, 1, 1, 2]], "bars off their grid"),
        (lambda b: b.set_axis(b.index[:1].append(b.index[1:] + pd.Timedelta("5min"))), "bars off their grid"),
    ],
)
def test_refuses_what_is_not_bars(harm, says):
    with pytest.raises(BarError, match=f"(?s)^{says}"):
        market_of(harm(BARS), HOUR, [*COLUMNS, "trades"])


def test_says_where_it_begins():
    spoilt = BARS.copy()
    spoilt.iloc[[11, 13], 2] = np.nan
    with pytest.raises(BarError, match=re.escape(f"first at {BARS.index[11]}")):
        market_of(spoilt, HOUR)
    with pytest.raises(BarError, match=re.escape(f"first at {BARS.index[4]}, after {BARS.index[9]}")):
        market_of(pd.concat([BARS.iloc[:10], BARS.iloc[4:6]]), HOUR)
