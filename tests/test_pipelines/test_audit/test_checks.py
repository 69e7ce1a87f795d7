"""The audit is itself audited: each planted leak must be found, and an honest pipeline must pass."""

import numpy as np
import pandas as pd
import pytest

from pipelines.audit.checks import Check, compare, known_by, labels_known_by, moments, outcomes_ahead, verdict
from pipelines.audit.perturb import changed_after
from pipelines.labels.direction import direction_labels
from trading.instrument import Instrument

HOUR = pd.Timedelta(hours=1)


def world(bars: pd.DataFrame, moment: pd.Timestamp) -> pd.DataFrame:
    return changed_after(bars.reset_index(), moment, HOUR, seed=1).set_index("timestamp")


def test_the_other_future_starts_where_it_is_told(bars: pd.DataFrame) -> None:
    moment = bars.index[700]
    other = world(bars, moment)
    known = other.index + HOUR <= moment
    pd.testing.assert_frame_equal(other[known], bars.iloc[:700], check_freq=False)
    later = other[~known]
    assert (later != bars.reindex(later.index)).all(axis=None)
    assert (later["high"] >= later[["open", "close", "low"]].max(axis=1) - 1e-9).all()
    # The bar that was open at the moment is not known yet; whether a later one exists is news too.
    assert later.index[0] >= moment
    assert 0 < len(bars) - 700 - len(later) < 50


def test_compare_counts_values_and_names_the_first() -> None:
    index = pd.date_range("2019-01-01", periods=3, freq="h", tz="UTC")
    true = pd.DataFrame({"a": [1.0, np.nan, 3.0], "b": [1.0, 2.0, 3.0]}, index=index)
    same = compare("x", index[2], true, true.copy())
    assert (same.compared, same.changed, same.first_changed) == (6, 0, None)
    other = true.copy()
    other.iloc[1, 1] = np.nextafter(2.0, 3.0)
    found = compare("x", index[2], true, other)
    assert (found.changed, found.first_changed) == (1, f"b at {index[1]}")


def test_a_row_or_column_of_one_side_only_is_a_change() -> None:
    index = pd.date_range("2019-01-01", periods=3, freq="h", tz="UTC")
    true = pd.DataFrame({"a": [1.0, np.nan, 3.0]}, index=index)
    assert compare("x", index[2], true, true.iloc[[0, 2]]).changed == 1
    assert compare("x", index[2], true, true.assign(b=1.0)).changed == 3


@pytest.mark.parametrize("shift", [-1, -3])
def test_a_feature_that_looks_ahead_is_found_and_an_honest_one_is_not(bars: pd.DataFrame, shift: int) -> None:
    cut = bars.index[700] + HOUR
    other = world(bars, cut)

    def changes(feature: pd.DataFrame, again: pd.DataFrame) -> int:
        return compare("f", cut, known_by(feature, cut, HOUR), known_by(again, cut, HOUR)).changed

    def past(frame: pd.DataFrame) -> pd.DataFrame:
        return frame[["close"]].pct_change(4)

    assert changes(past(bars), past(other)) == 0
    assert 0 < changes(past(bars).shift(shift), past(other).shift(shift)) <= -shift
    scaled = (bars[["close"]] - bars[["close"]].mean()) / bars[["close"]].std()
    again = (other[["close"]] - other[["close"]].mean()) / other[["close"]].std()
    assert changes(scaled, again) > 600


def test_labels_are_known_when_their_last_bar_has_closed(bars: pd.DataFrame, instrument: Instrument) -> None:
    cut = bars.index[700] + HOUR
    other = world(bars, cut)
    true, again = (direction_labels(frame, instrument, "4h") for frame in (bars, other))
    honest = compare("l", cut, labels_known_by(true, cut, HOUR), labels_known_by(again, cut, HOUR))
    assert honest.changed == 0
    assert honest.compared > 1000
    late = cut + HOUR
    assert compare("l", cut, labels_known_by(true, late, HOUR), labels_known_by(again, late, HOUR)).changed > 0


def test_an_outcome_that_is_known_beforehand_is_found(bars: pd.DataFrame, instrument: Instrument) -> None:
    cut = bars.index[700] + HOUR
    other = world(bars, cut)
    true, again = (direction_labels(frame, instrument, "4h") for frame in (bars, other))
    honest = outcomes_ahead("o", cut, true, again, HOUR)
    assert (honest.compared, honest.changed) == (5, 0)

    def foretold(frame: pd.DataFrame, labels: pd.DataFrame) -> pd.DataFrame:
        return labels.assign(ret=(frame["close"] / frame["open"] - 1).reindex(labels.index))

    found = outcomes_ahead("o", cut, foretold(bars, true), foretold(other, again), HOUR)
    assert found.changed == found.compared == 5
    assert found.first_changed is not None


def test_moments_are_closes_inside_the_block(instrument: Instrument, bars: pd.DataFrame) -> None:
    found = moments(pd.DatetimeIndex(bars.index), instrument, 5, seed=1)
    assert found == sorted(set(found))
    assert len(found) == 5
    assert bars.index[1] + HOUR <= found[0] <= found[-1] <= bars.index[-2] + HOUR


def check(kind: str, compared: int, changed: int) -> Check:
    where = "a at t" if changed else None
    return Check(kind, pd.Timestamp("2019-01-01", tz="UTC"), compared, changed, where)


def test_the_verdict_needs_clean_checks_and_caught_controls() -> None:
    control = [check("control", 10, 1)]
    assert verdict([check("features", 10, 0)], control)["clean"]
    assert not verdict([check("features", 10, 0), check("features", 10, 2)], control)["clean"]
    assert not verdict([check("features", 0, 0)], control)["clean"]
    assert verdict([check("features", 10, 0), check("fills 1h", 0, 0)], control)["clean"]
    summed = verdict([check("features", 10, 0), check("features", 10, 2)], control)["checks"]
    assert summed == [{"check": "features", "cuts": 2, "compared": 20, "changed": 2, "first_changed": "a at t"}]


def test_each_kind_of_control_must_be_caught_at_least_once() -> None:
    honest = [check("features", 10, 0)]
    hidden_once = [check("label", 10, 0), check("label", 10, 1), check("feature", 10, 1)]
    assert verdict(honest, hidden_once)["control_caught"]
    assert not verdict(honest, [check("label", 10, 0), check("feature", 10, 1)])["control_caught"]
    assert not verdict(honest, [])["control_caught"]
