"""What the audit of the real pipeline says, and that it can be wrong about nothing in silence."""

import itertools

import pandas as pd
import pytest

from pipelines.audit.checks import Check, Findings, checks_of, outcomes_ahead, verdict
from pipelines.audit.listing import exit_code, lines_of
from pipelines.audit.lookahead import find_lookahead
from pipelines.audit.pipeline import (
    EARLY_FEATURE,
    LATE_LABEL,
    feature_table,
    label_ends,
    label_table,
    part_of,
    table,
)
from pipelines.audit.report import Failure
from pipelines.audit.stage import closes_within
from pipelines.audit.worlds import History, Moment, stamps_of
from pipelines.labels.direction import direction_labels
from trading.instrument import Instrument

HOUR = pd.Timedelta(hours=1)


def test_a_table_keeps_what_belongs_together() -> None:
    index = pd.date_range("2019-01-01", periods=2, freq="h", tz="UTC")
    both = table({"bars": pd.DataFrame({"close": 1.0}, index=index), "labels 4h": pd.DataFrame({"ret": 2.0}, index)})
    assert list(both.columns) == ["bars: close", "labels 4h: ret"]
    assert [part_of(column) for column in both.columns] == ["bars", "labels 4h"]
    assert part_of(f"{EARLY_FEATURE}: ema_12") == EARLY_FEATURE


def leaky_labels(bars: pd.DataFrame, instrument: Instrument) -> pd.DataFrame:
    """Labels over 4h whose spans are one bar longer than they say."""
    honest = direction_labels(bars, instrument, "4h")
    return honest.assign(t_end=honest["t_end"] - HOUR)


@pytest.mark.parametrize("closed", [False, True])
def test_labels_are_questioned_at_their_end_and_the_control_is_caught(
    bars: pd.DataFrame, instrument: Instrument, closed: bool
) -> None:
    def step(given: pd.DataFrame) -> pd.DataFrame:
        return label_table({h: direction_labels(given, instrument, h) for h in ("1h", "4h")}, HOUR)

    ends = label_ends(step(bars).columns, closed=closed)
    assert ends["labels 4h: ret"] == ("labels 4h: t_end closed" if closed else "labels 4h: t_end")
    how = {"known_at": ends} if closed else {"t_end": ends}
    report = find_lookahead(step, bars, cuts=2, tolerance=0.0, **how)
    assert {part_of(column) for column in report.columns} == {LATE_LABEL}
    assert {f"{LATE_LABEL}: ret 1h", f"{LATE_LABEL}: ret 4h"} <= set(report.columns)


def test_barrier_labels_have_an_end_for_each_of_their_columns() -> None:
    index = pd.date_range("2019-01-01", periods=3, freq="h", tz="UTC")
    ends = pd.Series(index + HOUR, index=index)
    frame = pd.DataFrame({"label": 1.0, "ret": 0.0, "t_end": ends, "gap": False, "touch": 1.0, "both": False})
    frame = frame.assign(horizon_ret=0.0, horizon_end=ends + HOUR, uniqueness=1.0, weight=1.0)
    found = label_ends(label_table({"4h": frame}, HOUR).columns, closed=False)
    assert found["labels 4h: touch"] == found["labels 4h: weight"] == "labels 4h: t_end"
    assert found["labels 4h: horizon_ret"] == "labels 4h: horizon_end"
    assert set(found.values()) <= set(found)


def test_the_early_feature_is_caught_and_no_other(bars: pd.DataFrame) -> None:
    def step(given: pd.DataFrame) -> pd.DataFrame:
        return feature_table(given, pd.DataFrame({"change": given["close"].diff(), "range": given["high"]}))

    report = find_lookahead(step, bars, cuts=2)
    assert report.columns == [f"{EARLY_FEATURE}: change"]
    found = {check.check: check for check in checks_of(report, rows="bars")}
    assert set(found) == {"bars", "features", EARLY_FEATURE}
    assert found[EARLY_FEATURE].changed > 0
    assert found[EARLY_FEATURE].columns == ("change",)
    assert str(found[EARLY_FEATURE].first_changed).startswith("change at 20")
    assert found["bars"].changed == found["features"].changed == 0
    assert found["bars"].compared > found["features"].compared > 0
    assert found["bars"].cuts == len(report.moments)
    assert str(found["bars"].first_cut) < str(found["bars"].last_cut)


def test_rows_that_come_or_go_are_held_against_a_check(bars: pd.DataFrame) -> None:
    def winners(given: pd.DataFrame) -> pd.DataFrame:
        return table({"bars": given[(given["close"].shift(-1) > given["close"]).to_numpy()]})

    found = checks_of(find_lookahead(winners, bars, cuts=2), rows="bars")
    # The table may lie with another worker: the check is there all the same.
    elsewhere = checks_of(find_lookahead(winners, bars, cuts=2), rows="features")
    assert [(check.check, check.changed > 0) for check in found] == [("bars", True)]
    assert [(check.check, check.changed > 0) for check in elsewhere] == [("bars", False), ("features", True)]


def test_an_outcome_that_is_known_beforehand_is_found(bars: pd.DataFrame, instrument: Instrument) -> None:
    moment = Moment(int(stamps_of(bars.index[[700]] + HOUR)[0]), opened=False)
    other = History(bars, HOUR).other(moment, "mirrored", 1).bars
    true, again = (direction_labels(frame, instrument, "4h") for frame in (bars, other))
    honest = outcomes_ahead("o", moment.time, true, again, HOUR)
    assert (honest.compared, honest.changed) == (5, 0)

    def foretold(frame: pd.DataFrame, labels: pd.DataFrame) -> pd.DataFrame:
        return labels.assign(ret=(frame["close"] / frame["open"] - 1).reindex(labels.index))

    found = outcomes_ahead("o", moment.time, foretold(bars, true), foretold(other, again), HOUR)
    assert found.changed == found.compared == 5
    assert found.first_changed == f"ret at {bars.index[696]}"


