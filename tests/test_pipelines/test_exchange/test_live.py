"""Live bars against a market that is simulated beside them: what is finished must be what the market ended with."""

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.exchange.live import Due, LiveBars

BAR = 60_000
SETTLE = 2_000


def row(number: int, close: float = 1.0) -> list[float]:
    return [number * BAR, 1.0, 9.0, 0.5, close, 5.0]


def end(number: int) -> int:
    return (number + 1) * BAR + SETTLE


def live(last: int = 0) -> LiveBars:
    return LiveBars(BAR, SETTLE, last * BAR)


def test_a_bar_is_finished_by_time_by_its_last_message_and_by_a_later_bar() -> None:
    bars = live()
    bars.see([row(1, 2.0)], BAR + 5)
    bars.see([row(1, 3.0), row(2)], 2 * BAR + 100)
    assert bars.due(end(1) - 1) == Due()
    due = bars.due(end(1))
    assert due.ask is None
    assert [one[0] for one in due.rows] == [BAR]
    assert due.rows[0][4] == 3.0
    assert bars.due(end(1)) == Due()


def test_in_a_quiet_market_the_history_is_asked() -> None:
    bars = live()
    bars.see([row(1)], 2 * BAR + 1)
    assert bars.due(end(1)) == Due(ask=(BAR, 2 * BAR))
    bars.answered(BAR, end(1))
    assert bars.due(end(1)) == Due()
    assert bars.wake(end(1)) == end(2)


def test_a_bar_that_was_last_shown_before_its_end_is_asked_for() -> None:
    bars = live()
    bars.see([row(1, 2.0)], 2 * BAR - 1)
    bars.see([row(2)], 2 * BAR + 1)
    assert bars.due(end(1)).ask == (BAR, 2 * BAR)


def test_a_hole_in_the_stream_is_asked_for_with_what_follows_it() -> None:
    bars = live()
    bars.see([row(2), row(3)], 3 * BAR)
    assert bars.due(end(2)) == Due(ask=(BAR, 3 * BAR))


def test_what_was_seen_before_the_line_was_cut_is_not_believed() -> None:
    bars = live()
    bars.see([row(1, 7.0)], 2 * BAR)
    bars.lose()
    bars.see([row(2)], 2 * BAR + 1)
    assert bars.due(end(1)).ask == (BAR, 2 * BAR)


def test_a_bar_that_is_not_there_yet_is_asked_for_ever_more_rarely() -> None:
    bars = live()
    now = end(1)
    waits = []
    for _ in range(8):
        assert bars.due(now).ask
        bars.answered(None, now)
        assert bars.due(now) == Due()
        waits.append(bars.wake(now) - now)
        now = bars.wake(now)
    assert waits[:3] == [SETTLE, 2 * SETTLE, 4 * SETTLE]
    assert waits[-1] == BAR
    # Once it is there, the next one is looked for at its own time.
    newest = (now - SETTLE) // BAR * BAR - BAR
    bars.answered(newest, now)
    assert bars.wake(now) == newest + 2 * BAR + SETTLE


def test_a_late_change_of_a_finished_bar_is_told_once() -> None:
    bars = live()
    bars.see([row(1, 2.0), row(2)], 2 * BAR)
    bars.due(end(1))
    assert bars.changed([row(1, 2.0), row(2, 4.0)]) == []
    assert bars.changed([row(1, 2.5)]) == [(BAR, 1.0, 9.0, 0.5, 2.5, 5.0)]
    assert bars.changed([row(1, 2.5)]) == []


def test_what_the_stream_repeats_of_a_bar_that_the_history_finished_is_no_change() -> None:
    bars = live()
    bars.see([row(1, 2.0)], BAR)
    bars.answered(BAR, end(1))
    assert bars.changed([row(1, 2.0), row(1, 2.2), row(0, 9.0)]) == []


def test_only_the_newest_finished_bars_are_remembered() -> None:
    bars = live()
    for number in range(1, 30):
        bars.see([row(number), row(number + 1)], (number + 1) * BAR)
        assert bars.due(end(number)).rows
    assert bars.changed([row(2, 5.0)]) == []
    assert bars.changed([row(28, 5.0)])


@pytest.mark.parametrize("bad", [[None, 1, 1, 1, 1, 1], [BAR + 1, 1, 1, 1, 1, 1], [BAR, 1, 1, 1, None, 1], [BAR]])
def test_rows_that_are_no_bars_are_passed_over(bad: list[float]) -> None:
    bars = live()
    bars.see([bad], 0)
    assert bars.changed([bad]) == []
    assert bars.newest == 0


@settings(deadline=None, max_examples=150)
@given(st.integers(0, 10**6))
def test_every_bar_comes_once_in_order_and_as_it_ended(seed: int) -> None:
    """A market with quiet bars, a stream that lags, is cut, and forgets a bar's end, and a history that is right."""
    chance = random.Random(seed)
    final = {number: row(number, chance.random()) for number in range(1, 15) if chance.random() < 0.8}
    moments = []
    for number, ended in final.items():
        begun = number * BAR
        moments += [
            (begun + chance.randrange(BAR - SETTLE), [*row(number, -chance.random())])
            for _ in range(chance.randrange(4))
        ]
        if chance.random() < 0.7:
            moments.append((begun + BAR + chance.randrange(10), ended))
    moments.sort(key=lambda moment: moment[0])
    bars, came, now = live(), [], BAR
    while now < 18 * BAR:
        now += chance.randrange(1, BAR // 3)
        # Messages arrive in the order in which they were sent, a little later.
        while moments and moments[0][0] + SETTLE // 2 <= now:
            sent, message = moments.pop(0)
            bars.see([message], sent + chance.randrange(SETTLE // 2))
        if chance.random() < 0.05:
            bars.lose()
        due = bars.due(now)
        came += [list(one) for one in due.rows]
        if due.ask and chance.random() < 0.8:
            first, after = due.ask
            assert after <= now - SETTLE
            told = [final[one] for one in sorted(final) if first <= one * BAR < after]
            came += [list(one) for one in told]
            bars.answered(int(told[-1][0]) if told else None, now)
    assert came == [final[number] for number in sorted(final)][: len(came)]
    assert len(came) >= len(final) - 3
