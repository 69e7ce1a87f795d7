"""Single looks where the planted files do not reach."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from pipelines.diagnosis.bad_prints import find_bad_prints
from pipelines.diagnosis.diagnose import diagnose
from pipelines.diagnosis.fault import NAT, Fault, Finding, spoken
from pipelines.diagnosis.hourly_rhythm import find_moved_rhythm
from pipelines.diagnosis.lag import find_lags
from pipelines.diagnosis.merge import merge
from pipelines.diagnosis.order import find_disorder, find_duplicates, judge_duplicates
from pipelines.diagnosis.rows import PRICES, Bars, Rows, distances, first_of_each
from pipelines.diagnosis.spacing import claimed_length, common_distance
from tests.test_pipelines.test_diagnosis.conftest import SAMPLE

MINUTE = 60_000_000


def bars_of(frame: pd.DataFrame) -> Bars:
    at = frame["timestamp"].astype("datetime64[us, UTC]").astype("int64").to_numpy()
    length = int(np.bincount(np.diff(at) // MINUTE).argmax()) * MINUTE
    cells = {name: frame[name].to_numpy(dtype=float) for name in (*PRICES, "volume")}
    return Bars(np.arange(len(at)), at, distances(at, length), length, cells)


def kinds(frame: pd.DataFrame, folder: Path) -> dict[str, int]:
    frame.to_parquet(folder / "bars.parquet")
    return {fault.kind: fault.count for fault in diagnose(folder / "bars.parquet", max_missing=0.05).faults}


@pytest.mark.parametrize("symbol", ["BTC", "ETH", "LTC"])
def test_stamps_at_the_close_show_in_the_rhythm_of_the_hour(symbol: str) -> None:
    frame = pd.read_parquet(SAMPLE / f"bitfinex_{symbol}-USD_30m.parquet").reset_index(drop=False)
    assert find_moved_rhythm(bars_of(frame)).faults == ()
    late = frame.assign(timestamp=frame["timestamp"] + pd.Timedelta("30min"))
    (fault,) = find_moved_rhythm(bars_of(late)).faults
    assert (fault.kind, fault.safe_fix) == ("close_stamped", False)
    # An hour is a whole turn of the rhythm.
    assert find_moved_rhythm(bars_of(frame.assign(timestamp=frame["timestamp"] + pd.Timedelta("1h")))).faults == ()


def test_a_rhythm_that_is_some_bars_off_is_a_shift(half_hours: pd.DataFrame) -> None:
    stamps = pd.date_range("2020-01-01", periods=len(half_hours), freq="5min", tz="UTC").as_unit("us")
    busy = np.where(stamps.minute == 20, 2.0, 1.0)
    frame = half_hours.assign(timestamp=stamps, volume=half_hours["volume"] * busy)
    (fault,) = find_moved_rhythm(bars_of(frame)).faults
    assert fault.kind == "clock_shift"
    assert "-20m" in fault.remedy


@pytest.mark.parametrize("ahead", [1, 3])
@pytest.mark.parametrize("name", ["close", "high"])
def test_columns_with_later_prices(name: str, ahead: int, half_hours: pd.DataFrame, tmp_path: Path) -> None:
    bars = half_hours.iloc[:2000].reset_index(drop=True)
    assert kinds(bars.assign(level=bars[name].shift(-ahead)), tmp_path) == {"extra_column_return": 2000 - ahead}


@pytest.mark.parametrize("horizon", [1, 6, 24])
@pytest.mark.parametrize("what", ["close", "open"])
def test_columns_with_later_returns_of_any_horizon(
    what: str, horizon: int, half_hours: pd.DataFrame, tmp_path: Path
) -> None:
    bars = half_hours.iloc[:2000].reset_index(drop=True)
    price = np.log(bars[what]).shift(0 if what == "close" else -1)
    leak = (price.shift(-horizon) - price) * 1e4
    assert list(kinds(bars.assign(y=leak), tmp_path)) == ["extra_column_return"]
    assert list(kinds(bars.assign(y=np.sign(leak)), tmp_path)) == ["extra_column_return"]
    assert kinds(bars.assign(y=leak.shift(horizon + 1)), tmp_path) == {}


def test_a_stretch_that_was_pasted_in_again_is_stale(half_hours: pd.DataFrame, tmp_path: Path) -> None:
    bars = half_hours.iloc[:2000].reset_index(drop=True)
    columns = [*PRICES, "volume"]
    bars.loc[1000:1047, columns] = bars.loc[500:547, columns].to_numpy()
    assert kinds(bars, tmp_path) == {"stale_run": 48}


def test_quote_volume_in_another_unit(half_hours: pd.DataFrame, tmp_path: Path) -> None:
    bars = half_hours.iloc[:2000].reset_index(drop=True)
    quote = bars["volume"] * bars["close"]
    assert kinds(bars.assign(quote_volume=quote), tmp_path) == {}
    quote.iloc[700:900] *= 1000
    assert kinds(bars.assign(quote_volume=quote), tmp_path) == {"volume_unit_change": 200}


def test_the_first_rows_of_a_file_may_be_of_another_scale(half_hours: pd.DataFrame, tmp_path: Path) -> None:
    bars = half_hours.iloc[:2000].reset_index(drop=True)
    bars.loc[:9, list(PRICES)] *= 100
    assert kinds(bars, tmp_path) == {"scale_change": 10}
    bars = half_hours.iloc[:2000].reset_index(drop=True)
    bars.loc[1000:1003, list(PRICES)] *= 100
    assert kinds(bars, tmp_path) == {"bad_prints": 4}


@given(st.integers(0, 2**32 - 1), st.floats(2.2, 6.0), st.floats(1e-4, 3e-2))
@settings(deadline=None, max_examples=60)
@example(171, 5.5, 0.0234375)
def test_random_walks_with_heavy_tails_hold_no_bad_prints(seed: int, tails: float, size: float) -> None:
    rng = np.random.default_rng(seed)
    count = 600
    # Volatility comes in bursts, and volume follows the size of the move.
    burst = np.exp(np.convolve(rng.normal(0, 0.6, count), np.ones(12) / 3, mode="same"))
    moves = rng.standard_t(tails, count) * size * burst
    close = np.exp(9 + np.cumsum(np.clip(moves, -1, 1)))
    opened = np.append(close[0], close[:-1])
    reach = np.abs(rng.normal(0, size / 2, (2, count))) * burst
    high, low = np.maximum(opened, close) * np.exp(reach[0]), np.minimum(opened, close) * np.exp(-reach[1])
    at = np.arange(count) * MINUTE
    volume = np.exp(rng.normal(0, 0.5, count)) * (1 + np.abs(moves) / size)
    cells = {"open": opened, "high": high, "low": low, "close": close, "volume": volume}
    bars = Bars(np.arange(count), at, distances(at, MINUTE), MINUTE, cells)
    assert not find_bad_prints(bars)[0].any()
    # One close ten times as high, and the bar is found, alone.
    place = int(rng.integers(10, count - 10))
    close[place] *= 10
    high[place] = close[place]
    assert np.flatnonzero(find_bad_prints(bars)[0]).tolist() == [place]


@given(st.lists(st.tuples(st.integers(0, 12), st.sampled_from([1.0, 2.0])), min_size=1, max_size=30))
@settings(deadline=None, max_examples=100)
def test_duplicates_as_a_slow_count_has_them(found: list[tuple[int, float]]) -> None:
    at = np.array([stamp for stamp, _ in found], dtype=np.int64) * MINUTE
    price = np.array([value for _, value in found])
    rows = Rows(np.arange(len(at)), at, dict.fromkeys((*PRICES, "volume"), price))
    first: dict[int, float] = {}
    agree, differ = [], []
    for place, (stamp, value) in enumerate(found):
        known = first.setdefault(stamp, value)
        later = any(other == stamp for other, _ in found[:place])
        agree.append(later and value == known)
        differ.append(later and value != known)
    agreeing, conflicting = judge_duplicates(rows)
    assert agreeing.tolist() == agree
    assert conflicting.tolist() == differ
    distinct = first_of_each(rows)
    assert (np.diff(distinct.at) > 0).all()
    assert dict(zip((distinct.at // MINUTE).tolist(), distinct.cells["close"].tolist(), strict=True)) == first
    none = np.zeros(len(at), dtype=bool)
    counted = {fault.kind: fault.count for fault in find_duplicates(rows, none)}
    assert counted.get("duplicates_agreeing", 0) == sum(agree)
    assert counted.get("duplicates_conflicting", 0) == sum(differ)
    assert bool(find_disorder(rows, none)) == bool((np.diff(at) < 0).any())


def test_rows_without_a_time_are_no_duplicates() -> None:
    at = np.array([NAT, 0, NAT, MINUTE], dtype=np.int64)
    rows = Rows(np.arange(4), at, dict.fromkeys((*PRICES, "volume"), np.ones(4)))
    assert not np.logical_or(*judge_duplicates(rows)).any()
    assert first_of_each(rows).number.tolist() == [1, 3]


@pytest.mark.parametrize(
    ("name", "minutes"),
    [
        ("BTC-USD_30m.csv", 30),
        ("BTCUSDT-5m-2019-06.csv", 5),
        ("x 15 min.parquet", 15),
        ("BTC_USD-Hourly.csv", 60),
        ("eth.4h.fixed.csv", 240),
        ("daily_bars.csv", 1440),
        ("1w.csv", 10_080),
        ("last_3M.csv", None),
        ("1m_to_5m.csv", None),
        ("BTC2018.csv", None),
    ],
)
def test_lengths_in_names(name: str, minutes: int | None) -> None:
    assert claimed_length(name) == (None if minutes is None else minutes * MINUTE)


def test_the_usual_distance_survives_jitter_and_gaps() -> None:
    rng = np.random.default_rng(0)
    grid = np.arange(0, 4000, dtype=np.int64) * 5 * MINUTE
    kept = grid[rng.random(4000) < 0.3]
    assert common_distance(kept) == 5 * MINUTE
    assert common_distance(grid + rng.integers(-20_000_000, 20_000_000, 4000)) == 5 * MINUTE
    assert common_distance(grid[:1]) is None
    assert common_distance(np.cumsum(rng.integers(1, 10**9, 4000))) is None


def test_a_wild_stamp_does_not_cost_centuries(half_hours: pd.DataFrame) -> None:
    bars = bars_of(half_hours.iloc[:300])
    at = bars.at.copy()
    at[-1] += 80 * 365 * 1440 * MINUTE
    wild = Bars(bars.number, at, distances(at, bars.length), bars.length, bars.cells)
    assert find_lags(wild, wild).lag is None


def test_findings_of_the_same_rows_do_not_add_up_and_those_of_others_do() -> None:
    def fault(count: int, row: int) -> Finding:
        example = {"row": row, "timestamp": None, "found": "x"}
        return Finding((Fault("gaps", count, row, row, (example,), f"mend {row}", safe_fix=row > 1),), ("note",))

    same = merge([fault(5, 1), fault(3, 2)], same_rows=True)
    assert (same.faults[0].count, same.faults[0].first, same.faults[0].last) == (5, 1, 2)
    assert same.faults[0].remedy == "mend 1; mend 2"
    assert not same.faults[0].safe_fix
    assert same.notes == ("note",)
    assert merge([fault(5, 1), fault(3, 2)], same_rows=False).faults[0].count == 8


def test_lengths_of_time_are_spoken() -> None:
    assert [spoken(value) for value in (0, MINUTE, -90 * MINUTE, 1_500_000, 49 * 60 * MINUTE)] == [
        *("0s", "1m", "-1h30m", "1.5s", "2d1h")
    ]
