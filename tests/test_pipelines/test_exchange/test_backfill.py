"""The walk through history, on exchanges made of a list of bars: what they have, and how they answer ``since``."""

import asyncio
from collections.abc import Callable
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.exchange.backfill import FEW, Step, walk
from pipelines.exchange.candles import DAY, Page, to_page

HOUR = 3_600_000
KINDS = ["first_after", "window", "newest", "all"]


class Exchange:
    """Hourly bars at some hours, and an answer to ``since`` of one kind."""

    def __init__(self, hours: list[int], kind: str, most: int, now: int) -> None:
        self.hours, self.kind, self.most, self.now = sorted(set(hours)), kind, most, now
        self.asked = 0
        self.mute: set[int] = set()

    def rows(self, since: int, limit: int | None) -> list[list[float]]:
        self.asked += 1
        count = min(limit or self.most, self.most)
        if self.asked in self.mute:
            return []
        stamps = [hour * HOUR for hour in self.hours if hour * HOUR <= self.now]
        match self.kind:
            case "first_after":
                stamps = [stamp for stamp in stamps if stamp >= since][:count]
            case "window":
                stamps = [stamp for stamp in stamps if since <= stamp < since + count * HOUR]
            case "newest":
                stamps = stamps[-count:]
        return [[stamp, 1.0, 1.0, 1.0, 1.0, 1.0] for stamp in stamps]

    def days(self, since: int) -> list[int]:
        return sorted({hour * HOUR // DAY * DAY for hour in self.hours if hour * HOUR >= since - since % DAY})


def walked(exchange: Exchange, start: int, end: int, *, daily: bool = True, limit: int | None = -1) -> list[Step]:
    limit = exchange.most if limit == -1 else limit

    async def ask(since: int, rows: int | None) -> Page:
        assert since >= start * HOUR
        return to_page(exchange.rows(since, rows), HOUR, since, end * HOUR, exchange.now)

    async def days(since: int) -> list[int]:
        return exchange.days(since)

    async def collect() -> list[Step]:
        span = (start * HOUR, end * HOUR)
        return [step async for step in walk(ask, days if daily else None, span, HOUR, limit)]

    return asyncio.run(collect())


def hours_of(steps: list[Step]) -> list[int]:
    return [stamp // HOUR for step in steps for stamp in step.bars.index.as_unit("ms").asi8]


@settings(deadline=None, max_examples=60)
@given(
    st.lists(st.integers(0, 300), max_size=80),
    st.sampled_from(["first_after", "window", "all"]),
    st.integers(1, 30),
    st.integers(0, 250),
    st.integers(1, 300),
    st.booleans(),
)
def test_every_bar_comes_once_and_in_order_however_since_is_understood(
    hours: list[int], kind: str, most: int, start: int, end: int, daily: bool
) -> None:
    exchange = Exchange(hours, kind, most, 400 * HOUR)
    steps = walked(exchange, start, end, daily=daily)
    assert hours_of(steps) == [hour for hour in exchange.hours if start <= hour < end]
    # Steps follow one another without a hole, and say nothing about the time behind the last bar.
    joints = [start * HOUR, *(step.covered[1] for step in steps)]
    assert [step.covered for step in steps] == list(pairwise(joints))
    assert joints[-1] <= max(start, end) * HOUR
    # A request for each page, two for an empty one: no more than the time holds windows.
    assert exchange.asked <= 2 * (max(end - start, 0) // min(most, 24) + 3 + len(exchange.hours))


@settings(deadline=None, max_examples=60)
@given(st.lists(st.integers(0, 200), min_size=1, max_size=60), st.integers(2, 20), st.integers(0, 180))
def test_an_exchange_that_gives_its_newest_bars_only_gives_those(hours: list[int], most: int, start: int) -> None:
    exchange = Exchange(hours, "newest", most, 400 * HOUR)
    steps = walked(exchange, start, 390)
    assert hours_of(steps) == [hour for hour in exchange.hours[-most:] if hour >= start]


@pytest.mark.parametrize("kind", ["first_after", "window"])
def test_a_page_that_is_empty_by_mistake_costs_a_request_and_nothing_else(kind: str) -> None:
    exchange = Exchange(list(range(100)), kind, 10, 400 * HOUR)
    exchange.mute = {4}
    steps = walked(exchange, 0, 100)
    assert hours_of(steps) == list(range(100))
    assert all(not step.empty for step in steps)


def test_what_stays_empty_is_named() -> None:
    exchange = Exchange(list(range(100)), "window", 10, 400 * HOUR)
    exchange.mute = {4, 5}
    steps = walked(exchange, 0, 100)
    missing = set(range(100)) - set(hours_of(steps))
    assert missing == set(range(30, 40))
    assert [span for step in steps for span in step.empty] == [(30 * HOUR, 40 * HOUR)]


def test_years_before_the_market_began_cost_a_request_or_two() -> None:
    exchange = Exchange(list(range(50_000, 50_100)), "window", 100, 60_000 * HOUR)
    steps = walked(exchange, 0, 50_100)
    assert hours_of(steps) == list(range(50_000, 50_100))
    assert exchange.asked <= 5


def test_behind_the_last_bar_nothing_is_believed() -> None:
    exchange = Exchange(list(range(30)), "first_after", 10, 400 * HOUR)
    steps = walked(exchange, 0, 300)
    assert steps[-1].covered[1] == 30 * HOUR


def test_an_unfinished_bar_ends_the_walk_and_proves_what_lies_before_it() -> None:
    exchange = Exchange([0, 1, 5], "first_after", 10, 5 * HOUR + 1)
    steps = walked(exchange, 0, 5)
    assert hours_of(steps) == [0, 1]
    assert steps[-1].covered == (2 * HOUR, 5 * HOUR)


def test_without_a_known_page_size_windows_are_small() -> None:
    exchange = Exchange([0, 3 * FEW], "window", 2 * FEW, 9_000 * HOUR)
    assert hours_of(walked(exchange, 0, 400, daily=False, limit=None)) == [0, 3 * FEW]


@pytest.mark.parametrize("build", [lambda: Exchange([], "first_after", 5, 400 * HOUR)])
def test_an_exchange_without_any_bar_is_soon_done(build: Callable[[], Exchange]) -> None:
    exchange = build()
    assert walked(exchange, 0, 300) == []
    assert exchange.asked == 2
