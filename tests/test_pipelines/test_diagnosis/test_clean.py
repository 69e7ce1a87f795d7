"""Files without faults must come back without faults, and so must crashes."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from pipelines.diagnosis.diagnose import diagnose
from tests.test_pipelines.test_diagnosis.conftest import SAMPLE
from tests.test_pipelines.test_diagnosis.planting import crash, write

LENGTHS = ("30min", "1h", "4h", "1D")
CRASHES = {
    # Half a day of falling with a rebound, as on 2020-03-12.
    "march": {"fall": 0.7, "bars_down": 6, "bars_up": 40, "back": 0.5, "busy": 15},
    # Minutes, as on 2025-10-10, with a wick below everything.
    "october": {"fall": 0.9, "bars_down": 3, "bars_up": 12, "back": 0.7, "busy": 40, "wick": 0.6},
    "october at once": {"fall": 0.8, "bars_down": 1, "bars_up": 1, "back": 0.9, "busy": 40, "wick": 0.3},
    "wick alone": {"fall": 0.02, "bars_down": 1, "bars_up": 2, "back": 0.5, "busy": 30, "wick": 0.5},
    "to nothing": {"fall": 6.0, "bars_down": 60, "bars_up": 10, "back": 0.02, "busy": 30},
    "up": {"fall": -0.8, "bars_down": 3, "bars_up": 10, "back": 0.7, "busy": 30},
}


def faults(file: Path) -> list[str]:
    return [fault.kind for fault in diagnose(file, max_missing=0.05).faults]


@pytest.mark.parametrize("file", sorted(SAMPLE.glob("*.parquet")), ids=lambda file: file.stem)
def test_the_sample_has_no_faults_and_its_gaps_are_noted(file: Path) -> None:
    found = diagnose(file, max_missing=0.05)
    assert not found.faults
    assert any("are missing in" in note for note in found.notes)


@pytest.mark.parametrize("length", LENGTHS)
@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_parts_of_the_sample_at_other_lengths_have_none(
    length: str, suffix: str, half_hours: pd.DataFrame, tmp_path: Path
) -> None:
    rule = half_hours.set_index("timestamp").resample(length)
    bars = rule.agg({"open": "first", "high": "max", "low": "min", "close": "last", "volume": "sum"}).dropna()
    bars = bars.iloc[:-1].reset_index()
    rng = np.random.default_rng(8)
    for size in (30, 300, 700, 2000):
        start = int(rng.integers(0, max(len(bars) - size, 1)))
        file = tmp_path / f"part{suffix}"
        write(bars.iloc[start : start + size], file)
        assert faults(file) == [], (length, start, size)


@pytest.mark.parametrize("style", CRASHES)
@pytest.mark.parametrize("symbol", ["BTC", "XRP"])
def test_a_crash_is_no_fault(style: str, symbol: str, tmp_path: Path) -> None:
    bars = pd.read_parquet(SAMPLE / f"bitfinex_{symbol}-USD_30m.parquet").reset_index(drop=False)
    bars = bars[["timestamp", "open", "high", "low", "close", "volume"]]
    for start in (6000, 20_000, 30_000):
        file = tmp_path / "crash.parquet"
        write(crash(bars.iloc[start : start + 2000].reset_index(drop=True), **CRASHES[style]), file)  # type: ignore[arg-type]
        assert faults(file) == []


def test_a_print_in_the_midst_of_a_crash_is_still_one(half_hours: pd.DataFrame, tmp_path: Path) -> None:
    bars = crash(half_hours.iloc[20_000:22_000].reset_index(drop=True), **CRASHES["march"])  # type: ignore[arg-type]
    bars.loc[1020, "close"] *= 5
    bars.loc[1020, "high"] = bars.loc[1020, "close"]
    file = tmp_path / "crash.parquet"
    write(bars, file)
    found = diagnose(file, max_missing=0.05)
    assert [(fault.kind, fault.count, fault.examples[0]["row"]) for fault in found.faults] == [("bad_prints", 1, 1020)]


def test_columns_that_know_no_future_are_left_alone(half_hours: pd.DataFrame, tmp_path: Path) -> None:
    bars = half_hours.iloc[:4000].reset_index(drop=True)
    close = bars["close"]
    past = np.log(close).diff()
    file = tmp_path / "f.parquet"
    write(
        bars.assign(
            past=past,
            momentum=np.log(close).diff(48),
            average=close.rolling(20).mean(),
            previous_close=close.shift(1),
            last=close,
            trades=np.arange(4000) % 97,
            number=np.arange(4000),
            up=(past > 0).astype(int),
            close_time=bars["timestamp"] + pd.Timedelta("30min"),
            constant=1.0,
        ),
        file,
    )
    assert faults(file) == []


def test_a_quiet_market_filled_by_the_exchange_is_a_note(half_hours: pd.DataFrame, tmp_path: Path) -> None:
    bars = half_hours.iloc[:4000].reset_index(drop=True)
    still = np.random.default_rng(0).random(4000) < 0.03
    still[0] = False
    before = bars["close"].shift(1)
    for name in ("open", "high", "low", "close"):
        bars[name] = bars[name].where(~still, before)
    bars["volume"] = bars["volume"].where(~still, 0.0)
    file = tmp_path / "f.parquet"
    write(bars, file)
    found = diagnose(file, max_missing=0.05)
    assert not found.faults
    assert any("nobody traded" in note for note in found.notes)
    assert [fault.kind for fault in diagnose(file, max_missing=0.01).faults] == ["zero_volume"]
