import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.ingest.arrange import arrange, ensure_reachable, spell
from trading.errors import BarError
from trading.instrument import duration


def rows(count: int = 30, freq: str = "30min") -> pd.DataFrame:
    price = 100 + np.arange(count, dtype=float)
    frame = pd.DataFrame({"timestamp": pd.date_range("2024-01-01", periods=count, freq=freq, tz="UTC").as_unit("us")})
    for name in ("open", "high", "low", "close", "volume"):
        frame[name] = price
    frame["fault_text"] = pd.Series(pd.NA, index=frame.index, dtype="string")
    return frame


@given(st.permutations(range(30)), st.lists(st.integers(0, 29), max_size=10))
@settings(deadline=None, max_examples=50)
def test_order_and_repetition_of_rows_do_not_matter(order: list[int], repeated: list[int]) -> None:
    plain = rows()
    found = arrange(pd.concat([plain.iloc[order], plain.iloc[repeated]]), None, "x")
    pd.testing.assert_frame_equal(found.rows, plain)
    assert (found.timeframe, found.duplicates_collapsed, found.dropped_after_as_of) == ("30m", len(repeated), 0)


def test_rows_that_disagree_or_have_no_time_survive() -> None:
    plain = rows()
    twin = plain.iloc[[3]].assign(close=1.0)
    undated = plain.iloc[[0]].assign(timestamp=pd.NaT)
    found = arrange(pd.concat([undated, plain, twin]), None, "x")
    assert len(found.rows) == 32
    assert found.rows["timestamp"].iloc[-1] is pd.NaT
    assert found.rows["timestamp"].duplicated().sum() == 1


@given(st.integers(2, 29), st.integers(0, 29))
@settings(deadline=None, max_examples=50)
def test_as_of_equals_a_file_that_ends_there(closed: int, minutes: int) -> None:
    plain = rows()
    moment = plain["timestamp"].iloc[closed] + pd.Timedelta(minutes, "min")
    found = arrange(plain, moment.to_pydatetime(), "x")
    # The bar that opens at `closed` closes later than the moment; the one before it has closed.
    pd.testing.assert_frame_equal(found.rows, arrange(plain.iloc[:closed], None, "x").rows)
    assert found.dropped_after_as_of == len(plain) - closed


def test_a_bar_that_closes_at_as_of_is_known() -> None:
    plain = rows()
    assert len(arrange(plain, plain["timestamp"].iloc[10].to_pydatetime(), "x").rows) == 10


def test_later_rows_do_not_change_the_timeframe() -> None:
    slow, fast = rows(5, "1h"), rows(200, "1min").assign(timestamp=lambda f: f["timestamp"] + pd.Timedelta(9, "h"))
    moment = pd.Timestamp("2024-01-01 06:00", tz="UTC").to_pydatetime()
    assert arrange(pd.concat([slow, fast]), moment, "x").timeframe == "1h"
    assert arrange(pd.concat([slow, fast]), None, "x").timeframe == "1m"


def test_too_little_to_tell_a_timeframe() -> None:
    with pytest.raises(BarError, match=r"1 row\(s\) with a time before 2024"):
        arrange(rows(), pd.Timestamp("2024-01-01 00:30", tz="UTC").to_pydatetime(), "x")
    with pytest.raises(BarError) as caught:
        arrange(rows(1), None, "x")
    assert caught.value.what == "1 row(s) with a time"


@pytest.mark.parametrize("text", ["1m", "5m", "30m", "1h", "4h", "1d", "3d", "1w", "90m"])
def test_timeframes_are_spelt_as_exchanges_do(text: str) -> None:
    assert spell(duration(text), "") == text


def test_ticks_are_not_bars() -> None:
    with pytest.raises(BarError, match="apart"):
        spell(pd.Timedelta(1.5, "s"), "ticks.csv")


def test_reachable_targets() -> None:
    ensure_reachable("30m", "30m", "")
    ensure_reachable("30m", "4h", "")
    with pytest.raises(BarError, match="15m bars were asked for, but the file's are 30m") as caught:
        ensure_reachable("30m", "15m", "x.csv")
    assert "never finer" in caught.value.rule
    with pytest.raises(BarError, match="1h bars were asked for, but the file's are 45m") as caught:
        ensure_reachable("45m", "1h", "x.csv")
    assert "never finer" not in caught.value.rule
