"""What the audit promises to whoever calls it: what it tells, what it refuses, and what it cannot judge."""

import json
from typing import Any

import numpy as np
import pandas as pd
import pytest

from pipelines.audit.lookahead import find_lookahead
from pipelines.audit.report import ROWS
from trading.errors import EngineError

HOUR = pd.Timedelta(hours=1)


def step(bars: pd.DataFrame) -> pd.DataFrame:
    close = bars["close"]
    return pd.DataFrame(
        {"past": close.diff(), "early": close.shift(-3), "centre": close.rolling(9, center=True).mean()}
    )


def test_the_report_says_when_how_and_how_far(busy: pd.DataFrame) -> None:
    report = find_lookahead(step, busy)
    assert report.columns == ["early", "centre"]
    assert [report.first(column).ahead for column in report.columns] == [3, 4]
    table = report.to_frame()
    assert set(table["column"]) == {"early", "centre"}
    assert (table["known_at"] <= table["moment"]).all()
    assert table["ahead"].between(1, 4).all()
    # A row is where it says: it changed by what it says, and it was known when it says.
    first = report.first("early")
    assert first.row + HOUR == first.known_at
    assert first.before == busy["close"].shift(-3)[first.row]
    text = str(report)
    assert text.startswith("LOOK-AHEAD: 3 columns")
    assert "early sees at least 3 bars too far" in text
    assert "centre sees at least 4 bars too far" in text
    assert "past" not in text


def test_the_report_is_json(busy: pd.DataFrame) -> None:
    report = find_lookahead(step, busy)
    told = json.loads(report.to_json())
    assert told["columns"] == ["early", "centre"]
    assert told["verdict"] == "guilty"
    assert {finding["column"]: finding["ahead"] for finding in told["findings"]} == {"early": 3, "centre": 4}
    assert told["compared"] == report.compared > 0
    assert told["failures"] == []


def test_a_clean_report_says_what_it_is_worth(busy: pd.DataFrame) -> None:
    report = find_lookahead(lambda bars: bars["close"].diff(), busy)
    assert report.clean
    assert report.columns == []
    assert report.to_frame().empty
    assert str(report).startswith(f"no look-ahead: 1 column, {report.compared:,} values, {len(report.moments)} moments")


def test_the_same_seed_finds_the_same(busy: pd.DataFrame) -> None:
    assert find_lookahead(step, busy, seed=4).to_json() == find_lookahead(step, busy, seed=4).to_json()


def test_a_leak_in_the_last_digits_is_told_from_rounding_on_demand(busy: pd.DataFrame) -> None:
    def faint(bars: pd.DataFrame) -> pd.Series:
        return bars["close"] * (1 + 1e-14 * bars["close"].pct_change().shift(-1).fillna(0.0).clip(-1, 1) * 100)

    assert find_lookahead(faint, busy).columns == []
    assert find_lookahead(faint, busy).rounding
    assert find_lookahead(faint, busy, tolerance=0.0).columns == ["close"]


def test_a_step_that_is_not_deterministic_is_not_judged(busy: pd.DataFrame) -> None:
    rng = np.random.default_rng(3)

    def noisy(bars: pd.DataFrame) -> pd.DataFrame:
        return pd.DataFrame({"noise": bars["close"] + rng.normal(size=len(bars)), "past": bars["close"].diff()})

    report = find_lookahead(noisy, busy)
    assert report.unstable == ["noise"]
    assert report.columns == []
    assert report.verdict == "undecided"
    assert not report.clean
    assert "NOT DECIDED" in str(report)
    assert "two runs on the same bars differ: noise" in str(report)


def test_rows_that_come_at_random_make_all_columns_unstable(busy: pd.DataFrame) -> None:
    rng = np.random.default_rng(3)
    report = find_lookahead(lambda bars: bars[["close", "open"]][rng.random(len(bars)) < 0.5], busy)
    assert report.unstable == ["close", "open"]
    assert report.verdict == "undecided"


def test_a_leak_beside_an_unstable_column_is_still_named(busy: pd.DataFrame) -> None:
    rng = np.random.default_rng(3)

    def noisy(bars: pd.DataFrame) -> pd.DataFrame:
        return pd.DataFrame({"noise": rng.normal(size=len(bars)), "next": bars["close"].shift(-1)}, index=bars.index)

    assert find_lookahead(noisy, busy).columns == ["next"]


def test_a_step_that_raises_on_other_futures_is_told_from_a_leak(busy: pd.DataFrame) -> None:
    def delicate(bars: pd.DataFrame) -> pd.Series:
        if len(bars) < len(busy):
            raise ValueError("too few bars\nand more")
        return bars["close"].diff()

    report = find_lookahead(delicate, busy)
    assert report.columns == []
    assert report.failures
    assert {failure.world for failure in report.failures} <= {"removed", "shuffled"}
    assert report.failures[0].error == "ValueError: too few bars"
    assert report.verdict == "clean"
    assert f"raised on {len(report.failures)} of the other futures" in str(report)


