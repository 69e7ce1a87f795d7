import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.pieces import cut
from trading.bars import COLUMNS, ORDER_FLOW, Distances, infer_timeframe, known_at, resample
from trading.errors import BarError, InstrumentError

HALF_HOUR = pd.Timedelta("30min")
HOUR = pd.Timedelta("1h")


def make_bars(start: str, count: int, step: pd.Timedelta, seed: int = 0) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    prices = rng.uniform(1.0, 2.0, (count, 4))
    frame = pd.DataFrame(
        {
            "open": prices[:, 0],
            "high": prices.max(axis=1),
            "low": prices.min(axis=1),
            "close": prices[:, 3],
            "volume": rng.uniform(0.0, 5.0, count),
        },
        index=pd.date_range(start, periods=count, freq=step, tz="UTC", name="timestamp"),
    )
    return frame.astype(float)


def by_hand(
    bars: pd.DataFrame, source: pd.Timedelta, target: pd.Timedelta
) -> tuple[dict[pd.Timestamp, list[float]], int]:
    """The definition, one target bar at a time."""
    groups: dict[pd.Timestamp, list[tuple[float, ...]]] = {}
    for stamp, row in bars.iterrows():
        groups.setdefault(stamp.floor(target), []).append(tuple(row[COLUMNS]))
    made, dropped = {}, 0
    for stamp, rows in groups.items():
        if len(rows) < target / source:
            dropped += 1
            continue
        made[stamp] = [
            rows[0][0],
            max(row[1] for row in rows),
            min(row[2] for row in rows),
            rows[-1][3],
            sum(row[4] for row in rows),
        ]
    return made, dropped


@settings(max_examples=40, deadline=None)
@given(
    keep=st.lists(st.booleans(), min_size=3, max_size=60),
    target=st.sampled_from(["1h", "90min", "4h", "1D"]),
    offset=st.integers(0, 47),
)
def test_resample_is_the_definition_applied_bar_by_bar(keep: list[bool], target: str, offset: int) -> None:
    keep[1] = True
    bars = make_bars("2024-01-01", len(keep) + offset, HALF_HOUR).iloc[offset:][keep]
    made, dropped = resample(bars, HALF_HOUR, pd.Timedelta(target))
    expected, expected_dropped = by_hand(bars, HALF_HOUR, pd.Timedelta(target))
    assert dropped == expected_dropped
    assert list(made.index) == list(expected)
    assert list(made.columns) == COLUMNS
    np.testing.assert_allclose(made.to_numpy(), np.array(list(expected.values())).reshape(-1, 5), rtol=1e-14)


def test_resample_drops_and_counts_incomplete_bars_and_the_unfinished_last_one() -> None:
    bars = make_bars("2024-01-01", 9, HALF_HOUR).drop(pd.Timestamp("2024-01-01 01:30", tz="UTC"))
    made, dropped = resample(bars, HALF_HOUR, HOUR)
    assert [stamp.hour for stamp in made.index] == [0, 2, 3]
    assert dropped == 2  # 01:00 lacks its second half; 04:00 is not over


def test_resample_does_not_count_stretches_without_any_bar() -> None:
    bars = make_bars("2024-01-01", 20, HALF_HOUR)
    made, dropped = resample(pd.concat([bars.iloc[:2], bars.iloc[16:18]]), HALF_HOUR, HOUR)
    assert (len(made), dropped) == (2, 0)


def test_resample_agrees_with_pandas_on_real_bars(sample_bars: pd.DataFrame) -> None:
    daily, _ = resample(sample_bars, HOUR, pd.Timedelta("1D"))
    rule = sample_bars.resample("1D")
    expected = rule.agg({"open": "first", "high": "max", "low": "min", "close": "last", "volume": "sum"})
    expected = expected[rule["close"].count() == 24]
    pd.testing.assert_frame_equal(daily, expected, check_freq=False, rtol=1e-12)
    assert daily.index.unit == sample_bars.index.unit


def test_resample_in_two_steps_is_resample_in_one() -> None:
    bars = make_bars("2024-01-01", 400, HALF_HOUR)
    hourly, _ = resample(bars, HALF_HOUR, HOUR)
    twice, _ = resample(hourly, HOUR, pd.Timedelta("4h"))
    once, _ = resample(bars, HALF_HOUR, pd.Timedelta("4h"))
    pd.testing.assert_frame_equal(twice, once, rtol=1e-14)


@settings(max_examples=40, deadline=None)
@given(
    keep=st.lists(st.booleans(), min_size=3, max_size=60),
    target=st.sampled_from(["30min", "1h", "4h"]),
    flow=st.sampled_from([[], ORDER_FLOW, ORDER_FLOW[::-1]]),
    seed=st.integers(0, 1000),
)
def test_resample_preserves_the_sums_of_what_is_counted(
    keep: list[bool], target: str, flow: list[str], seed: int
) -> None:
    keep[1] = True
    rng = np.random.default_rng(seed)
    bars = make_bars("2024-01-01", len(keep), HALF_HOUR).assign(
        **{name: rng.integers(0, 1000, len(keep)).astype(float) for name in ["volume", *flow]}
    )[keep]
    made, _ = resample(bars, HALF_HOUR, pd.Timedelta(target))
    assert list(made.columns) == [*COLUMNS, *(ORDER_FLOW if flow else [])]
    per_bar = bars.groupby(bars.index.floor(target))
    complete = per_bar["close"].count() == pd.Timedelta(target) / HALF_HOUR
    for name in ["volume", *flow]:
        # Of whole numbers every order of adding up gives the same.
        assert made[name].tolist() == per_bar[name].sum()[complete].tolist()
    plain, _ = resample(bars[COLUMNS], HALF_HOUR, pd.Timedelta(target))
    pd.testing.assert_frame_equal(made[COLUMNS], plain)


