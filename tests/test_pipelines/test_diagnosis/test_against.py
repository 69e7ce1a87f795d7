"""A second source: lags of the clock, whole or in part, and what the prices and volumes then say."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from pipelines.diagnosis.diagnose import diagnose
from pipelines.diagnosis.record import Diagnosis
from tests.test_pipelines.test_diagnosis.conftest import SAMPLE

ETH = SAMPLE / "bitfinex_ETH-USD_30m.parquet"
BTC = SAMPLE / "bitfinex_BTC-USD_30m.parquet"
PRICES = ["open", "high", "low", "close"]


@pytest.fixture
def compare(tmp_path: Path) -> Callable[..., Diagnosis]:
    def write_and_compare(frame: pd.DataFrame, other: Path | pd.DataFrame = BTC) -> Diagnosis:
        file = tmp_path / "bars.parquet"
        frame.to_parquet(file)
        if isinstance(other, pd.DataFrame):
            other.to_parquet(tmp_path / "other.parquet")
            other = tmp_path / "other.parquet"
        return diagnose(file, max_missing=0.05, against=other)

    return write_and_compare


def counts(found: Diagnosis) -> dict[str, int]:
    return {fault.kind: fault.count for fault in found.faults}


def moved(bars: pd.DataFrame, by: str, where: slice = slice(None)) -> pd.DataFrame:
    stamps = bars["timestamp"].copy()
    stamps.iloc[where] = stamps.iloc[where] + pd.Timedelta(by)
    return bars.assign(timestamp=stamps)


@pytest.fixture
def bars(half_hours: pd.DataFrame) -> pd.DataFrame:
    return half_hours.iloc[9000:13_000].reset_index(drop=True)


def test_equal_clocks_are_equal(bars: pd.DataFrame, compare: Callable[..., Diagnosis]) -> None:
    same = compare(bars)
    assert counts(same) == {}
    other_coin = compare(bars, ETH)
    assert counts(other_coin) == {}
    assert any("another currency or another market" in note for note in other_coin.notes)


@pytest.mark.parametrize(("by", "zone"), [("90min", None), ("-8h", "Los_Angeles"), ("9h", "Tokyo"), ("-13h", None)])
@pytest.mark.parametrize("other", [BTC, ETH], ids=["same market", "another market"])
def test_a_shift_is_found_by_lag(
    by: str, zone: str | None, other: Path, half_hours: pd.DataFrame, compare: Callable[..., Diagnosis]
) -> None:
    bars = half_hours.iloc[2000:6500].reset_index(drop=True)
    found = compare(moved(bars, by), other)
    assert counts(found) == {"clock_shift": len(bars)} | ({"local_time": len(bars)} if zone else {})
    late = "later" if pd.Timedelta(by) > pd.Timedelta(0) else "earlier"
    assert late in found.faults[0].examples[0]["found"]
    if zone:
        assert zone in found.faults[-1].remedy


def test_one_bar_late_is_the_close(bars: pd.DataFrame, compare: Callable[..., Diagnosis]) -> None:
    assert counts(compare(moved(bars, "30min"))) == {"close_stamped": len(bars), "clock_shift": len(bars)}


def test_a_shifted_part_is_cut_out_to_the_bar(bars: pd.DataFrame, compare: Callable[..., Diagnosis]) -> None:
    shifted = moved(bars, "5h", slice(2000, None))
    found = compare(shifted)
    shift = next(fault for fault in found.faults if fault.kind == "clock_shift").as_object()
    assert abs(shift["count"] - 2000) <= 2
    assert abs(pd.Timestamp(shift["first"]) - shifted["timestamp"].iloc[2000]) <= pd.Timedelta("1h")


def test_weeks_in_new_york_time_across_the_change_of_the_clock(
    half_hours: pd.DataFrame, compare: Callable[..., Diagnosis]
) -> None:
    # As in files that others keep: seven weeks, four and then five hours off.
    part = half_hours["timestamp"].between("2018-10-10", "2018-12-01")
    local = half_hours["timestamp"].dt.tz_convert("America/New_York").dt.tz_localize(None).dt.tz_localize("UTC")
    bars = half_hours.assign(timestamp=half_hours["timestamp"].where(~part, local)).iloc[15_000:24_000]
    found = compare(bars, ETH)
    assert {"clock_shift", "local_time"} <= set(counts(found))
    zoned = next(fault for fault in found.faults if fault.kind == "local_time")
    assert "America/New_York" in zoned.remedy
    assert abs(zoned.count - part.sum()) < 40
    shift = next(fault for fault in found.faults if fault.kind == "clock_shift")
    assert "4h earlier" in shift.remedy
    assert "5h earlier" in shift.remedy


def test_a_source_of_longer_bars_will_do(bars: pd.DataFrame, compare: Callable[..., Diagnosis]) -> None:
    rule = bars.set_index("timestamp").resample("2h")
    longer = rule.agg({"open": "first", "high": "max", "low": "min", "close": "last", "volume": "sum"}).reset_index()
    assert counts(compare(bars, longer)) == {}
    assert counts(compare(moved(bars, "4h"), longer))["clock_shift"] == len(bars)
    assert counts(compare(moved(longer, "4h"), bars))["clock_shift"] == len(longer)


def test_sources_that_cannot_be_compared_are_said_to_be(
    bars: pd.DataFrame, half_hours: pd.DataFrame, compare: Callable[..., Diagnosis]
) -> None:
    apart = compare(bars, half_hours.iloc[20_000:21_000])
    assert counts(apart) == {}
    assert any("too few bars of the same time" in note for note in apart.notes)
    rng = np.random.default_rng(0)
    noise = bars.assign(**dict.fromkeys(PRICES, 100 * np.exp(np.cumsum(rng.normal(0, 0.01, len(bars))))))
    unrelated = compare(bars, noise)
    assert counts(unrelated) == {}
    assert any("do not follow" in note for note in unrelated.notes)


def test_prices_that_only_the_other_source_contradicts(bars: pd.DataFrame, compare: Callable[..., Diagnosis]) -> None:
    wrong = bars.copy()
    # Within what a wild bar could do, but it did not.
    at = [500, 1500]
    wrong.loc[at, "close"] *= 1.07
    wrong.loc[at, "high"] = wrong.loc[at, ["high", "close"]].max(axis=1)
    wrong.loc[[501, 1501], "open"] = wrong.loc[at, "close"].to_numpy()
    wrong.loc[[501, 1501], "high"] = wrong.loc[[501, 1501], ["open", "high"]].max(axis=1)
    found = compare(wrong)
    assert counts(found) == {"bad_prints": 2}
    assert any("closes differ" in note for note in found.notes)


def test_scale_and_volume_of_the_whole_file(bars: pd.DataFrame, compare: Callable[..., Diagnosis]) -> None:
    cents = bars.assign(**{name: bars[name] * 100 for name in PRICES})
    assert counts(compare(cents)) == {"scale_change": len(bars)}
    assert counts(compare(bars.assign(volume=bars["volume"] * bars["close"]))) == {"volume_swapped": len(bars)}
    assert counts(compare(bars.assign(volume=bars["volume"] / 1000))) == {"volume_unit_change": len(bars)}
    # A coin that costs less than its money, and half of all trades: neither is a fault.
    assert counts(compare(bars.assign(volume=bars["volume"] / 2))) == {}


def test_an_unfinished_last_bar_shows_beside_the_finished_one(
    bars: pd.DataFrame, compare: Callable[..., Diagnosis]
) -> None:
    part = bars.copy()
    part.loc[len(bars) - 1, "volume"] *= 0.6
    found = compare(part)
    assert counts(found) == {"unfinished_last_bar": 1}
    assert found.faults[0].safe_fix