def test_a_step_that_raises_on_all_other_futures_was_never_judged(busy: pd.DataFrame) -> None:
    def only_this(bars: pd.DataFrame) -> pd.Series:
        if not bars.equals(busy):
            raise EngineError("other bars", rule="these bars")
        return bars["close"].diff()

    report = find_lookahead(only_this, busy)
    assert report.verdict == "undecided"
    assert report.failures[0].error == "EngineError: other bars"


def test_what_a_step_raises_on_the_bars_themselves_is_the_callers(busy: pd.DataFrame) -> None:
    with pytest.raises(ZeroDivisionError):
        find_lookahead(lambda bars: 1 / 0, busy)


def test_a_step_may_change_the_bars_it_is_given(busy: pd.DataFrame) -> None:
    def spoiling(bars: pd.DataFrame) -> pd.Series:
        bars["close"] *= 2
        return bars["close"].diff()

    before = busy.copy()
    assert find_lookahead(spoiling, busy).clean
    pd.testing.assert_frame_equal(busy, before)


def test_windows_find_what_whole_histories_find(sample_bars: pd.DataFrame) -> None:
    bars = sample_bars.iloc[9000:12000]
    ran: list[int] = []

    def counted(given: pd.DataFrame) -> pd.DataFrame:
        ran.append(len(given))
        weekly = (given.index.dayofweek == 0) & (given.index.hour == 0)
        return step(given).assign(monday=given["open"].where(~weekly, given["open"].shift(-1)))

    report = find_lookahead(counted, bars, history=50)
    assert report.columns == ["early", "centre", "monday"]
    in_windows, whole = sum(ran), len(ran) * len(bars)
    assert in_windows < whole / 2
    assert find_lookahead(lambda given: step(given)[["past"]], bars, history=50).clean


def test_a_step_that_cannot_do_with_a_window_is_asked_on_all_bars(sample_bars: pd.DataFrame) -> None:
    bars = sample_bars.iloc[9000:10000]

    def demanding(given: pd.DataFrame) -> pd.DataFrame:
        if given.index[0] != bars.index[0]:
            raise ValueError("where is the beginning?")
        return step(given)

    report = find_lookahead(demanding, bars, history=50, cuts=0)
    assert report.columns == ["early", "centre"]
    assert not report.failures


def test_an_answer_that_is_known_already_is_not_computed_again(busy: pd.DataFrame) -> None:
    ran: list[int] = []

    def counted(bars: pd.DataFrame) -> pd.DataFrame:
        ran.append(len(bars))
        return step(bars)

    at = busy.index[300] + HOUR
    options = {"moments": [at, at.tz_localize(None)], "worlds": ["mirrored"]}
    report = find_lookahead(counted, busy, expected=step(busy), **options)
    assert (len(ran), report.evaluations) == (2, 2)
    assert report.columns == ["early", "centre"]
    # What was stored is not what the step says: everything known is another value.
    stale = step(busy).assign(past=lambda frame: frame["past"] + 1)
    assert "past" in find_lookahead(step, busy, expected=stale, **options).columns


def test_all_moments_can_be_asked_for(busy: pd.DataFrame) -> None:
    """A leak at one bar that nothing distinguishes is found by looking at all of them, and only so for certain."""
    bars = busy.iloc[:60]
    odd = bars.index[37]

    def rare(given: pd.DataFrame) -> pd.Series:
        return given["close"].where(given.index != odd, given["close"].shift(-1))

    report = find_lookahead(rare, bars, cuts=60)
    assert report.columns == ["close"]
    assert len(report.moments) == 59
    assert {finding.row for finding in report.findings} == {odd}


def test_rows_of_the_future_are_named_by_a_word_of_their_own(busy: pd.DataFrame) -> None:
    report = find_lookahead(lambda bars: bars[["close"]][(bars["close"].shift(-1) > bars["close"]).to_numpy()], busy)
    assert report.columns == [ROWS]
    finding = report.first(ROWS)
    assert {finding.before, finding.after} == {"there", "missing"}
    assert json.loads(report.to_json())["findings"][0]["before"] in {"there", "missing"}


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"known_at": "sometime"}, "nobody knows when 'sometime' is"),
        ({"t_end": "close"}, "no column of times"),
        ({"worlds": ["upside_down"]}, "no such future: upside_down"),
    ],
)
def test_a_declaration_that_means_nothing_is_refused(busy: pd.DataFrame, options: dict[str, Any], said: str) -> None:
    with pytest.raises(EngineError, match=said):
        find_lookahead(lambda bars: bars[["close"]], busy, **options)


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (lambda bars: bars["close"].to_numpy(), "returned ndarray"),
        (lambda bars: bars.reset_index(drop=True), "rows without a time"),
        (lambda bars: pd.concat([bars["close"], bars["close"]], axis=1), "two columns are called 'close'"),
    ],
)
def test_an_answer_without_a_time_is_refused(busy: pd.DataFrame, answer: Any, said: str) -> None:
    with pytest.raises(EngineError, match=said):
        find_lookahead(answer, busy)


def test_bars_without_a_time_are_refused(busy: pd.DataFrame) -> None:
    with pytest.raises(EngineError, match="without stamps in order"):
        find_lookahead(step, busy.iloc[::-1])
    with pytest.raises(EngineError, match="without close"):
        find_lookahead(step, busy[["open", "high", "low"]])
