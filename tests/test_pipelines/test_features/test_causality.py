"""What happens later changes nothing now, and longer bars are seen only when they are over."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from pipelines.features import FeatureEngine
from pipelines.features.engine import GROUPS
from pipelines.features.market import market_of
from pipelines.features.multi_timeframe import contexts
from trading.bars import known_at, resample
from trading.errors import InstrumentError

NO_SHRINK = (Phase.explicit, Phase.reuse, Phase.generate)  # an example costs a tenth of a second


@settings(max_examples=12, deadline=None, phases=NO_SHRINK)
@given(cut=st.integers(1, 1399), seed=st.integers(0, 1000), factor=st.floats(0.2, 5.0))
def test_other_futures_leave_the_past_bit_identical(engine, walk, cut, seed, factor):
    bars = walk(1400, seed=1, gaps=0.02)
    cut = min(cut, len(bars) - 1)
    future = walk(len(bars) - cut, seed=seed, price=bars["close"].iloc[cut - 1] * factor)
    other = bars.copy()
    other.iloc[cut:] = future.to_numpy()
    past, same, short = (engine.batch(version).iloc[:cut] for version in (bars, other, bars.iloc[:cut]))
    np.testing.assert_array_equal(same, past)
    np.testing.assert_array_equal(short, past)


def test_every_feature_but_the_clock_hears_its_own_bar(engine, walk):
    bars = walk(1400, seed=2)
    other = bars.copy()
    other.iloc[1000:1048] = walk(48, seed=3, price=120.0).to_numpy()
    changed = (engine.batch(other) != engine.batch(bars)).iloc[1000:1048].any()
    deaf = {f.name for f in engine.features if not changed[f.name]}
    assert deaf == {f.name for f in engine.features if f.group == "calendar"} | {"missing_bars_24"}


@pytest.mark.parametrize("length", ["4h", "1d"])
def test_longer_bars_are_those_of_the_resampler_joined_at_their_close(sample_bars, length):
    bars = sample_bars.iloc[:1500]
    hour, span = pd.Timedelta("1h"), pd.Timedelta(length)
    complete, _ = resample(bars, hour, span)
    ended = complete.assign(known=complete.index + span, end=(complete.index + span).as_unit("ns").asi8.astype(float))
    expected = pd.merge_asof(pd.DataFrame({"known": known_at(bars.index, "1h")}), ended, on="known")
    higher = market_of(bars, hour).higher(span)
    # A longer bar with missing base bars exists here and not there: compare where the newest one is whole.
    whole = (higher.seen(higher.completed_at.astype(float)) == expected["end"]).to_numpy()
    assert 0.9 < whole.mean() < 1.0
    for column in ("open", "high", "low", "close", "volume"):
        unit = 1.0 if column == "volume" else 2.0**40
        seen = higher.seen(getattr(higher, column)) / unit
        np.testing.assert_allclose(seen[whole], expected[column][whole], rtol=1e-14)


def test_a_day_is_seen_from_its_last_hour_on(walk):
    bars = walk(100, start="2024-01-01 00:00")
    engine = FeatureEngine(["multi_timeframe"], "1h")
    frame = engine.batch(bars)["since_close_1d"]
    assert frame.iloc[:46].isna().all()  # its warm-up allows for a history that begins within a day
    day_close = bars["close"].iloc[47]
    before = bars["close"].iloc[23]
    assert frame.iloc[46] == pytest.approx(np.log(bars["close"].iloc[46] / before))
    assert frame.iloc[47] == 0.0  # 23:00 to 24:00: the day is over at its close
    assert frame.iloc[50] == pytest.approx(np.log(bars["close"].iloc[50] / day_close))


def test_a_longer_bar_is_made_of_the_bars_there_are_and_ends_on_the_clock(walk):
    bars = walk(96, start="2024-01-01 00:00")
    there = bars.drop(bars.index[[40, 46, 47]])  # two hours before midnight are missing
    higher = market_of(there, pd.Timedelta("1h")).higher(pd.Timedelta("1d"))
    closes = higher.seen(higher.close) / 2.0**40
    volume = higher.seen(higher.volume)
    at = {stamp: row for row, stamp in enumerate(there.index)}
    assert closes[at[bars.index[45]]] == bars["close"].iloc[23]  # 21:00: today is not over, whatever is missing
    assert closes[at[bars.index[48]]] == bars["close"].iloc[45]
    assert volume[at[bars.index[48]]] == pytest.approx(bars["volume"].iloc[[*range(24, 40), *range(41, 46)]].sum())
    assert np.isnan(closes[at[bars.index[22]]])


@pytest.mark.parametrize(
    ("timeframe", "expected"),
    [
        ("1m", ("5m", "30m")),
        ("5m", ("30m", "2h")),
        ("15m", ("1h", "6h")),
        ("30m", ("2h", "12h")),
        ("1h", ("4h", "1d")),
        ("2h", ("8h", "2d")),
        ("4h", ("1d", "4d")),
    ],
)
def test_which_longer_bars_stand_behind_a_timeframe(timeframe, expected):
    assert contexts(pd.Timedelta(timeframe)) == expected


@pytest.mark.parametrize("timeframe", ["1d", "7m"])
def test_no_longer_bars_for_some(timeframe):
    with pytest.raises(InstrumentError, match="no longer bars"):
        FeatureEngine(GROUPS, timeframe)
    assert FeatureEngine(["technical", "volume", "calendar"], timeframe).names


def test_multi_day_bars_start_on_mondays(walk):
    higher = market_of(walk(400, timeframe="4h"), pd.Timedelta("4h")).higher(pd.Timedelta("7D"))
    assert set(pd.DatetimeIndex(higher.completed_at, tz="UTC").day_name()) == {"Monday"}