def test_moments_are_closes_inside_the_block(bars: pd.DataFrame) -> None:
    found = [moment.time for moment in closes_within(pd.DatetimeIndex(bars.index), HOUR, 5, seed=1)]
    assert found == sorted(set(found))
    assert len(found) == 5
    assert bars.index[1] + HOUR <= found[0] <= found[-1] <= bars.index[-2] + HOUR


def check(kind: str, compared: int, changed: int) -> Check:
    where = ("a at t", ("a",)) if changed else (None, ())
    return Check(kind, 1, compared, changed, *where, "2019-01-01T00:00:00+00:00", "2019-01-02T00:00:00+00:00")


CONTROL = check("control: a leak", 10, 1)


def judged(*checks: Check, failures: int = 0) -> dict[str, object]:
    time = pd.Timestamp("2019-01-01", tz="UTC")
    failed = [Failure("removed", time, "at random", "ValueError: too few")] * failures
    return verdict(Findings(list(checks), failed), ["1h", "4h"])


def test_the_verdict_needs_clean_checks_and_caught_controls() -> None:
    assert judged(check("features", 10, 0), CONTROL)["clean"]
    assert not judged(check("features", 10, 0), check("features", 10, 2), CONTROL)["clean"]
    assert not judged(check("features", 0, 0), CONTROL)["clean"]
    # Nothing was traded: nothing there to see the future.
    assert judged(check("features", 10, 0), check("fills 1h", 0, 0), check("execution 1h", 0, 0), CONTROL)["clean"]
    (summed,) = judged(check("features", 10, 0), check("features", 10, 2))["checks"]  # type: ignore[misc]
    assert (summed["cuts"], summed["compared"], summed["changed"]) == (2, 20, 2)
    assert (summed["first_changed"], summed["columns"]) == ("a at t", ("a",))


def test_each_kind_of_control_must_be_caught_at_least_once() -> None:
    def control(kind: str, compared: int, changed: int) -> Check:
        return check(f"control: {kind}", compared, changed)

    honest = check("features", 10, 0)
    hidden_once = [control("label", 10, 0), control("label", 10, 1), control("feature", 10, 1)]
    assert judged(honest, *hidden_once)["control_caught"]
    assert not judged(honest, control("label", 10, 0), control("feature", 10, 1))["control_caught"]
    assert not judged(honest)["control_caught"]
    # Without a fill there is no fill to leak; the other controls speak for the audit.
    assert judged(honest, control("fill", 0, 0), control("feature", 10, 1))["control_caught"]
    assert not judged(honest, control("fill", 0, 0))["control_caught"]


def test_the_verdict_does_not_depend_on_who_was_first() -> None:
    checks = [check(name, 10, 0) for name in ("bars", "features", "labels 1h", "labels 4h", "fit 4h", "fit 1h")]
    made = [judged(*order, CONTROL) for order in itertools.islice(itertools.permutations(checks[2:]), 24)]
    assert all(one["checks"] == made[0]["checks"] for one in made)
    names = [one["check"] for one in judged(*checks, CONTROL)["checks"]]  # type: ignore[attr-defined]
    assert names == ["bars", "features", "labels 1h", "labels 4h", "fit 1h", "fit 4h"]


@pytest.mark.parametrize(
    ("checks", "code", "said"),
    [
        ([check("features", 10, 0), CONTROL], 0, "Nothing saw the future: 10 values"),
        ([check("features", 10, 2), CONTROL], 1, "LOOK-AHEAD in features"),
        ([check("features", 10, 2), check("control: a leak", 10, 0)], 1, "LOOK-AHEAD in features"),
        ([check("features", 10, 0), check("control: a leak", 10, 0)], 2, "NOT DECIDED: a leak that was planted"),
        ([check("features", 0, 0), CONTROL], 2, "NOT DECIDED: nothing could be compared of features"),
    ],
)
def test_the_lines_and_the_exit_code_say_the_same(checks: list[Check], code: int, said: str) -> None:
    found = judged(*checks)
    assert exit_code(found) == code
    assert lines_of(found)[-1].startswith(said)


def test_the_lines_say_what_when_and_how_much() -> None:
    guilty = Check("fit 4h", 3, 1234, 7, "lstm at 2019-01-02", ("lstm", "vote"), "2019-01-01T05:00:00+00:00", None)
    lines = lines_of(judged(check("bars", 10, 0), guilty, check("fills 1h", 0, 0), CONTROL, failures=2))
    assert lines[0].split() == ["checked", "values", "moments", "from", "to", "verdict"]
    by_name = {" ".join(line.split()[1:3]): line for line in lines[1:5]}
    assert "1,234" in by_name["fit 4h"]
    assert by_name["fit 4h"].startswith("✗")
    assert by_name["bars 10"].startswith("✓")
    assert by_name["fit 4h"].endswith("7 changed, first lstm at 2019-01-02 and 1 more column")
    assert "2019-01-01 05:00" in by_name["fit 4h"]
    assert by_name["fills 1h"].endswith("nothing to compare")
    assert "On 2 of the other futures something raised" in "\n".join(lines)
    assert "ValueError: too few (removed after 2019-01-01 00:00, at random)" in "\n".join(lines)
