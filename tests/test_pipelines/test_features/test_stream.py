"""A stream takes bars one by one, refuses what is none, and can be put down and taken up again."""

import io

import numpy as np
import pandas as pd
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from pipelines.features import FeatureEngine, FeatureStream
from tests.test_pipelines.test_features.conftest import SINGLE_ASSET
from tests.test_pipelines.test_features.markets import make_bars
from trading.errors import BarError, EngineError

NO_SHRINK = (Phase.explicit, Phase.reuse, Phase.generate)  # an example costs a tenth of a second


def bar_of(bars, row):
    return {"timestamp": bars.index[row], **bars.iloc[row].to_dict()}


def test_a_row_is_named_by_its_stamp_and_features_by_theirs(engine, bars):
    stream = engine.stream(bars.iloc[:1000])
    assert stream.last == bars.index[999]
    row = stream.update(bar_of(bars, 1000))
    assert row.name == stream.last == bars.index[1000]
    assert list(row.index) == engine.names
    assert row.dtype == np.float64
    np.testing.assert_array_equal(row, engine.batch(bars.iloc[:1001]).iloc[-1])


def test_blank_while_warming_up(engine, bars):
    stream = engine.stream()
    assert stream.last is None
    batch = engine.batch(bars.iloc[:6])
    for row in range(6):
        np.testing.assert_array_equal(stream.update(bar_of(bars, row)), batch.iloc[row])
    stream = engine.stream(bars.iloc[: engine.warmup - 1])
    assert stream.update(bar_of(bars, engine.warmup - 1)).isna().any()
    assert stream.update(bar_of(bars, engine.warmup)).notna().all()


def test_rows_that_were_given_stay_as_they_are(engine, bars):
    stream = engine.stream(bars.iloc[:1000])
    row = stream.update(bar_of(bars, 1000))
    kept = row.copy()
    stream.update(bar_of(bars, 1001))
    pd.testing.assert_series_equal(row, kept)


def test_nothing_of_long_ago_is_needed(engine, real_bars):
    bars = real_bars.iloc[4000:6000]
    short = engine.stream(bars.iloc[-engine.warmup - 1 : -1])
    np.testing.assert_allclose(short.update(bars.iloc[-1]), engine.batch(bars).iloc[-1], rtol=0, atol=1e-9)


def test_a_series_carries_its_stamp_as_name_or_value(engine, bars):
    by_name = engine.stream().update(bars.iloc[0])
    by_value = engine.stream().update(pd.Series({**bars.iloc[0].to_dict(), "timestamp": bars.index[0].isoformat()}))
    pd.testing.assert_series_equal(by_name, by_value)
    elsewhere = {**bar_of(bars, 0), "timestamp": bars.index[0].tz_convert("Asia/Kolkata")}
    pd.testing.assert_series_equal(by_name, engine.stream().update(elsewhere))


LATER = pd.Timestamp("2030-01-01", tz="UTC")


@pytest.mark.parametrize(
    ("harm", "error", "says"),
    [
        ({"close": np.nan}, BarError, "no feature can be computed from"),
        ({"close": np.inf}, BarError, "no feature can be computed from"),
        ({"low": -1.0}, BarError, "no feature can be computed from"),
        ({"open": 0.0}, BarError, "no feature can be computed from"),
        ({"volume": -1.0}, BarError, "no feature can be computed from"),
        ({"trades": np.inf}, BarError, "no feature can be computed from"),
        ({"high": "much"}, BarError, "not a bar: could not convert"),
        ({"high": None}, BarError, "not a bar"),
        ({"timestamp": "yesterday, perhaps"}, BarError, "not a bar"),
        ({"timestamp": pd.NaT}, BarError, "without a stamp"),
        ({"timestamp": LATER.tz_localize(None)}, BarError, "without a stamp"),
        ({"timestamp": 1_893_456_000}, BarError, "without a stamp"),
        ({"timestamp": LATER + pd.Timedelta("17min")}, BarError, "off the grid of 1h"),
        ({"timestamp": pd.Timestamp("2001-01-01", tz="UTC")}, EngineError, "comes after that of"),
    ],
)
def test_refuses_what_is_no_next_bar_and_stays_as_it_was(engine, bars, harm, error, says):
    stream = engine.stream(bars.iloc[:950])
    before = stream.save()
    with pytest.raises(error, match=says):
        stream.update({**bar_of(bars, 950), **harm})
    assert stream.save() == before
    expected = engine.batch(bars.iloc[:951]).iloc[-1]
    np.testing.assert_array_equal(stream.update(bar_of(bars, 950)), expected)


