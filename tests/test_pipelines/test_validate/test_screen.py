import json

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.artifacts import json_text
from pipelines.params import Params, ValidateParams
from pipelines.schemas import bar_schema, checked
from pipelines.validate.rules import broken_rules
from pipelines.validate.screen import Screener, enforce, find_gaps, screen
from tests.pieces import cut
from trading.bars import resample
from trading.errors import BarError, EngineError, TooFewBarsError

LIMITS = ValidateParams(max_quarantined_fraction=0.01, max_missing_fraction=0.05, max_jump=0.6, min_bars=100)
STRICT = ValidateParams(max_quarantined_fraction=0.0, max_missing_fraction=0.0, max_jump=0.6, min_bars=1000)
HOUR = pd.Timedelta(1, "h")


@pytest.fixture
def rows(bars: pd.DataFrame) -> pd.DataFrame:
    frame = bars.iloc[:480].reset_index()
    return frame.assign(fault_text=pd.Series(pd.NA, dtype="string", index=frame.index))


def test_clean_rows_pass_untouched(rows: pd.DataFrame, bars: pd.DataFrame) -> None:
    found = screen(rows, "1h", "1h", LIMITS)
    enforce(found, LIMITS, "x")
    pd.testing.assert_frame_equal(found.bars, bars.iloc[:480], check_freq=False)
    assert found.quarantine.empty
    assert {"rule", "detail", *rows.columns} == set(found.quarantine.columns)
    assert found.report["rows"] == found.report["rows_read"] == 480
    assert found.report["missing_bars"] == found.report["gaps_total"] == 0


def test_an_offending_row_is_kept_aside_as_it_was_and_becomes_a_gap(rows: pd.DataFrame) -> None:
    rows.loc[7, "low"] = -2.0
    rows.loc[30, "close"] = np.nan
    rows.loc[30, "fault_text"] = "close='n/a'"
    found = screen(rows, "1h", "1h", LIMITS)
    aside = found.quarantine
    assert list(aside["rule"]) == ["non_positive_price", "price_not_a_number"]
    pd.testing.assert_frame_equal(aside[rows.columns], rows.iloc[[7, 30]].reset_index(drop=True))
    assert "low=-2.0" in aside["detail"][0]
    assert aside["detail"][1].startswith("close='n/a'; open=")
    assert rows["timestamp"][7] not in found.bars.index
    assert found.report["quarantined_by_rule"] == {"non_positive_price": 1, "price_not_a_number": 1}
    assert [example["timestamp"] for example in found.report["quarantined_examples"]] == list(aside["timestamp"])
    assert found.report["gaps"] == [{"start": rows["timestamp"][at], "missing_bars": 1} for at in (7, 30)]
    enforce(found, LIMITS, "x")


@given(st.lists(st.integers(0, 479), max_size=6), st.sampled_from(["1h", "4h", "1d"]))
@settings(deadline=None, max_examples=25)
def test_a_target_bar_holds_only_believed_rows(sample_bars: pd.DataFrame, bad: list[int], target: str) -> None:
    rows = sample_bars.iloc[:480].reset_index()
    rows["fault_text"] = pd.Series(pd.NA, dtype="string", index=rows.index)
    rows.loc[bad, "volume"] = -1.0
    found = screen(rows, "1h", target, LIMITS)
    clean, _ = resample(rows.drop(index=list(set(bad))).set_index("timestamp"), HOUR, pd.Timedelta(target))
    pd.testing.assert_frame_equal(found.bars, clean)
    checked(found.bars, bar_schema(), "x")
    report = found.report
    assert report["rows_quarantined"] == len(set(bad))
    span = (report["last"] - report["first"]) // pd.Timedelta(target) + 1
    assert report["rows"] + report["missing_bars"] == span


def test_too_many_offending_rows_stop_with_counts_and_examples(rows: pd.DataFrame) -> None:
    rows.loc[10:15, "close"] = np.nan
    rows.loc[10:15, "fault_text"] = "close='?'"
    rows.loc[20, "volume"] = -1.0
    found = screen(rows, "1h", "1h", LIMITS)
    with pytest.raises(BarError) as caught:
        enforce(found, LIMITS, "prices.csv", quarantine_file="data/validated/quarantine.parquet")
    error = caught.value
    assert "7 of 480 rows (1.46%)" in error.what
    assert "price_not_a_number: 6" in error.what
    assert "negative_volume: 1" in error.what
    assert f"{rows['timestamp'][10]}: close='?'; open=" in error.what
    assert str(rows["timestamp"][13]) not in error.what  # three examples are enough
    assert error.where == "prices.csv"
    assert "1.00%" in error.rule
    assert "quarantine.parquet" in error.remedy


