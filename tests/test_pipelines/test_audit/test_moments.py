"""The moments that leaks hide at are all looked at."""

import numpy as np
import pandas as pd
import pytest

from pipelines.audit.known import Known
from pipelines.audit.moments import Question, choose
from pipelines.audit.worlds import WORLDS, History, stamps_of

HOUR = pd.Timedelta(hours=1)


def chosen(bars: pd.DataFrame, cuts: int = 12, *, opened: bool = False, **more: object) -> list[Question]:
    history = History(bars, HOUR, **more)  # type: ignore[arg-type]
    times = history.stamps if opened else history.closes
    known = Known(times, np.full(len(times), opened))
    return choose(history, [known], [0, 24, 100], cuts, np.random.default_rng(0))


def times_of(questions: list[Question], word: str) -> pd.DatetimeIndex:
    return pd.DatetimeIndex([question.moment.time for question in questions if word in question.moment.why])


def test_moments_are_in_order_and_each_is_asked_once(busy: pd.DataFrame) -> None:
    questions = chosen(busy)
    at = [question.moment.at for question in questions]
    assert at == sorted(set(at))
    assert 40 <= len(questions) <= 75
    assert all(question.worlds and set(question.worlds) <= set(WORLDS) for question in questions)
    # Few runs of the step: about two a moment.
    assert sum(len(question.worlds) for question in questions) < 2.2 * len(questions)


def test_the_last_rows_and_the_first_values_are_looked_at(busy: pd.DataFrame) -> None:
    at = {question.moment.time for question in chosen(busy)}
    closes = busy.index + HOUR
    # Nothing follows the very last one.
    assert {*closes[-4:-1]} <= at
    assert closes[-1] not in at
    assert {closes[0], closes[1], closes[24], closes[25], closes[100], closes[101]} <= at


@pytest.mark.parametrize(
    ("word", "is_end"),
    [
        ("4 hours", lambda t: t.hour % 4 == 0),
        ("a day", lambda t: t.hour == 0),
        ("a week", lambda t: t.hour == 0 and t.dayofweek == 0),
        ("a month", lambda t: t.hour == 0 and t.day == 1),
    ],
)
def test_the_bars_around_the_ends_of_longer_bars_are_looked_at(busy: pd.DataFrame, word: str, is_end: object) -> None:
    questions = chosen(busy)
    at = {question.moment.time for question in questions}
    ends = [time for time in times_of(questions, f"at the end of {word}") if is_end(time)]  # type: ignore[operator]
    assert ends, word
    for end in ends:
        assert {end - HOUR, end, end + HOUR} <= at or end + HOUR > busy.index[-1]


def test_both_sides_of_gaps_are_looked_at(busy: pd.DataFrame) -> None:
    at = {question.moment.time for question in chosen(busy)}
    gaps = np.flatnonzero(np.diff(stamps_of(busy.index)) > 3600e9)
    assert len(gaps) == 2
    for gap in gaps:
        assert {busy.index[gap] + HOUR, busy.index[gap + 1] + HOUR} <= at


def test_rows_inside_a_gap_are_looked_at(busy: pd.DataFrame) -> None:
    filled = pd.date_range(busy.index[0], busy.index[-1], freq="h")
    known = Known(stamps_of(filled + HOUR), np.zeros(len(filled), dtype=bool))
    questions = choose(History(busy, HOUR), [known], [0], 0, np.random.default_rng(0))
    gap = int(np.diff(stamps_of(busy.index)).argmax())
    at = [question.moment.time for question in questions]
    assert any(busy.index[gap] + HOUR < time < busy.index[gap + 1] for time in at)


def test_extreme_bars_and_the_bars_before_them_are_looked_at(busy: pd.DataFrame) -> None:
    at = {question.moment.time for question in chosen(busy)}
    returns = np.log(busy["close"]).diff()
    for stamp in (returns.idxmax(), returns.idxmin(), busy["volume"].idxmax(), busy["volume"].idxmin()):
        assert {stamp, stamp + HOUR} & at == {stamp, stamp + HOUR}


def test_publications_are_looked_at_from_both_sides(busy: pd.DataFrame) -> None:
    days = pd.date_range("2019-01-02 00:20", periods=3, freq="D", tz="UTC", name="published_at")
    series = pd.DataFrame({"value": [1.0, 2.0, 3.0]}, index=days)
    at = {question.moment.time for question in chosen(busy, context={"fear": series})}
    for day in days:
        assert {day.floor("h"), day.floor("h") - HOUR} <= at
    # A short look, as each retrain has, is at one of them.
    questions = chosen(busy, cuts=3, context={"fear": series})
    short = {question.moment.time for question in questions} - {q.moment.time for q in chosen(busy, cuts=3)}
    assert sum(day.floor("h") in short for day in days) == 1


def test_random_moments_cover_the_hours_and_the_sample(sample_bars: pd.DataFrame) -> None:
    questions = chosen(sample_bars.iloc[:5000], cuts=48)
    random = times_of(questions, "at random")
    assert len(random) >= 40
    assert len(set(random.hour)) >= 22
    assert set(random.dayofweek) == set(range(7))
    assert max(np.diff(random)) < pd.Timedelta(hours=5000 / 48 * 2.5)


def test_all_moments_are_taken_where_that_many_are_asked_for(busy: pd.DataFrame) -> None:
    questions = chosen(busy.iloc[:50], cuts=50)
    assert [question.moment.time for question in questions] == list(busy.index[:49] + HOUR)
    assert all(question.worlds == WORLDS for question in questions)


def test_rows_known_at_opens_are_asked_at_opens(busy: pd.DataFrame) -> None:
    questions = chosen(busy, opened=True)
    assert all(question.moment.opened for question in questions)
    assert questions[-1].moment.time == busy.index[-1]


@pytest.mark.parametrize("rows", [0, 1, 2, 3])
def test_few_rows_are_no_reason_to_fail(busy: pd.DataFrame, rows: int) -> None:
    bars = busy.iloc[:rows]
    known = Known(stamps_of(bars.index + HOUR), np.zeros(rows, dtype=bool))
    questions = choose(History(bars, HOUR), [known], list(range(rows)), 5, np.random.default_rng(0))
    assert len(questions) == max(rows - 1, 0)