def test_weeks_start_on_monday() -> None:
    weekly, dropped = resample(make_bars("2024-01-01", 15, pd.Timedelta("1D")), pd.Timedelta("1D"), pd.Timedelta("7D"))
    assert [stamp.day_name() for stamp in weekly.index] == ["Monday", "Monday"]
    assert dropped == 1


def test_an_unusable_price_stays_visible() -> None:
    bars = make_bars("2024-01-01", 4, HALF_HOUR)
    bars.iloc[0] = [1.0, np.nan, np.nan, 1.0, np.nan]
    made, _ = resample(bars, HALF_HOUR, HOUR)
    assert made.iloc[0][["high", "low", "volume"]].isna().all()
    assert made.iloc[1].notna().all()


def test_resample_to_the_same_length_and_of_nothing() -> None:
    # A day that opens at 05:00 is nobody's grid, and nobody asked to regroup it.
    bars = make_bars("2024-01-01 05:00", 3, pd.Timedelta("1D"))
    same, dropped = resample(bars, pd.Timedelta("1D"), pd.Timedelta("1D"))
    pd.testing.assert_frame_equal(same, bars, check_freq=False)
    assert dropped == 0
    none, dropped = resample(bars.iloc[:0], pd.Timedelta("1D"), pd.Timedelta("7D"))
    assert (len(none), dropped) == (0, 0)


@pytest.mark.parametrize(("source", "target"), [("1h", "30min"), ("30min", "45min"), ("0h", "1h")])
def test_resample_refuses_what_cannot_be_made(source: str, target: str) -> None:
    with pytest.raises(BarError, match="cannot become"):
        resample(make_bars("2024-01-01", 4, HALF_HOUR), pd.Timedelta(source), pd.Timedelta(target))


def test_resample_refuses_disorder_and_stamps_off_the_grid() -> None:
    bars = make_bars("2024-01-01", 4, HALF_HOUR)
    for wrong in (bars.iloc[::-1], bars.iloc[[0, 1, 1, 2]]):
        with pytest.raises(BarError, match="out of order"):
            resample(wrong, HALF_HOUR, HOUR)
    with pytest.raises(BarError, match="off the") as caught:
        resample(
            bars.set_axis(bars.index.where(bars.index != bars.index[2], bars.index[2] + HALF_HOUR / 30)),
            HALF_HOUR,
            HOUR,
        )
    assert "2024-01-01 01:01" in caught.value.where


def test_known_at_is_the_close() -> None:
    index = pd.date_range("2024-01-01", periods=3, freq="4h", tz="UTC")
    assert list(known_at(index, "4h")) == list(index + pd.Timedelta(hours=4))
    with pytest.raises(InstrumentError):
        known_at(index, "soon")


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
def test_infer_timeframe_survives_gaps_repeats_and_every_unit(unit: str) -> None:
    index = pd.date_range("2024-01-01", periods=50, freq="15min", tz="UTC").as_unit(unit)
    ragged = index.delete([3, 4, 5, 20]).insert(10, index[13])
    assert infer_timeframe(pd.DatetimeIndex(ragged).sort_values()) == pd.Timedelta("15min")


def test_infer_timeframe_takes_the_shortest_of_equals_and_refuses_a_single_bar() -> None:
    stamps = pd.DatetimeIndex(["2024-01-01 00:00", "2024-01-01 04:00", "2024-01-01 05:00"], tz="UTC")
    assert infer_timeframe(stamps) == HOUR
    for too_few in (stamps[:0], stamps[:1], stamps[[0, 0]]):
        with pytest.raises(BarError, match="timeframe"):
            infer_timeframe(too_few)


@settings(max_examples=50, deadline=None)
@given(st.lists(st.integers(0, 4), min_size=2, max_size=60), st.lists(st.integers(0, 60), max_size=5))
def test_distances_in_pieces_are_those_of_the_whole(steps: list[int], cuts: list[int]) -> None:
    index = pd.Timestamp("2024-01-01", tz="UTC") + pd.to_timedelta(np.cumsum([0, 1, *steps]), unit="h")
    distances = Distances()
    for piece in cut(pd.DataFrame(index=index), cuts):
        distances.add(pd.DatetimeIndex(piece.index))
    lengths, counts = np.unique(np.diff(index.asi8)[np.diff(index.asi8) > 0], return_counts=True)
    assert distances.timeframe() == infer_timeframe(index)
    assert distances.timeframe() == pd.Timedelta(int(lengths[counts.argmax()]), index.unit)
    assert distances.stamps == len(index)
