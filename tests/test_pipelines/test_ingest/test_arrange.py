import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.ingest.arrange import Arrangement, Survey, arrange, ensure_reachable, in_time_order, spell, spooled
from pipelines.ingest.reader import BarReader
from pipelines.pieces import Spool
from tests.pieces import cut
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


def untidy(order: list[int], undated: list[int]) -> pd.DataFrame:
    """Thirty rows as found: in some order, some of them twice, some without a time."""
    frame = rows().iloc[order].reset_index(drop=True)
    frame.loc[[at for at in undated if at < len(frame)], "timestamp"] = pd.NaT
    return frame


@given(
    st.lists(st.integers(0, 29), min_size=4, max_size=60),
    st.lists(st.integers(0, 59), max_size=3),
    st.lists(st.integers(0, 60), max_size=6),
    st.none() | st.integers(2, 40),
)
@settings(deadline=None, max_examples=100)
def test_pieces_are_arranged_as_the_whole_is(
    order: list[int], undated: list[int], cuts: list[int], halves: int | None
) -> None:
    found = untidy(sorted(order), undated)
    found = found.sort_values("timestamp", na_position="last", kind="stable", ignore_index=True)
    as_of = None if halves is None else (rows()["timestamp"][0] + halves * pd.Timedelta(30, "min")).to_pydatetime()
    try:
        whole = arrange(found, as_of, "x")
    except BarError as refused:
        with pytest.raises(BarError, match=re.escape(refused.what)):
            Arrangement(lambda: cut(found, cuts), as_of, "x")
        return
    arrangement = Arrangement(lambda: cut(found, cuts), as_of, "x")
    pieces = list(arrangement.pieces())
    pd.testing.assert_frame_equal(pd.concat(pieces, ignore_index=True), whole.rows)
    assert all(isinstance(piece.index, pd.RangeIndex) for piece in pieces)
    assert arrangement.timeframe == whole.timeframe
    assert arrangement.duplicates_collapsed == whole.duplicates_collapsed
    assert arrangement.dropped_after_as_of == whole.dropped_after_as_of
    # The definition, by pandas alone.
    dated = found["timestamp"].isna()
    closed = found if as_of is None else found[dated | (found["timestamp"] + duration(whole.timeframe) <= as_of)]
    pd.testing.assert_frame_equal(whole.rows, closed.drop_duplicates(ignore_index=True))


@given(
    st.lists(st.integers(0, 29), max_size=12),
    st.lists(st.integers(0, 11), max_size=3),
    st.lists(st.integers(0, 12), max_size=4),
)
@settings(deadline=None, max_examples=100)
def test_a_survey_sees_what_pandas_sees_in_the_whole(order: list[int], undated: list[int], cuts: list[int]) -> None:
    found = untidy(order, undated)
    survey = Survey()
    pieces = cut(found, cuts)
    assert all(one is other for one, other in zip(survey.watch(pieces), pieces, strict=True))
    stamps = found["timestamp"]
    in_order = found.sort_values("timestamp", kind="stable", na_position="last")
    assert survey.in_order == (in_order.index.equals(found.index))
    assert survey.rows == len(found)
    assert [survey.first, survey.last] == ([stamps.min(), stamps.max()] if stamps.notna().any() else [None, None])
    sorted_rows = pd.concat(in_time_order(found)(), ignore_index=True)
    pd.testing.assert_frame_equal(sorted_rows, in_order.reset_index(drop=True))


@pytest.mark.parametrize(("order", "said"), [(1, False), (-1, True)])
def test_a_source_out_of_order_is_sorted_and_that_is_said(
    order: int, said: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.csv"
    rows().drop(columns="fault_text").iloc[::order].to_csv(path, index=False)
    monkeypatch.setattr("pipelines.ingest.arrange.PIECE", 7)
    with Spool(tmp_path) as spool:
        found, remarks = spooled(BarReader(path, 4), spool)
        pieces = list(found())
        pd.testing.assert_frame_equal(pd.concat(pieces, ignore_index=True), rows())
        assert max(map(len, pieces)) == (7 if said else 4)
        pd.testing.assert_frame_equal(pd.concat(found(), ignore_index=True), rows())
    assert [("held in memory" in remark) for remark in remarks] == [True] * said