@pytest.mark.parametrize("back", [0, 1, 5])
def test_refuses_bars_it_has_had(engine, bars, back):
    stream = engine.stream(bars.iloc[:100])
    before = stream.save()
    with pytest.raises(EngineError, match="comes after"):
        stream.update(bar_of(bars, 99 - back))
    assert stream.save() == before


@pytest.mark.parametrize("missing", ["timestamp", "low", "taker_buy_volume"])
def test_refuses_half_a_bar(engine, bars, missing):
    stream = engine.stream(bars.iloc[:5])
    bar = bar_of(bars, 5)
    del bar[missing]
    with pytest.raises(BarError, match="timestamp"):
        stream.update(bar)
    assert stream.last == bars.index[4]


def test_refuses_a_history_that_is_not_bars(engine, bars):
    with pytest.raises(BarError, match="without volume"):
        engine.stream(bars.drop(columns="volume"))


@settings(max_examples=6, deadline=None, phases=NO_SHRINK)
@given(seed=st.integers(0, 1000), first=st.integers(0, 1000), more=st.integers(0, 30))
def test_goes_on_where_it_was_saved(engine, seed, first, more):
    bars = make_bars(1150, seed=seed, gaps=0.05)
    stream = engine.stream(bars.iloc[:first] if first else None)
    for row in range(first, first + more):
        stream.update(bar_of(bars, row))
    saved = stream.save()
    again = FeatureStream.restore(FeatureEngine(SINGLE_ASSET, "1h"), saved)
    assert again.last == stream.last
    assert again.save() == saved
    for row in range(first + more, first + more + 30):
        np.testing.assert_array_equal(again.update(bar_of(bars, row)), stream.update(bar_of(bars, row)))


@pytest.mark.parametrize("first", [0, 1000])
def test_a_copy_goes_its_own_way(engine, bars, first):
    stream = engine.stream(bars.iloc[:first] if first else None)
    before, copy = stream.save(), stream.copy()
    assert copy.save() == before
    rows = [copy.update(bar_of(bars, row)) for row in range(first, first + 30)]
    assert stream.save() == before, "it knows nothing of the copy's bars"
    assert copy.last == bars.index[first + 29]
    for row, expected in enumerate(rows, first):
        np.testing.assert_array_equal(stream.update(bar_of(bars, row)), expected)
    assert stream.save() == copy.save()


def test_a_copy_goes_its_own_way_in_what_is_published(bars):
    engine = FeatureEngine(["sentiment"], "1h", series=["fear_greed"])
    stream = engine.stream(bars.iloc[:10])
    copy, index = stream.copy(), pd.DatetimeIndex([bars.index[10] - pd.Timedelta("25h")])
    copy.publish({"fear_greed": pd.DataFrame({"fear_greed": [0.5]}, index=index)})
    assert copy.update(bars.iloc[10])["fear_greed"] == 0.5
    assert stream.update(bars.iloc[10])["fear_greed_missing"] == 1.0


def test_a_saved_stream_is_of_one_engine(engine, bars):
    saved = engine.stream(bars.iloc[:100]).save()
    for other in (FeatureEngine(["trend"], "1h"), FeatureEngine(SINGLE_ASSET, "30m")):
        with pytest.raises(EngineError, match="of other features"):
            FeatureStream.restore(other, saved)


def test_a_saved_stream_holds_numbers_and_text_only(engine, bars):
    """It is read where models are served: nothing in it may be executed."""
    saved = engine.stream(bars.iloc[:100]).save()
    with np.load(io.BytesIO(saved), allow_pickle=False) as arrays:
        assert all(arrays[name].dtype.kind in "fiU" for name in arrays.files)
    assert len(saved) < 1_000_000
