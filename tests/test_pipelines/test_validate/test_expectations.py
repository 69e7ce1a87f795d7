import re

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.validate.expectations import Verdict, ensure_met, expect, offline
from pipelines.validate.merged_results import Moments
from tests.pieces import cut
from trading.errors import BarError


@pytest.fixture(scope="module")
def verdict(sample_bars: pd.DataFrame) -> Verdict:
    return expect([sample_bars.iloc[:500]], 400, "BTC-USD-1h")


def test_good_bars_meet_all_expectations(verdict: Verdict) -> None:
    assert verdict.expectations >= 10
    assert verdict.failures == ()
    ensure_met(verdict, "x.csv", "docs/index.html")


def test_the_page_can_be_read_without_a_network(verdict: Verdict) -> None:
    assert not re.search(r"https?:|//|<script|<link|<img|\bsrc=|@import|url\(", verdict.page)
    for shown in ("BTC-USD-1h", "Succeeded", "values must be unique", "must always be greater than or equal", "500"):
        assert shown in verdict.page
    assert "<style>" in verdict.page


def test_equal_bars_give_equal_bytes(verdict: Verdict, sample_bars: pd.DataFrame) -> None:
    assert expect([sample_bars.iloc[:500]], 400, "BTC-USD-1h").page == verdict.page


@pytest.mark.parametrize(
    ("damage", "failed"),
    [
        (
            lambda bars: bars.assign(close=bars["close"].where(bars.index != bars.index[5])),
            {"not_be_null", "pair_values"},
        ),
        (lambda bars: bars.assign(high=bars["low"] - 1), {"pair_values_a_to_be_greater_than_b"}),
        (lambda bars: bars.iloc[::-1], {"be_increasing"}),
        (lambda bars: bars.assign(volume=0.0), {"column_max"}),
        (lambda bars: bars.assign(open=7.0, high=7.0, low=7.0, close=7.0), {"column_stdev"}),
        (lambda bars: bars.iloc[:100], {"row_count"}),
        (lambda bars: bars.assign(vwap=1.0), {"columns_to_match_ordered_list"}),
        (lambda bars: bars.assign(volume=-bars["volume"]), {"values_to_be_between", "column_max"}),
    ],
)
def test_each_kind_of_damage_is_met_by_its_expectation(
    damage: object, failed: set[str], sample_bars: pd.DataFrame
) -> None:
    assert callable(damage)
    found = expect([damage(sample_bars.iloc[:500])], 400, "BTC-USD-1h")
    assert found.failures
    assert all(any(kind in failure for kind in failed) for failure in found.failures)
    assert all(any(kind in failure for failure in found.failures) for kind in failed)
    assert "Failed" in found.page
    with pytest.raises(BarError, match="expectations failed") as caught:
        ensure_met(found, "x.csv", "docs/index.html")
    assert "docs/index.html" in caught.value.remedy
    assert caught.value.where == "x.csv"


def test_no_bars_at_all_fail_without_a_crash(sample_bars: pd.DataFrame) -> None:
    assert any("row_count" in failure for failure in expect([sample_bars.iloc[:0]], 1, "nothing").failures)


def test_offline_keeps_anchors_and_text() -> None:
    page = offline(
        '<head><LINK rel="x" href="http://a/b.css"><script src="http://a">\nf()</script></head>'
        '<a href="#top" onclick="f()">Top</a><a href="https://a.b">Away</a><img src="x.png">'
    )
    assert page.split("</head>")[1] == '<a href="#top">Top</a><a>Away</a>'
    assert "http" not in page


def test_failures_name_what_was_found(sample_bars: pd.DataFrame) -> None:
    bars = sample_bars.iloc[:500].copy()
    bars.iloc[3, 4] = -8.5
    bars.iloc[4, [1, 2]] = [3.5, 4.5]
    verdict = expect([bars], 400, "x")
    failures = verdict.failures
    assert "(3.5, 4.5)" in verdict.page
    assert any("column=volume" in failure and "found -8.5" in failure for failure in failures)
    assert any("column_A=high, column_B=low" in failure and "found 3.5 and 4.5" in failure for failure in failures)


