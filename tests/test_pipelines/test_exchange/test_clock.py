import pandas as pd
import pytest

from pipelines.exchange.clock import ExchangeClock, Ticker

NOON = pd.Timestamp("2024-01-01 12:00Z")


class World:
    """Time as a test wants it."""

    def __init__(self, wall: pd.Timestamp) -> None:
        self.passed, self.shown = 100.0, wall.timestamp()

    def clock(self) -> ExchangeClock:
        return ExchangeClock(Ticker(lambda: self.passed, lambda: self.shown))

    def go(self, seconds: float) -> None:
        self.passed += seconds
        self.shown += seconds


def told(clock: ExchangeClock, world: World, server: pd.Timestamp, trip: float = 0.2) -> None:
    """Ask for the time; the answer is made half way."""
    sent = world.passed
    world.go(trip)
    clock.tell(server.timestamp() * 1000, "server", sent)


@pytest.mark.parametrize("wrong", [-7200.0, -5.0, 0.0, 3.0, 86400.0])
def test_the_exchange_s_time_counts_and_is_never_run_ahead_of(wrong: float) -> None:
    world = World(NOON + pd.Timedelta(seconds=wrong))
    clock = world.clock()
    told(clock, world, NOON + pd.Timedelta(seconds=0.1))
    # The answer was on its way for a tenth of a second, which nobody knows.
    assert clock.now() == NOON + pd.Timedelta(seconds=0.1)
    world.go(60)
    assert clock.now() == NOON + pd.Timedelta(seconds=60.1)
    assert clock.now() <= NOON + pd.Timedelta(seconds=60.2)


def test_setting_this_machine_s_clock_in_between_changes_nothing() -> None:
    world = World(NOON)
    clock = world.clock()
    told(clock, world, NOON, 0.0)
    world.shown += 3600
    world.go(10)
    assert clock.now() == NOON + pd.Timedelta(seconds=10)


@pytest.mark.parametrize(
    ("wrong", "words"), [(43.0, "0 days 00:00:43 ahead of"), (-7200.0, "0 days 02:00:00 behind"), (1.0, "")]
)
def test_a_clock_that_is_off_is_worth_a_word(wrong: float, words: str) -> None:
    world = World(NOON + pd.Timedelta(seconds=wrong))
    clock = world.clock()
    told(clock, world, NOON, 0.0)
    assert words in clock.warning
    assert bool(clock.warning) is bool(words)


def test_a_slow_answer_is_no_reason_to_suspect_the_clock() -> None:
    world = World(NOON)
    clock = world.clock()
    told(clock, world, NOON + pd.Timedelta(seconds=8), 8.0)
    assert clock.warning == ""


def test_an_exchange_that_does_not_tell_its_time_stamps_its_answers() -> None:
    world = World(NOON + pd.Timedelta(hours=1))
    clock = world.clock()
    assert "does not tell its time" in clock.warning
    assert clock.now() == NOON + pd.Timedelta(hours=1)
    clock.hear({"date": "Mon, 01 Jan 2024 12:00:00 GMT"}, world.passed)
    assert clock.source == "header"
    assert clock.now() == NOON
    assert "ahead of" in clock.warning


def test_headers_without_a_date_or_with_an_old_one_are_passed_over() -> None:
    world = World(NOON)
    clock = world.clock()
    for headers in ({}, {"Date": ""}, {"Date": "yesterday"}):
        clock.hear(headers, world.passed)
        assert clock.source == "local"
    clock.hear({"Date": "Mon, 01 Jan 2024 12:00:00 GMT"}, world.passed)
    world.go(30)
    # From a cache on the way: half a minute old.
    clock.hear({"Date": "Mon, 01 Jan 2024 12:00:00 GMT"}, world.passed)
    assert clock.now() == NOON + pd.Timedelta(seconds=30)


def test_a_time_that_was_asked_for_is_not_replaced_by_a_header() -> None:
    world = World(NOON)
    clock = world.clock()
    told(clock, world, NOON, 0.0)
    clock.hear({"Date": "Mon, 01 Jan 2024 15:00:00 GMT"}, world.passed)
    assert clock.now() == NOON
