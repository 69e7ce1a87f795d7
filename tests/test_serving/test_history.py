"""Newer bars are believed only if they continue the history."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from serving.history import History
from trading.errors import ServingError
from trading.instrument import Instrument

HOUR = pd.Timedelta("1h")
BITCOIN = Instrument("BTC/USD", "1h")
NOW = pd.Timestamp("2030-01-01", tz="UTC")


def make_bars(rows, start="2019-01-01"):
    index = pd.date_range(start, periods=rows, freq="h", tz="UTC", name="timestamp")
    close = 100 + np.arange(rows) % 7 * 1.0
    return pd.DataFrame(
        {"open": close, "high": close + 1, "low": close - 1, "close": close, "volume": 5.0}, index=index
    )


ALL = make_bars(200)
OLD = ALL.iloc[:100]


@pytest.fixture
def history():
    return History(BITCOIN, OLD, rows=60, max_gap=5, max_jump=0.6)


def test_newer_bars_are_added_and_the_oldest_forgotten(history):
    after = history.extended(ALL.iloc[100:110], NOW)
    pd.testing.assert_frame_equal(after.bars, ALL.iloc[50:110], check_freq=False)
    pd.testing.assert_frame_equal(history.bars, ALL.iloc[40:100], check_freq=False)


@given(st.lists(st.integers(1, 30), min_size=1, max_size=6), st.integers(0, 20))
@settings(max_examples=40, deadline=None)
def test_in_whatever_pieces_they_come(sizes, overlap):
    whole = History(BITCOIN, OLD, rows=60, max_gap=5, max_jump=0.6)
    pieces, at = whole, 100
    for size in sizes:
        pieces = pieces.extended(ALL.iloc[max(at - overlap, 0) : at + size], NOW)
        at = min(at + size, len(ALL))
    pd.testing.assert_frame_equal(pieces.bars, whole.extended(ALL.iloc[100:at], NOW).bars, check_freq=False)


def test_bars_that_are_known_change_nothing(history):
    assert history.extended(ALL.iloc[70:100], NOW) is history


def test_columns_that_are_read_must_be_there():
    flow = ALL.assign(taker_buy_volume=2.0, trades=3.0)
    history = History(BITCOIN, flow.iloc[:100], rows=60, max_gap=5, max_jump=0.6, columns=flow.columns)
    after = history.extended(flow.iloc[95:110], NOW)
    pd.testing.assert_frame_equal(after.bars, flow.iloc[50:110], check_freq=False)
    assert after.columns == list(flow.columns)
    with pytest.raises(ServingError, match="bars without trades"):
        history.extended(flow.iloc[95:110].drop(columns="trades"), NOW)
    with pytest.raises(ServingError, match="its trades is 4, and the history has 3"):
        history.extended(flow.iloc[95:110].assign(trades=4.0), NOW)
    plain = History(BITCOIN, flow.iloc[:100], rows=60, max_gap=5, max_jump=0.6)
    assert list(plain.extended(flow.iloc[95:110], NOW).bars.columns) == list(ALL.columns)


def test_a_history_may_begin_with_nothing():
    empty = History.union(BITCOIN, [OLD.iloc[:0]], rows=60, max_gap=5, max_jump=0.6)
    assert len(empty.extended(ALL.iloc[:10], NOW).bars) == 10
    with pytest.raises(ServingError, match="high below low"):
        empty.extended(ALL.iloc[:1].assign(high=1.0), NOW)
    joined = History.union(BITCOIN, [OLD.iloc[:0], OLD], rows=60, max_gap=5, max_jump=0.6)
    assert len(joined.bars) == 60


def test_a_gap_within_the_history_stays_a_gap():
    holed = History(BITCOIN, OLD.drop(OLD.index[80]), rows=60, max_gap=5, max_jump=0.6)
    assert ALL.index[80] not in holed.extended(ALL.iloc[70:110], NOW).bars.index


@pytest.mark.parametrize(
    ("spoil", "complaint"),
    [
        (lambda b: b.iloc[::-1], "it comes after"),
        (lambda b: pd.concat([b, b.iloc[-1:]]), "it comes after"),
        (lambda b: b.set_axis(b.index + pd.Timedelta("30min")), "not the open of a bar"),
        (lambda b: b.assign(close=np.nan), "price not a number"),
        (lambda b: b.assign(volume=np.inf), "volume not a number"),
        (lambda b: b.assign(low=-1.0), "non positive price"),
        (lambda b: b.assign(volume=-1.0), "negative volume"),
        (lambda b: b.assign(high=b["low"] - 0.5), "high below low"),
        (lambda b: b.assign(close=b["high"] + 1), "open or close outside range"),
        (lambda b: b.assign(open=b["low"] - 1), "open or close outside range"),
    ],
)
def test_bars_that_cannot_be_are_refused(history, spoil, complaint):
    before = history.bars.copy()
    with pytest.raises(ServingError, match=complaint) as caught:
        history.extended(spoil(ALL.iloc[100:105]), NOW)
    assert "2019-01-05" in caught.value.what, "names the bar"
    assert caught.value.remedy
    pd.testing.assert_frame_equal(history.bars, before)


def test_bars_at_odds_with_the_history_are_refused(history):
    changed = ALL.iloc[90:105].copy()
    changed.loc[changed.index[3], "close"] += 0.001
    with pytest.raises(ServingError, match=r"its close is 102\.001, and the history has 102"):
        history.extended(changed, NOW)


def test_the_bar_that_is_still_open_is_refused(history):
    last = ALL.index[101]
    assert history.extended(ALL.iloc[100:102], last + HOUR).bars.index[-1] == last
    with pytest.raises(ServingError, match="refused: it closes at"):
        history.extended(ALL.iloc[100:102], last + HOUR - pd.Timedelta("1s"))


def test_a_gap_that_is_too_wide_is_named(history):
    assert len(history.extended(ALL.iloc[105:106], NOW).bars) == 60
    with pytest.raises(
        ServingError, match=r"6 bars are missing .* first of them is that of 2019-01-05T04:00:00"
    ) as caught:
        history.extended(ALL.iloc[106:107], NOW)
    assert "send the missing bars from 2019-01-05T04:00:00" in caught.value.remedy
    inner = ALL.iloc[[100, 101, 108]]
    with pytest.raises(ServingError, match=r"6 bars are missing .* first of them is that of 2019-01-05T06:00:00"):
        history.extended(inner, NOW)


def scaled(bars, factor):
    return bars.assign(**{name: bars[name] * factor for name in ("open", "high", "low", "close")})


def test_a_jump_that_training_would_not_have_believed_is_refused(history):
    bad = pd.concat([ALL.iloc[100:102], scaled(ALL.iloc[102:103], 100), ALL.iloc[103:105]])
    with pytest.raises(ServingError, match=r"2019-01-05T06:00:00.*jump nobody believes") as caught:
        history.extended(bad, NOW)
    assert "jump_nobody_believes" in caught.value.rule
    with pytest.raises(ServingError, match=r"2019-01-05T04:00:00.*jump nobody believes"):
        history.extended(scaled(ALL.iloc[100:105], 1.9), NOW)
    assert len(history.extended(scaled(ALL.iloc[100:105], 1.7), NOW).bars) == 60
    generous = History(BITCOIN, OLD, rows=60, max_gap=5, max_jump=0.7)
    assert len(generous.extended(scaled(ALL.iloc[100:105], 1.9), NOW).bars) == 60
    patient = history.extended(scaled(ALL.iloc[103:105], 1.9), NOW)
    assert patient.bars.index[-1] == ALL.index[104], "after a hole more is believed"


def test_a_crash_that_was_believed_is_no_reason_to_refuse_what_follows():
    crash = OLD.copy()
    crash.iloc[-1, :4] = [crash["close"].iloc[-2] * 1.7, 180, 50, 55]
    after = scaled(ALL.iloc[100:102], 0.55)
    assert (
        History(BITCOIN, crash, rows=60, max_gap=5, max_jump=0.6).extended(after, NOW).bars.index[-1] == ALL.index[101]
    )


def test_a_bad_bar_that_the_history_left_out_is_still_left_out():
    holed = History(BITCOIN, OLD.drop(OLD.index[80]), rows=60, max_gap=5, max_jump=0.6)
    sent = pd.concat([ALL.iloc[70:80], scaled(ALL.iloc[80:81], 1000), ALL.iloc[81:105]])
    after = holed.extended(sent, NOW).bars
    assert after.index[-1] == ALL.index[104]
    assert ALL.index[80] not in after.index


def test_the_version_with_the_newest_bars_is_right():
    other = OLD.iloc[:50] * 1.01
    both = History.union(BITCOIN, [other, OLD.iloc[30:]], rows=1000, max_gap=5, max_jump=0.6)
    assert both.bars["close"].iloc[29] == other["close"].iloc[29]
    pd.testing.assert_frame_equal(both.bars.iloc[30:], OLD.iloc[30:], check_freq=False)


@pytest.mark.parametrize(("stop", "first"), [(58, 60), (59, 60), (60, 0), (70, 0)])
def test_stored_bars_are_joined_only_where_none_is_missing_between(stop, first):
    joined = History.union(BITCOIN, [OLD.iloc[:stop], OLD.iloc[60:]], rows=1000, max_gap=50, max_jump=0.6)
    pd.testing.assert_frame_equal(joined.bars, OLD.iloc[first:], check_freq=False)


def test_a_hole_that_was_validated_stays_in_the_stored_bars():
    part = OLD.drop(OLD.index[50:60])
    assert len(History.union(BITCOIN, [part], rows=1000, max_gap=5, max_jump=0.6).bars) == 90