def facts(page: str) -> str:
    """A page without the standard deviation, whose last digits depend on the order of adding up."""
    return re.sub(r"\d+\.\d{6,}", "", page)


@pytest.mark.parametrize("cuts", [[250], [0, 1, 1, 499], [100, 200, 300, 400]])
def test_bars_in_pieces_meet_what_the_whole_meets(cuts: list[int], verdict: Verdict, sample_bars: pd.DataFrame) -> None:
    found = expect(cut(sample_bars.iloc[:500], cuts), 400, "BTC-USD-1h")
    assert (found.expectations, found.failures) == (verdict.expectations, ())
    assert facts(found.page) == facts(verdict.page)


@pytest.mark.parametrize("cuts", [[3, 4], [200, 450]])
def test_failures_in_pieces_are_those_of_the_whole(cuts: list[int], sample_bars: pd.DataFrame) -> None:
    bars = sample_bars.iloc[:500].copy()
    bars.iloc[[3, 480], 4] = -8.5
    bars.iloc[4, [1, 2]] = [3.5, 4.5]
    bars.iloc[[5, 499], 3] = np.nan
    bars.iloc[300:340, 0] = -np.arange(1.0, 41.0)
    whole, found = expect([bars], 501, "x"), expect(cut(bars, cuts), 501, "x")
    assert len(whole.failures) > 5
    assert found.failures == whole.failures
    assert facts(found.page) == facts(whole.page)


@pytest.mark.parametrize("level", [1.0, 1e6])
def test_what_only_the_whole_shows_is_judged_of_the_whole(level: float, sample_bars: pd.DataFrame) -> None:
    # Each piece is frozen and without trades or too short; all of them together are not.
    bars = sample_bars.iloc[:40].assign(volume=0.0)
    bars[["open", "high", "low", "close"]] = level
    frozen = expect(cut(bars, [10, 20]), 40, "x").failures
    assert [failure.partition("(")[0] for failure in frozen] == [
        "expect_column_stdev_to_be_between",
        "expect_column_max_to_be_between",
    ]
    bars.iloc[20:, :4], bars.iloc[30, 4] = level + 1, 1.0
    assert expect(cut(bars, [20]), 40, "x").failures == ()


def test_order_flow_is_expected_where_bars_have_it(sample_bars: pd.DataFrame) -> None:
    bars = sample_bars.iloc[:50].assign(taker_buy_volume=1.0, trades=2.0)
    plain, flow = expect([sample_bars.iloc[:50]], 40, "x"), expect([bars], 40, "x")
    assert (flow.failures, flow.expectations) == ((), plain.expectations + 4)
    failures = expect([bars.assign(trades=-1.0)], 40, "x").failures
    assert len(failures) == 1
    assert "column=trades" in failures[0]
    assert any("ordered_list" in failure for failure in expect([bars.drop(columns="trades")], 40, "x").failures)


@given(st.lists(st.floats(-1e6, 1e6), min_size=2, max_size=40), st.lists(st.integers(0, 40), max_size=5))
@settings(deadline=None)
def test_moments_of_parts_are_those_of_the_whole(values: list[float], cuts: list[int]) -> None:
    moments = Moments()
    for piece in cut(pd.DataFrame({"value": values}), cuts):
        moments = moments.joined(piece["value"].to_numpy())
    assert moments.count == len(values)
    np.testing.assert_allclose(moments.mean, np.mean(values), rtol=1e-9, atol=1e-6)
    np.testing.assert_allclose(moments.deviation, np.std(values, ddof=1), rtol=1e-9, atol=1e-6)


def test_less_than_two_values_have_no_deviation() -> None:
    assert np.isnan(Moments().deviation)
    assert np.isnan(Moments().joined(np.array([3.0])).deviation)