def test_a_row_without_time_is_shown_too(rows: pd.DataFrame) -> None:
    rows.loc[5:20, "timestamp"] = pd.NaT
    found = screen(rows.sort_values("timestamp"), "1h", "1h", LIMITS)
    assert len(found.report["quarantined_examples"]) == 10
    assert json.loads(json_text(found.report))["quarantined_examples"][0]["timestamp"] is None
    with pytest.raises(BarError, match="no time: open="):
        enforce(found, LIMITS, "x")


def test_as_many_as_allowed_pass(rows: pd.DataFrame) -> None:
    rows.loc[:2, "volume"] = -1.0
    found = screen(rows.iloc[:300], "1h", "1h", LIMITS)
    assert found.report["quarantined_fraction"] == LIMITS.max_quarantined_fraction
    enforce(found, LIMITS, "x")


def test_missing_bars_stop_the_run(rows: pd.DataFrame) -> None:
    found = screen(rows.drop(index=range(100, 140)), "1h", "1h", LIMITS)
    with pytest.raises(BarError, match=r"40 of 480 1h bars are missing \(8.3%\)") as caught:
        enforce(found, LIMITS, "x")
    assert f"40 bars from {rows['timestamp'][100]}" in caught.value.what


def test_too_few_bars_say_how_many_are_needed(rows: pd.DataFrame) -> None:
    with pytest.raises(TooFewBarsError) as caught:
        enforce(screen(rows.iloc[:60], "1h", "1h", LIMITS), LIMITS, "x")
    assert "60 complete 1h bars" in caught.value.what
    assert "100 are needed" in caught.value.what
    assert "40 more bars (1 days 16:00:00)" in caught.value.remedy
    with pytest.raises(TooFewBarsError, match=r"^0 complete 1d bars; 100 are needed"):
        enforce(screen(rows.iloc[1:20], "1h", "1d", LIMITS), LIMITS, "x")


def test_gaps_are_counted_all_and_listed_up_to_a_hundred(params: Params) -> None:
    hours = np.delete(np.arange(600), [*range(1, 598, 4), 598])
    index = pd.Timestamp("2024-01-01", tz="UTC") + pd.to_timedelta(hours, unit="h")
    rows = pd.DataFrame(1.0, index=index.rename("timestamp"), columns=["open", "high", "low", "close", "volume"])
    rows = rows.reset_index().assign(fault_text=pd.Series(pd.NA, dtype="string", index=range(len(rows))))
    report = screen(rows, "1h", "1h", params.validate_).report
    assert (report["gaps_total"], report["missing_bars"], len(report["gaps"])) == (150, 151, 100)
    starts = [gap["start"] for gap in report["gaps"]]
    assert starts == sorted(starts)
    # The longest one is in the list wherever it lies.
    assert report["gaps"][-1]["missing_bars"] == 2


def test_no_gap_in_nothing() -> None:
    assert find_gaps(pd.DatetimeIndex([], tz="UTC"), HOUR).empty
    assert find_gaps(pd.DatetimeIndex(["2024-01-01"], tz="UTC"), HOUR).empty


@st.composite
def found_rows(draw: st.DrawFn) -> pd.DataFrame:
    """Rows in time order with gaps, disputed stamps, bad prints, shifts, stamps that are none, and order flow."""
    count = draw(st.integers(1, 120))
    rng = np.random.default_rng(draw(st.integers(0, 10_000)))
    hours = np.cumsum(rng.choice([0, 1, 2, 30], count, p=[0.05, 0.85, 0.07, 0.03]))
    close = 100 * np.exp(np.cumsum(rng.standard_t(2, count) * 0.15))
    rows = pd.DataFrame({"timestamp": pd.Timestamp("2024-01-01", tz="UTC") + pd.to_timedelta(hours, unit="h")})
    rows["timestamp"] = rows["timestamp"].dt.as_unit("us")
    rows["open"] = np.append(100.0, close[:-1])
    rows["high"] = np.maximum(rows["open"], close) * 1.01
    rows["low"] = np.minimum(rows["open"], close) * 0.99
    rows["close"], rows["volume"] = close, rng.integers(0, 9, count).astype(float)
    rows.loc[rng.random(count) < 0.05, "high"] = np.nan
    rows["fault_text"] = pd.Series(pd.NA, dtype="string", index=rows.index)
    rows.loc[rows["high"].isna(), "fault_text"] = "high='?'"
    if draw(st.booleans()):
        rows["taker_buy_volume"], rows["trades"] = rows["volume"] * rng.choice([0.5, 1.0, 1.5], count), 3.0
    undated = draw(st.integers(0, 3))
    rows.loc[rows.index[count - undated :], "timestamp"] = pd.NaT
    return rows


