import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.validate.rules import (
    ROW_RULES,
    Reference,
    broken_rules,
    jump_nobody_believes,
    off_grid_stamp,
    reference_after,
    volumes_disagree,
)
from tests.pieces import cut
from trading.bars import resample
from trading.errors import BarError

HOUR = pd.Timedelta(1, "h")


def flat(closes: list[float], hours: list[int] | None = None) -> pd.DataFrame:
    """Bars whose four prices are equal."""
    opens = pd.Timestamp("2024-01-01", tz="UTC") + pd.to_timedelta(hours or range(len(closes)), unit="h")
    frame = pd.DataFrame({"timestamp": opens.as_unit("us")})
    for name in ("open", "high", "low", "close"):
        frame[name] = np.asarray(closes, dtype=float)
    return frame.assign(volume=1.0, fault_text=pd.Series(pd.NA, dtype="string", index=frame.index))


def first_broken(frame: pd.DataFrame, max_jump: float = 0.6) -> list[str | None]:
    return [None if pd.isna(rule) else rule for rule in broken_rules(frame, HOUR, max_jump)]


@pytest.mark.parametrize(
    ("column", "value", "rule"),
    [
        ("timestamp", pd.NaT, "stamp_not_a_time"),
        ("close", np.nan, "price_not_a_number"),
        ("open", np.inf, "price_not_a_number"),
        ("low", 0.0, "non_positive_price"),
        ("low", -3.0, "non_positive_price"),
        ("high", 90.0, "high_below_low"),
        ("close", 101.0, "open_or_close_outside_range"),
        ("open", 99.0, "open_or_close_outside_range"),
        ("volume", np.nan, "volume_not_a_number"),
        ("volume", np.inf, "volume_not_a_number"),
        ("volume", -1.0, "negative_volume"),
        ("timestamp", pd.Timestamp("2024-01-01 03:20", tz="UTC"), "off_grid_stamp"),
    ],
)
def test_each_rule_catches_its_row_and_no_other(column: str, value: object, rule: str) -> None:
    rows = flat([100.0] * 6)
    assert first_broken(rows) == [None] * 6
    rows.loc[3, column] = value
    assert first_broken(rows) == [None, None, None, rule, None, None]


def test_zero_volume_and_flat_bars_are_fine() -> None:
    assert first_broken(flat([1.0] * 5).assign(volume=0.0)) == [None] * 5


def test_all_rows_of_a_disputed_stamp_are_set_aside() -> None:
    rows = flat([100, 101, 102, 103], [0, 1, 1, 2])
    assert first_broken(rows) == [None, "duplicate_stamp_disagrees", "duplicate_stamp_disagrees", None]
    rows.loc[2, "close"] = np.nan
    assert first_broken(rows) == [None, "duplicate_stamp_disagrees", "price_not_a_number", None]


def test_swapped_volumes() -> None:
    rows = flat([9000.0] * 4).assign(volume=[2.0, 18000.0, 2.0, 0.0], quote_volume=[18000.0, 2.0, np.nan, 5.0])
    assert volumes_disagree(rows).tolist() == [False, True, False, False]
    assert not volumes_disagree(rows.drop(columns="quote_volume")).any()
    # Near a price of one both readings are plausible, so nothing is said.
    assert not volumes_disagree(flat([1.1]).assign(volume=2.0, quote_volume=1.8)).any()


@given(st.integers(-5000, 5000), st.sampled_from(["30min", "1h", "1D", "7D"]))
@settings(deadline=None, max_examples=50)
def test_the_grid_is_the_one_that_resampling_builds_on(minutes: int, length: str) -> None:
    bar = pd.Timedelta(length)
    stamp = pd.DatetimeIndex([pd.Timestamp("2024-01-01", tz="UTC") + pd.Timedelta(minutes, "min")])
    bars = pd.DataFrame(1.0, index=stamp, columns=["open", "high", "low", "close", "volume"])
    try:
        resample(bars, bar, 2 * bar)
        refused = False
    except BarError:
        refused = True
    assert off_grid_stamp(bars.reset_index(names="timestamp"), bar).tolist() == [refused]


def jumps(closes: list[float], hours: list[int] | None = None, limit: float = 0.6) -> list[bool]:
    return jump_nobody_believes(flat(closes, hours), HOUR, limit).tolist()


def test_a_bad_print_is_condemned_and_what_follows_is_not() -> None:
    assert jumps([100, 101, 1.06, 100, 102]) == [False, False, True, False, False]
    assert jumps([100, 1e4, 1e4, 100, 102]) == [False, True, True, False, False]


def test_a_crash_within_the_limit_stays() -> None:
    assert not any(jumps([100, 60, 40, 70]))


def test_a_lasting_shift_is_believed_after_a_while() -> None:
    # log(10) = 2.30 > 0.6 * sqrt(k) until k = 15: the shift is doubted for 14 bars, then believed for good.
    found = jumps([100] * 3 + [1000] * 40)
    assert found == [False] * 3 + [True] * 14 + [False] * 26


def test_a_gap_widens_the_limit() -> None:
    assert jumps([100, 300], [0, 1]) == [False, True]
    assert jumps([100, 300], [0, 24]) == [False, False]


def test_wicks_may_reach_twice_as_far() -> None:
    rows = flat([100.0] * 3)
    rows.loc[1, "low"] = 100 * np.exp(-1.1)
    assert not jump_nobody_believes(rows, HOUR, 0.6).any()
    rows.loc[1, "low"] = 100 * np.exp(-1.3)
    assert jump_nobody_believes(rows, HOUR, 0.6).tolist() == [False, True, False]


