"""When what a step says is known."""

import numpy as np
import pandas as pd
import pytest

from pipelines.audit.known import NEVER, Known, Timing
from pipelines.audit.worlds import stamps_of

HOUR = pd.Timedelta(hours=1)
INDEX = pd.date_range("2024-01-01", periods=4, freq="h", tz="UTC", name="timestamp").delete(2)


def when(timing: Timing, frame: pd.DataFrame) -> dict[str, Known]:
    found = timing.groups(frame, stamps_of(frame.index), INDEX)
    return {column: known for columns, known in found for column in columns}


def hours(known: Known) -> list[float]:
    since = (known.times - stamps_of(INDEX[:1])[0]) / 3600e9
    return [np.inf if time == NEVER else hour for time, hour in zip(known.times, since, strict=True)]


def frame(**columns: object) -> pd.DataFrame:
    return pd.DataFrame({"value": 1.0, **columns}, index=INDEX)


def test_a_feature_is_known_at_the_close_and_knows_no_open() -> None:
    known = when(Timing(HOUR), frame())["value"]
    assert hours(known) == [1, 2, 4]
    assert not known.opened.any()


def test_a_fill_is_known_at_the_open_of_its_bar() -> None:
    for timing, made in ((Timing(HOUR, "open"), frame()), (Timing(HOUR), frame(decided_at=INDEX - HOUR))):
        known = when(timing, made)["value"]
        assert hours(known) == [0, 1, 3]
        assert known.opened.all()


def test_a_fill_on_its_decision_is_known_at_the_next_open_that_exists() -> None:
    known = when(Timing(HOUR, {"value": "next_open"}), frame(position=1.0))
    # A bar is missing after the second, and the last has no next one yet.
    assert hours(known["value"]) == [1, 3, np.inf]
    assert known["value"].opened.all()
    assert hours(known["position"]) == [1, 2, 4]


def test_a_label_is_known_at_its_end_and_a_feature_beside_it_at_its_close() -> None:
    ends = pd.Series(INDEX + 2 * HOUR, index=INDEX).where([True, False, True])
    made = frame(label=1.0, ret=0.1, t_end=ends, horizon_ret=0.2, horizon_end=ends + HOUR)
    known = when(Timing(HOUR), made)
    assert hours(known["label"]) == hours(known["ret"]) == hours(known["t_end"]) == [2, np.inf, 5]
    assert hours(known["horizon_ret"]) == [3, np.inf, 6]
    assert known["label"].opened.all()
    assert hours(known["value"]) == [1, 2, 4]
    assert not known["value"].opened.any()


def test_an_end_can_be_declared_for_all_columns_or_for_some() -> None:
    ends = pd.Series(INDEX + 2 * HOUR, index=INDEX)
    assert hours(when(Timing(HOUR, t_end=ends), frame())["value"]) == [2, 3, 5]
    made = frame(y=1.0, ends=ends)
    assert hours(when(Timing(HOUR, t_end="ends"), made)["y"]) == [2, 3, 5]
    known = when(Timing(HOUR, t_end={"y": "ends"}), made)
    assert hours(known["y"]) == [2, 3, 5]
    assert hours(known["value"]) == [1, 2, 4]
    assert Timing(HOUR, t_end={"y": "ends"}).declarations(made) == {"ends"}


def test_times_can_be_said_by_a_column_a_series_or_a_delay() -> None:
    said = pd.Series(INDEX + pd.Timedelta(minutes=70), index=INDEX)
    for timing, made in (
        (Timing(HOUR), frame(known_at=said)),
        (Timing(HOUR, "said"), frame(said=said)),
        (Timing(HOUR, said), frame()),
        (Timing(HOUR, pd.Timedelta(minutes=70)), frame()),
    ):
        known = when(timing, made)["value"]
        assert known.times.tolist() == stamps_of(pd.DatetimeIndex(said)).tolist()
        assert not known.opened.any()


def test_only_the_open_of_the_rows_own_bar_is_known_at_its_time() -> None:
    mixed = pd.Series([INDEX[0], INDEX[1] + HOUR, INDEX[2]], index=INDEX)
    assert when(Timing(HOUR, mixed), frame())["value"].opened.tolist() == [True, False, True]


def test_a_column_may_be_called_like_a_moment() -> None:
    made = pd.DataFrame({"open": 1.0, "close": 2.0}, index=INDEX)
    known = when(Timing(HOUR, {"open": "open"}), made)
    assert hours(known["open"]) == [0, 1, 3]
    assert hours(known["close"]) == [1, 2, 4]
    assert Timing(HOUR, {"open": "open"}).declarations(made) == set()


def test_columns_known_together_are_compared_together() -> None:
    made = frame(other=2.0, third=3.0)
    groups = Timing(HOUR, {"third": "open"}).groups(made, stamps_of(INDEX), INDEX)
    assert [columns for columns, _ in groups] == [["value", "other"], ["third"]]


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
def test_the_unit_of_the_stamps_does_not_matter(unit: str) -> None:
    ends = pd.Series((INDEX + HOUR).as_unit(unit), index=INDEX)
    assert hours(when(Timing(HOUR, t_end=ends), frame())["value"]) == [1, 2, 4]
