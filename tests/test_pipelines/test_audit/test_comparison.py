"""Two answers are compared exactly, wherever either claims to know."""

import numpy as np
import pandas as pd
import pytest

from pipelines.audit.answer import Answer, Codes, answer_of
from pipelines.audit.comparison import Difference, Tally, compare
from pipelines.audit.known import Timing
from pipelines.audit.worlds import History, Moment

HOUR = pd.Timedelta(hours=1)
INDEX = pd.date_range("2019-01-01", periods=6, freq="h", tz="UTC", name="timestamp")
BARS = pd.DataFrame(dict.fromkeys(("open", "high", "low", "close"), 1.0), index=INDEX)
CODES = Codes()


def answer(frame: "pd.DataFrame | pd.Series", timing: Timing | None = None) -> Answer:
    return answer_of(frame, History(BARS, HOUR), timing or Timing(HOUR), CODES)


def after(hours: int, *, opened: bool = False) -> Moment:
    return Moment((INDEX[0] + hours * HOUR).as_unit("ns").value, opened)


def differences(
    true: "pd.DataFrame | pd.Series",
    other: "pd.DataFrame | pd.Series",
    moment: Moment,
    timing: Timing | None = None,
    tally: Tally | None = None,
) -> dict[object, Difference]:
    found = compare(answer(true, timing), answer(other, timing), moment, HOUR, tally or Tally())
    return {difference.column: difference for difference in found}


def frame(**columns: object) -> pd.DataFrame:
    return pd.DataFrame(columns, index=INDEX)


def test_one_bit_is_a_difference_and_its_row_is_named() -> None:
    true = frame(a=[1.0, 2.0, 3.0, 4.0, 5.0, 6.0], b=1.0)
    other = true.copy()
    other.iloc[2, 0] = np.nextafter(3.0, 4.0)
    tally = Tally()
    found = differences(true, other, after(4), tally=tally)
    assert list(found) == ["a"]
    difference = found["a"]
    assert (difference.rows, difference.row) == (1, INDEX[2])
    assert difference.known_at == (INDEX[3]).as_unit("ns").value
    assert (difference.before, difference.after) == (3.0, np.nextafter(3.0, 4.0))
    assert difference.largest == pytest.approx(0.0, abs=1e-15)
    assert tally.cells == {"a": 4, "b": 4}
    # It is not known yet.
    assert not differences(true, other, after(2))


def test_blanks_are_equal_to_blanks_only() -> None:
    true = frame(a=[np.nan, 1.0, np.nan, 1.0, np.inf, -np.inf])
    assert not differences(true, true.copy(), after(6))
    for place, value in ((0, 1.0), (1, np.nan), (4, 1e300), (5, np.inf)):
        other = true.copy()
        other.iloc[place, 0] = value
        assert differences(true, other, after(6))["a"].largest is None


@pytest.mark.parametrize(
    ("true", "other"),
    [
        (["x", "y", None, "x", "y", "x"], ["x", "y", None, "x", "x", "x"]),
        (pd.Categorical(list("aabbcc")), pd.Categorical(list("aabbbc"), categories=["c", "b", "a"])),
        (INDEX, INDEX.where(np.arange(6) != 4, INDEX[0])),
        ([2**60 + n for n in range(6)], [2**60, 2**60 + 1, 2**60 + 2, 2**60 + 3, 2**60 + 5, 2**60 + 5]),
        ([[1], [2], [3], [4], [5], [6]], [[1], [2], [3], [4], [4], [6]]),
        (INDEX.as_unit("ns") + pd.Timedelta(7, "ns"), INDEX.as_unit("ns") + pd.to_timedelta([7] * 4 + [8, 7], "ns")),
        (pd.array([1, 2, None, 4, 5, 6], dtype="Int64"), pd.array([1, 2, None, 4, 4, 6], dtype="Int64")),
        ([True, True, False, True, True, False], [True, True, False, True, False, False]),
    ],
)
def test_values_of_every_type_are_compared(true: object, other: object) -> None:
    found = differences(frame(a=true), frame(a=other), after(6))
    assert (found["a"].rows, found["a"].row) == (1, INDEX[4])
    assert not differences(frame(a=true), frame(a=other), after(4))


def test_a_type_that_changes_with_the_future_is_none() -> None:
    """Whole numbers become floats, and texts categories, where a blank or nothing follows."""
    assert not differences(frame(a=[1, 2, 3, 4, 5, 6]), frame(a=[1.0, 2, 3, 4, np.nan, 6]), after(4))
    text = pd.Series(list("aabbcc"), index=INDEX)
    assert not differences(text, text.astype("category"), after(6))