def test_the_first_bar_is_measured_from_its_own_open() -> None:
    rows = flat([100.0, 100.0])
    rows.loc[0, ["low", "close"]] = 1.0
    assert jump_nobody_believes(rows, HOUR, 0.6)[0]
    assert jump_nobody_believes(rows.iloc[:0], HOUR, 0.6).size == 0


def oracle(rows: pd.DataFrame, limit: float) -> list[bool]:
    """The definition, bar after bar."""
    condemned = []
    close, at = rows["open"].iloc[0], rows["timestamp"].iloc[0] - HOUR
    for row in rows.itertuples():
        allowed = limit * np.sqrt((row.timestamp - at) / HOUR)
        bad = (
            max(abs(np.log(row.open / close)), abs(np.log(row.close / close))) > allowed
            or max(abs(np.log(row.high / close)), abs(np.log(row.low / close))) > 2 * allowed
        )
        condemned.append(bad)
        if not bad:
            close, at = row.close, row.timestamp
    return condemned


@st.composite
def wild_bars(draw: st.DrawFn) -> pd.DataFrame:
    count = draw(st.integers(1, 40))
    rng = np.random.default_rng(draw(st.integers(0, 10_000)))
    hours = np.cumsum(rng.integers(1, 4, count)).tolist()
    rows = flat((100 * np.exp(np.cumsum(rng.standard_t(2, count) * 0.4))).tolist(), hours)
    rows["open"] *= np.exp(rng.standard_t(2, count) * 0.2)
    body = rows[["open", "close"]]
    rows["high"] = body.max(axis=1) * np.exp(rng.exponential(0.3, count))
    rows["low"] = body.min(axis=1) * np.exp(-rng.exponential(0.3, count))
    return rows


@given(wild_bars())
@settings(deadline=None, max_examples=50)
def test_jumps_equal_the_definition(rows: pd.DataFrame) -> None:
    assert jump_nobody_believes(rows, HOUR, 0.6).tolist() == oracle(rows, 0.6)


@given(wild_bars(), st.integers(1, 40))
@settings(deadline=None, max_examples=50)
def test_no_verdict_depends_on_later_rows(rows: pd.DataFrame, known: int) -> None:
    whole = broken_rules(rows, HOUR, 0.6)
    pd.testing.assert_series_equal(broken_rules(rows.iloc[:known], HOUR, 0.6), whole.iloc[:known])


def test_rules_are_named_as_they_are_reported() -> None:
    assert list(ROW_RULES) == [rule.__name__ for rule in ROW_RULES.values()]
    assert all(rule.__doc__ for rule in ROW_RULES.values())


@pytest.mark.parametrize(
    ("column", "value", "rule"),
    [
        ("trades", np.nan, "order_flow_not_a_number"),
        ("taker_buy_volume", np.inf, "order_flow_not_a_number"),
        ("trades", -1.0, "negative_order_flow"),
        ("taker_buy_volume", -0.1, "negative_order_flow"),
        ("taker_buy_volume", 1.00001, "taker_buy_volume_above_volume"),
        ("trades", 2.5, "trades_not_whole"),
    ],
)
def test_order_flow_is_judged_where_it_is_given(column: str, value: float, rule: str) -> None:
    rows = flat([100.0] * 6)
    flow = rows.assign(taker_buy_volume=[1.0, 0.0, 0.5, 0.5, 1 + 1e-9, 0.3], trades=[3.0, 0.0, 1.0, 2.0, 9.0, 7.0])
    assert first_broken(flow) == [None] * 6
    flow.loc[3, column] = value
    assert first_broken(flow) == [None, None, None, rule, None, None]


def test_volume_is_blamed_before_what_is_measured_by_it() -> None:
    rows = flat([100.0] * 2).assign(taker_buy_volume=0.0, trades=0.0)
    rows.loc[1, "volume"] = -1.0
    assert first_broken(rows) == [None, "negative_volume"]
    assert not ROW_RULES["taker_buy_volume_above_volume"](rows).any()
    assert not any(ROW_RULES[name](flat([100.0])).any() for name in ROW_RULES if "order_flow" in name)


@given(wild_bars(), st.lists(st.integers(0, 40), max_size=5))
@settings(deadline=None, max_examples=100)
def test_jumps_do_not_depend_on_where_rows_are_cut(rows: pd.DataFrame, cuts: list[int]) -> None:
    found, before = [], None
    for piece in cut(rows, cuts):
        found.append(broken_rules(piece, HOUR, 0.6, before))
        before = reference_after(piece, found[-1], HOUR, before)
    pd.testing.assert_series_equal(pd.concat(found), broken_rules(rows, HOUR, 0.6))


def test_rows_that_cannot_be_measured_leave_the_reference() -> None:
    rows = flat([100.0, 100.0, 1e6])
    rows.loc[0, "volume"] = -1.0
    nothing = broken_rules(rows.iloc[:1], HOUR, 0.6)
    assert reference_after(rows.iloc[:1], nothing, HOUR, None) is None
    known = reference_after(rows, broken_rules(rows, HOUR, 0.6), HOUR, None)
    assert known == Reference(rows["timestamp"][1], 100.0)
    assert reference_after(rows.iloc[:1], nothing, HOUR, known) == known
