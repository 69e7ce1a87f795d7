"""Every kind of fault, planted into real bars at several severities, bar lengths and formats, must be named."""

from itertools import cycle
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from pipelines.diagnosis.diagnose import diagnose
from pipelines.diagnosis.fault import KINDS
from pipelines.diagnosis.record import Diagnosis
from tests.test_pipelines.test_diagnosis.planting import COMPANIONS, PLANTS, frozen_flat, volume_in_quote, write

LENGTHS = ("1min", "5min", "30min", "1h", "1D")
BARS = 3000
# What a severity cannot show: there is nothing to see from within the file.
NEEDS_DATES = {"local_time", "dst_jump"}


def restamped(bars: pd.DataFrame, length: str) -> pd.DataFrame:
    """The same bars at another length, without their gaps: real moves and volumes, other stamps."""
    stamps = pd.date_range("2012-01-01", periods=len(bars), freq=length, tz="UTC").as_unit("us")
    return bars.assign(timestamp=stamps)


def kinds(found: Diagnosis) -> set[str]:
    return {fault.kind for fault in found.faults}


CASES = [
    (kind, severity, length, suffix)
    for (kind, severity), length, suffix in zip(
        [(kind, severity) for kind in PLANTS for severity in range(3)],
        cycle(LENGTHS),
        cycle((".csv", ".parquet")),
        strict=False,
    )
    # A quarter more or less is within what daily bars do.
    if (kind, severity, length) != ("bad_prints", 0, "1D")
]


def test_the_plants_cover_all_kinds() -> None:
    assert set(PLANTS) == set(KINDS)


@pytest.mark.parametrize(("kind", "severity", "length", "suffix"), CASES)
def test_a_planted_fault_is_named_and_nothing_else(
    kind: str, severity: int, length: str, suffix: str, half_hours: pd.DataFrame, tmp_path: Path
) -> None:
    seed = np.random.default_rng([severity, *kind.encode()])
    if kind in NEEDS_DATES:
        bars = half_hours.iloc[2000:21000].reset_index(drop=True)
    else:
        start = int(seed.integers(0, 20_000))
        bars = restamped(half_hours.iloc[start : start + BARS].reset_index(drop=True), length)
    file, other = tmp_path / f"planted{suffix}", tmp_path / "other.parquet"
    write(PLANTS[kind](bars, seed, severity), file)
    write(bars, other)
    found = diagnose(file, max_missing=0.05, against=other if kind == "clock_shift" else None)
    assert kind in kinds(found)
    assert kinds(found) - COMPANIONS.get(kind, set()) == {kind}


@pytest.mark.parametrize("severity", range(3))
def test_quote_volume_in_a_part_of_a_file_without_a_column_to_compare(
    severity: int, half_hours: pd.DataFrame, tmp_path: Path
) -> None:
    bars = half_hours.iloc[:6000].reset_index(drop=True)
    file = tmp_path / "f.parquet"
    write(volume_in_quote(bars, np.random.default_rng(4), severity), file)
    found = diagnose(file, max_missing=0.05)
    assert kinds(found) == {"volume_swapped"}
    planted = (300, 1200, 2700)[severity]
    assert abs(found.faults[0].count - planted) <= 24


@pytest.mark.parametrize("severity", range(3))
def test_a_feed_that_repeats_its_last_close_without_volume(
    severity: int, half_hours: pd.DataFrame, tmp_path: Path
) -> None:
    file = tmp_path / "f.csv"
    write(frozen_flat(half_hours.iloc[:3000].reset_index(drop=True), np.random.default_rng(1), severity), file)
    assert kinds(diagnose(file, max_missing=0.05)) == {"stale_run", "zero_volume"}


def test_counts_and_ends_are_those_that_were_planted(half_hours: pd.DataFrame, tmp_path: Path) -> None:
    bars = half_hours.iloc[:3000].reset_index(drop=True)
    bars.loc[[100, 900, 2000], "close"] *= [3.0, 0.2, 1.8]
    bars.loc[[100, 2000], "high"] = bars.loc[[100, 2000], "close"]
    bars.loc[900, "low"] = bars.loc[900, "close"]
    bars.loc[[50, 51], ["high", "low"]] = bars.loc[[50, 51], ["low", "high"]].to_numpy()
    bars.loc[2500:2600, "volume"] *= 1000
    file = tmp_path / "f.parquet"
    write(bars.drop(index=range(1000, 1100)), file)
    by_kind = {fault.kind: fault for fault in diagnose(file, max_missing=0.05).faults}
    assert {kind: fault.count for kind, fault in by_kind.items()} == {
        **{"gaps": 100, "bad_prints": 3, "high_low_swapped": 2},
        "volume_unit_change": 101,
    }
    prints = by_kind["bad_prints"].as_object()
    stamps = bars["timestamp"].map(lambda at: at.isoformat())
    assert (prints["first"], prints["last"]) == (stamps[100], stamps[2000])
    assert [example["row"] for example in prints["examples"]] == [100, 900, 1900]
    assert by_kind["gaps"].as_object()["first"] == stamps[1000]
    assert by_kind["gaps"].as_object()["last"] == stamps[1099]


PAIRS = [
    *(("bad_prints", other) for other in ("scale_change", "order_descending", "duplicates_agreeing", "decimal_comma")),
    *(("bad_prints", other) for other in ("volume_unit_change", "nan_rows", "infinite", "close_stamped", "epoch_unit")),
    *(("volume_swapped", other) for other in ("order_descending", "high_low_swapped", "duplicates_conflicting")),
    *(
        ("gaps", other)
        for other in ("order_mixed", "duplicates_agreeing", "mixed_offsets", "text_numbers", "stale_run")
    ),
    *(("wrong_timeframe", other) for other in ("order_descending", "scale_change", "nan_rows")),
    *(("long_format", other) for other in ("decimal_comma", "epoch_unit", "close_stamped")),
    *(("extra_column_return", other) for other in ("order_descending", "bad_prints", "ohlc_violation")),
    *(("jitter", other) for other in ("text_numbers", "order_descending")),
]
# Values first, then rows, then how they are written.
RANK = [
    *("wrong_timeframe", "scale_change", "stale_run", "bad_prints", "volume_swapped", "volume_unit_change"),
    *("extra_column_return", "high_low_swapped", "ohlc_violation", "infinite", "nan_rows", "gaps"),
    *("duplicates_agreeing", "duplicates_conflicting", "long_format", "close_stamped", "jitter", "epoch_unit"),
    *("mixed_offsets", "text_numbers", "decimal_comma", "order_mixed", "order_descending"),
]


@pytest.mark.parametrize("pair", PAIRS, ids="+".join)
def test_two_faults_do_not_hide_each_other(pair: tuple[str, str], half_hours: pd.DataFrame, tmp_path: Path) -> None:
    frame = half_hours.iloc[4000:8000].reset_index(drop=True)
    for kind in sorted(pair, key=RANK.index):
        frame = PLANTS[kind](frame, np.random.default_rng(RANK.index(kind)), 1).reset_index(drop=True)
    file = tmp_path / "f.csv"
    write(frame, file)
    found = kinds(diagnose(file, max_missing=0.05))
    assert found >= set(pair)
    assert found <= set(pair) | set().union(*(COMPANIONS.get(kind, set()) for kind in pair))
