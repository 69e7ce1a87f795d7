import math
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.exchange.candles import DAY, to_bars, to_page, usable
from pipelines.schemas import bar_schema, checked

HOUR = 3_600_000


def row(stamp: int, price: float = 1.0) -> list[float]:
    return [stamp, price, price, price, price, 2.0]


def test_rows_become_bars_of_the_contract() -> None:
    page = to_page([[HOUR, 1, 4, 0.5, 2, 10], [2 * HOUR, "2", "3", "1", "2.5", "11"]], HOUR, 0, 9 * HOUR, 9 * HOUR)
    checked(page.bars, bar_schema(), "page")
    assert page.bars.index.tolist() == [pd.Timestamp("1970-01-01 01:00Z"), pd.Timestamp("1970-01-01 02:00Z")]
    assert page.bars.iloc[1].tolist() == [2.0, 3.0, 1.0, 2.5, 11.0]


def test_a_bar_counts_once_its_end_has_come_and_not_a_millisecond_before() -> None:
    assert to_page([row(0)], HOUR, 0, HOUR, HOUR - 1).bars.empty
    assert len(to_page([row(0)], HOUR, 0, HOUR, HOUR).bars) == 1


def test_an_unfinished_row_still_says_that_the_market_went_on() -> None:
    page = to_page([row(5 * HOUR)], HOUR, 0, 9 * HOUR, 5 * HOUR + 1)
    assert page.bars.empty
    assert page.first == 5 * HOUR


def test_of_repeated_rows_the_last_counts_and_they_are_counted() -> None:
    page = to_page([row(HOUR, 1.0), row(0), row(HOUR, 3.0)], HOUR, 0, 9 * HOUR, 9 * HOUR)
    assert page.repeated == 1
    assert page.bars["close"].tolist() == [1.0, 3.0]


@pytest.mark.parametrize("length", [1, 6, 24 * 7])
def test_rows_between_two_bars_are_counted_and_left_out(length: int) -> None:
    bar = length * HOUR
    page = to_page([row(bar), row(bar + 60_000)], bar, 0, 10**12, 10**12)
    assert page.off_grid == 1
    assert len(page.bars) == 1


def test_weeks_may_begin_on_any_day() -> None:
    week = 7 * DAY
    assert len(to_page([row(4 * DAY), row(11 * DAY)], week, 0, 10**12, 10**12).bars) == 2


@pytest.mark.parametrize(
    "cells",
    [
        [0, 1, 1, 1, 1],
        [None, 1, 1, 1, 1, 1],
        [0, 1, None, 1, 1, 1],
        [0, 1, math.nan, 1, 1, 1],
        [0, 1, 1, math.inf, 1, 1],
        [0, 1, 1, 1, "n/a", 1],
    ],
)
def test_what_is_no_bar_is_counted(cells: list[Any]) -> None:
    assert not usable(cells)
    page = to_page([cells], HOUR, 0, HOUR, HOUR)
    assert (page.unusable, page.first, len(page.bars)) == (1, None, 0)


def test_no_rows_are_no_bars_but_a_frame_of_them() -> None:
    bars = to_bars([])
    assert bars.empty
    assert list(bars.columns) == ["open", "high", "low", "close", "volume"]
    assert str(bars.index.tz) == "UTC"


@settings(deadline=None, max_examples=60)
@given(
    st.lists(st.integers(-5, 40), max_size=60),
    st.integers(-5, 40),
    st.integers(-5, 45),
    st.integers(0, 50),
    st.randoms(),
)
def test_a_page_is_what_was_asked_for_and_closed_in_order(
    hours: list[int], start: int, end: int, now: int, random: Any
) -> None:
    page = to_page([row(hour * HOUR, random.random()) for hour in hours], HOUR, start * HOUR, end * HOUR, now * HOUR)
    expected = sorted({hour for hour in hours if start <= hour < end and hour + 1 <= now})
    assert page.bars.index.as_unit("ms").asi8.tolist() == [hour * HOUR for hour in expected]
    later = [hour for hour in hours if hour >= start]
    assert page.first == (min(later) * HOUR if later else None)
    assert page.repeated == len(hours) - len(set(hours))
    assert np.isfinite(page.bars.to_numpy()).all()
