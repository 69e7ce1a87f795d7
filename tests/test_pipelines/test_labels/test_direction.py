import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.labels.direction import direction_labels
from trading.errors import BarError, InstrumentError
from trading.instrument import Instrument

HOUR = pd.Timedelta(hours=1)


def bars_at(stamps, opens):
    index = pd.DatetimeIndex(stamps, name="timestamp", tz="UTC")
    open_ = np.asarray(opens, dtype=float)
    return pd.DataFrame({"open": open_, "high": open_, "low": open_, "close": open_, "volume": 1.0}, index=index)


def hourly(opens, missing=()):
    bars = bars_at(pd.date_range("2024-01-01", periods=len(opens), freq="h"), opens)
    return bars.drop(bars.index[list(missing)])


def oracle(bars, h):
    """The definition read aloud: look every price up by its clock time."""
    opens = bars["open"].to_dict()
    rows = []
    for stamp in bars.index:
        end = stamp + (1 + h) * HOUR
        span = [stamp + k * HOUR for k in range(1 + h + 1)]
        absent = [s for s in span if s not in opens and s <= bars.index[-1]]
        if absent or end > bars.index[-1]:
            rows.append((np.nan, np.nan, pd.NaT, bool(absent)))
            continue
        ret = opens[end] / opens[stamp + HOUR] - 1
        rows.append((1.0 if ret > 0 else 0.0, ret, end, False))
    frame = pd.DataFrame(rows, columns=["label", "ret", "t_end", "gap"], index=bars.index)
    frame["t_end"] = pd.to_datetime(frame["t_end"], utc=True).astype(bars.index.dtype)
    return frame.astype({"label": float, "ret": float, "gap": bool})


@settings(max_examples=60, deadline=None)
@given(
    opens=st.lists(st.integers(1, 5), min_size=1, max_size=40),
    missing=st.sets(st.integers(0, 39), max_size=6),
    h=st.integers(1, 12),
)
def test_agrees_with_the_definition(opens, missing, h):
    bars = hourly(opens, missing={m for m in missing if m < len(opens) - 1})
    labels = direction_labels(bars, Instrument("BTC/USD", "1h"), f"{h}h")
    pd.testing.assert_frame_equal(labels, oracle(bars, h))


def test_earns_from_the_next_open_and_ends_when_the_last_price_is_known(instrument):
    labels = direction_labels(hourly([10, 20, 30, 15, 15]), instrument, "1h")
    assert labels["ret"].tolist()[:3] == pytest.approx([0.5, -0.5, 0.0])
    assert labels["label"].tolist()[:3] == [1.0, 0.0, 0.0]  # unchanged is not up
    assert labels["t_end"].iloc[0] == labels.index[0] + 2 * HOUR
    assert labels[["label", "ret", "t_end"]].iloc[3:].isna().all(axis=None)
    assert not labels["gap"].any()


def test_a_span_with_a_missing_bar_is_marked_and_not_labelled(instrument):
    labels = direction_labels(hourly(range(1, 13), missing=[6]), instrument, "4h")
    spans_it = [1, 2, 3, 4, 5]
    assert labels["gap"].tolist() == [i in spans_it for i in (0, 1, 2, 3, 4, 5, 7, 8, 9, 10, 11)]
    assert labels.loc[labels["gap"], ["label", "ret", "t_end"]].isna().all(axis=None)


def test_later_bars_change_no_label_that_was_known(sample_bars, instrument):
    whole, cut = sample_bars.iloc[:2000].copy(), 1500
    before = direction_labels(whole, instrument, "24h")
    moment = whole.index[cut]
    whole.iloc[cut + 1 :] *= 3.0
    after = direction_labels(whole, instrument, "24h")
    known = before["t_end"] <= moment
    assert known.sum() > 1400
    pd.testing.assert_frame_equal(before[known], after[known])
    assert (before["ret"] != after["ret"])[~known].any()
    short = direction_labels(whole.iloc[: cut + 1], instrument, "24h")
    pd.testing.assert_frame_equal(before[known], short[known.iloc[: cut + 1]])


def test_no_bars_no_labels(instrument, bars):
    labels = direction_labels(bars.iloc[:0], instrument, "4h")
    assert labels.empty
    assert list(labels) == ["label", "ret", "t_end", "gap"]


def test_horizon_and_grid_must_fit(instrument):
    with pytest.raises(InstrumentError, match="whole number"):
        direction_labels(hourly([1, 2, 3]), instrument, "90m")
    for stamps in (["2024-01-01 00:00", "2024-01-01 01:30"], ["2024-01-01 02:00", "2024-01-01 01:00"]):
        with pytest.raises(BarError, match="one grid of 1h"):
            direction_labels(bars_at(stamps, [1, 2]), instrument, "1h")