@given(found_rows(), st.lists(st.integers(0, 120), max_size=6), st.sampled_from(["1h", "2h", "1d"]))
@settings(deadline=None, max_examples=60)
def test_where_rows_are_cut_leaves_no_trace(rows: pd.DataFrame, cuts: list[int], target: str) -> None:
    whole = screen(rows, "1h", target, LIMITS)
    aside: list[pd.DataFrame] = []
    screener = Screener("1h", target, LIMITS)
    bars = pd.concat(screener.bars(cut(rows, cuts), aside.append))
    pd.testing.assert_frame_equal(bars, whole.bars)
    pd.testing.assert_frame_equal(pd.concat(aside, ignore_index=True), whole.quarantine)
    assert screener.report == whole.report
    first = whole.quarantine.groupby("rule").head(3)
    assert sorted(screener.quarantine["detail"]) == sorted(first["detail"])
    with pytest.raises(EngineError) as one:
        enforce(whole, STRICT, "x")
    with pytest.raises(EngineError) as other:
        enforce(screener, STRICT, "x")
    assert str(one.value) == str(other.value)


@given(found_rows())
@settings(deadline=None, max_examples=50)
def test_the_report_counts_what_the_frames_hold(rows: pd.DataFrame) -> None:
    found = screen(rows, "1h", "1h", LIMITS)
    believed = rows[broken_rules(rows, HOUR, LIMITS.max_jump).isna()].set_index("timestamp")
    pd.testing.assert_frame_equal(found.bars, believed.drop(columns="fault_text"), check_freq=False)
    assert found.report["rows"] == len(found.bars)
    assert found.report["rows_quarantined"] == len(found.quarantine) == len(rows) - len(found.bars)
    assert found.report["quarantined_by_rule"] == found.quarantine["rule"].value_counts().sort_index().to_dict()
    assert [example["detail"] for example in found.report["quarantined_examples"]] == list(
        found.quarantine["detail"].head(10)
    )
    gaps = find_gaps(pd.DatetimeIndex(found.bars.index), HOUR)
    assert (found.report["gaps_total"], found.report["missing_bars"]) == (len(gaps), gaps["missing_bars"].sum())
    assert [(gap["start"], gap["missing_bars"]) for gap in found.report["gaps"]] == list(gaps.itertuples(index=False))


def test_of_many_gaps_the_longest_are_listed_wherever_rows_are_cut(params: Params) -> None:
    rng = np.random.default_rng(3)
    hours = np.cumsum(rng.integers(1, 6, 700))
    index = pd.Timestamp("2024-01-01", tz="UTC") + pd.to_timedelta(hours, unit="h")
    rows = pd.DataFrame(1.0, index=index.rename("timestamp"), columns=["open", "high", "low", "close", "volume"])
    rows = rows.reset_index().assign(fault_text=pd.Series(pd.NA, dtype="string", index=range(len(rows))))
    whole = screen(rows, "1h", "1h", params.validate_).report
    screener = Screener("1h", "1h", params.validate_)
    for _ in screener.bars(cut(rows, list(range(0, 700, 30))), lambda quarantine: None):
        pass
    assert screener.report == whole
    gaps = find_gaps(index, HOUR).sort_values(["missing_bars", "start"], ascending=[False, True]).head(100)
    assert [gap["start"] for gap in whole["gaps"]] == sorted(gaps["start"])


def test_order_flow_is_added_up_and_shown(rows: pd.DataFrame) -> None:
    rows = rows.assign(taker_buy_volume=rows["volume"] / 2, trades=7.0)
    rows.loc[9, "trades"] = 0.5
    found = screen(rows, "1h", "4h", LIMITS)
    checked(found.bars, bar_schema(), "x")
    assert (found.bars["trades"] == 28.0).all()
    np.testing.assert_allclose(found.bars["taker_buy_volume"], found.bars["volume"] / 2)
    assert found.quarantine["detail"][0].endswith("trades=0.5")
    assert rows["timestamp"][8] not in found.bars.index