def test_rows_of_one_answer_are_a_difference_of_their_own() -> None:
    true = frame(a=1.0, b=2.0)
    found = differences(true, true.iloc[[0, 1, 3, 4, 5]], after(4))
    assert list(found) == [None]
    assert (found[None].rows, found[None].row) == (1, INDEX[2])
    assert (found[None].before, found[None].after) == ("there", "missing")
    found = differences(true.iloc[[0, 1, 3, 4, 5]], true, after(4))
    assert (found[None].before, found[None].after) == ("missing", "there")
    # Rows that say nothing are no news.
    blank = true.where(INDEX.to_series() != INDEX[2])
    assert not differences(blank, true.iloc[[0, 1, 3, 4, 5]], after(4))


def test_values_are_compared_beside_rows_that_differ() -> None:
    true = frame(a=np.arange(6.0), b=2.0)
    other = true.assign(a=lambda f: f["a"] + (f.index == INDEX[1])).iloc[[0, 1, 3, 4, 5]]
    found = differences(true, other, after(6))
    assert set(found) == {"a", None}
    assert found["a"].row == INDEX[1]


def test_a_column_of_one_answer_differs_where_it_says_something() -> None:
    true = frame(a=1.0)
    assert list(differences(true, true.assign(b=[0.0, 0, 0, 5, 0, 0]), after(6))) == ["b"]
    assert list(differences(true.assign(b=[0.0, 0, 0, 5, 0, 0]), true, after(6))) == ["b"]
    # It says nothing but zeros and blanks until later: a category that is yet to come.
    assert not differences(true, true.assign(b=[0.0, np.nan, 0, 5, 0, 0]), after(3))
    assert not differences(true.assign(b=False), true, after(6))


def test_what_the_other_answer_claims_to_know_counts_too() -> None:
    """The same past, but one answer says that the label has ended and the other that it has not."""
    true = pd.DataFrame({"label": [1.0, 0.0], "t_end": [INDEX[2], INDEX[5]]}, index=INDEX[:2])
    other = pd.DataFrame({"label": [1.0, 1.0], "t_end": [INDEX[2], INDEX[3]]}, index=INDEX[:2])
    found = differences(true, other, after(3, opened=True))
    assert set(found) == {"label", "t_end"}
    assert found["label"].row == INDEX[1]
    assert not differences(true, other, after(2, opened=True))


def test_a_row_that_knows_an_open_is_not_judged_by_a_future_that_replaces_it() -> None:
    timing = Timing(HOUR, "open")
    true, other = frame(a=np.arange(6.0)), frame(a=np.arange(6.0) + (np.arange(6) == 3))
    assert differences(true, other, after(3, opened=True), timing)
    # Everything about the bar that opens at three is another: what knows its open may change.
    assert not differences(true, other, after(3), timing)
    assert differences(true, other, after(4), timing)


def test_rows_of_one_stamp_are_told_apart() -> None:
    twice = pd.concat([frame(a=1.0), frame(a=2.0)]).sort_index(kind="stable")
    changed = twice.copy()
    changed.iloc[3, 0] = 7.0
    found = differences(twice, changed, after(6))
    assert found["a"].row == (INDEX[1], 1)
    levels = pd.MultiIndex.from_product([INDEX, ["x", "y"]], names=["timestamp", "symbol"])
    table = pd.DataFrame({"a": np.arange(12.0)}, index=levels)
    again = table.copy()
    again.iloc[5, 0] = -1.0
    assert differences(table, again, after(6))["a"].row == (INDEX[2], "y")
    assert not differences(table, again, after(2))


def test_a_column_of_stamps_stands_in_for_an_index() -> None:
    fills = pd.DataFrame({"timestamp": INDEX[[1, 3]], "price": [1.0, 2.0]})
    again = fills.assign(price=[1.0, 3.0])
    assert differences(fills, again, after(6))["price"].row == INDEX[3]


def test_an_answer_without_rows_is_an_answer() -> None:
    empty = frame(a=1.0).iloc[:0]
    assert list(differences(frame(a=1.0), empty, after(3))) == [None]
    assert list(differences(empty, frame(a=1.0), after(3))) == [None]
    assert not differences(empty, empty, after(3))
    assert not differences(pd.DataFrame(), pd.DataFrame(), after(3))
