"""Bar by bar gives what the batch gives."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from trading.errors import BarError, EngineError

NO_SHRINK = (Phase.explicit, Phase.reuse, Phase.generate)  # an example costs a tenth of a second


def bar_of(bars, row):
    return {"timestamp": bars.index[row], **bars.iloc[row].to_dict()}


@settings(max_examples=8, deadline=None, phases=NO_SHRINK)
@given(seed=st.integers(0, 1000), first=st.integers(0, 1300), scale=st.sampled_from([1e-4, 1.0, 1e5]))
def test_equals_the_batch(engine, walk, seed, first, scale):
    bars = walk(1450, seed=seed, price=scale, gaps=0.03)
    batch = engine.batch(bars)
    stream = engine.stream(bars.iloc[:first] if first else None)
    for row in range(first, min(first + 6, len(bars))):
        got = stream.update(bar_of(bars, row))
        np.testing.assert_allclose(got, batch.iloc[row], rtol=0, atol=1e-9)
        assert got.name == bars.index[row]
        assert list(got.index) == engine.names
        assert got.dtype == np.float64


def test_blank_while_warming_up_then_bounded(engine, walk):
    bars = walk(900, seed=31)
    stream = engine.stream(bars.iloc[: engine.warmup - 1])
    assert stream.update(bar_of(bars, engine.warmup - 1)).isna().any()
    assert stream.update(bar_of(bars, engine.warmup)).notna().all()
    for row in range(engine.warmup + 1, engine.warmup + 54):
        stream.update(bar_of(bars, row))
    assert len(stream._bars) == engine.warmup + 51


def test_nothing_of_long_ago_is_needed(engine, sample_bars):
    bars = sample_bars.iloc[4000:6000]
    stream = engine.stream(bars.iloc[:-1])
    np.testing.assert_allclose(stream.update(bars.iloc[-1]), engine.batch(bars).iloc[-1], rtol=0, atol=1e-9)
    assert stream.last == bars.index[-1]


def test_a_series_carries_its_stamp_as_name_or_value(engine, bars):
    by_name = engine.stream().update(bars.iloc[0])
    by_value = engine.stream().update(pd.Series({**bars.iloc[0].to_dict(), "timestamp": bars.index[0].isoformat()}))
    pd.testing.assert_series_equal(by_name, by_value)
    assert engine.stream().last is None


@pytest.mark.parametrize("back", [0, 1, 5])
def test_refuses_bars_out_of_order_and_stays_as_it_was(engine, bars, back):
    stream = engine.stream(bars.iloc[:100])
    with pytest.raises(EngineError, match="comes after"):
        stream.update(bar_of(bars, 99 - back))
    pd.testing.assert_series_equal(
        stream.update(bar_of(bars, 100)), engine.batch(bars.iloc[:101]).iloc[-1], check_freq=False
    )


@pytest.mark.parametrize(
    "harm",
    [
        {"close": np.nan},
        {"low": -1.0},
        {"volume": -1.0},
        {"high": "much"},
        {"high": None},
        {"timestamp": pd.NaT},
        {"timestamp": pd.Timestamp("2030-01-01")},
        {"timestamp": "yesterday, perhaps"},
        {"timestamp": pd.Timestamp("2030-01-01 00:17", tz="UTC")},
    ],
)
def test_refuses_what_is_no_bar_and_stays_as_it_was(engine, bars, harm):
    stream = engine.stream(bars.iloc[:100])
    with pytest.raises(BarError):
        stream.update({**bar_of(bars, 100), **harm})
    assert stream.last == bars.index[99]
    with pytest.raises(BarError, match="not a bar"):
        stream.update({"timestamp": bars.index[100], "close": 1.0})


def test_refuses_a_history_that_is_not_bars(engine, bars):
    with pytest.raises(BarError, match="without volume"):
        engine.stream(bars.drop(columns="volume"))
