import re

import pandas as pd
import pytest

from pipelines.validate.expectations import Verdict, ensure_met, expect, offline
from trading.errors import BarError


@pytest.fixture(scope="module")
def verdict(sample_bars: pd.DataFrame) -> Verdict:
    return expect(sample_bars.iloc[:500], 400, "BTC-USD-1h")


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
    assert expect(sample_bars.iloc[:500], 400, "BTC-USD-1h").page == verdict.page


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
    found = expect(damage(sample_bars.iloc[:500]), 400, "BTC-USD-1h")
    assert found.failures
    assert all(any(kind in failure for kind in failed) for failure in found.failures)
    assert all(any(kind in failure for failure in found.failures) for kind in failed)
    assert "Failed" in found.page
    with pytest.raises(BarError, match="expectations failed") as caught:
        ensure_met(found, "x.csv", "docs/index.html")
    assert "docs/index.html" in caught.value.remedy
    assert caught.value.where == "x.csv"


def test_no_bars_at_all_fail_without_a_crash(sample_bars: pd.DataFrame) -> None:
    assert any("row_count" in failure for failure in expect(sample_bars.iloc[:0], 1, "nothing").failures)


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
    verdict = expect(bars, 400, "x")
    failures = verdict.failures
    assert "(3.5, 4.5)" in verdict.page
    assert any("column=volume" in failure and "found -8.5" in failure for failure in failures)
    assert any("column_A=high, column_B=low" in failure and "found 3.5 and 4.5" in failure for failure in failures)
