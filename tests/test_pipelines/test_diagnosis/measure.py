"""How often planted faults are named, and what is named without having been planted.

``python -m tests.test_pipelines.test_diagnosis.measure [REPETITIONS]`` plants every kind at three severities into
parts of all files of the sample, at six bar lengths (one and five minutes are the half hours under other stamps), as
CSV and as Parquet.
"""

import sys
import tempfile
from collections import Counter
from itertools import cycle
from pathlib import Path

import numpy as np
import pandas as pd

from pipelines.diagnosis.diagnose import diagnose
from tests.test_pipelines.test_diagnosis.conftest import SAMPLE
from tests.test_pipelines.test_diagnosis.planting import COMPANIONS, PLANTS, crash, write
from tests.test_pipelines.test_diagnosis.test_clean import CRASHES

SIZES = {"1min": 4000, "5min": 4000, "30min": 4000, "1h": 3000, "4h": 2000, "1D": 600}
NEEDS_DATES = {"local_time", "dst_jump"}


def sample(file: Path, length: str) -> pd.DataFrame:
    """Bars of a file of the sample at a length, the unfinished last one left out."""
    bars = pd.read_parquet(file).reset_index(drop=False)[["timestamp", "open", "high", "low", "close", "volume"]]
    if length in ("1min", "5min"):
        stamps = pd.date_range("2014-01-01", periods=len(bars), freq=length, tz="UTC").as_unit("us")
        return bars.assign(timestamp=stamps)
    rule = bars.set_index("timestamp").resample(length)
    longer = rule.agg({"open": "first", "high": "max", "low": "min", "close": "last", "volume": "sum"}).dropna()
    return longer.iloc[:-1].reset_index()


def main(repetitions: int) -> None:
    """Plant, look, count, print."""
    rng = np.random.default_rng(1)
    planted, found, others = Counter[str](), Counter[str](), Counter[str]()
    clean, alarms, crashes, crash_alarms = 0, Counter[str](), 0, Counter[str]()
    suffixes = cycle((".csv", ".parquet"))
    files = cycle(sorted(SAMPLE.glob("*.parquet")))

    def look(frame: pd.DataFrame, folder: Path, other: Path | None = None) -> set[str]:
        path = folder / f"bars{next(suffixes)}"
        write(frame, path)
        return {fault.kind for fault in diagnose(path, max_missing=0.05, against=other).faults}

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for length, size in SIZES.items():
            for _ in range(repetitions):
                for kind, plant in PLANTS.items():
                    for severity in range(3):
                        whole = sample(next(files), length)
                        part = whole
                        if kind not in NEEDS_DATES:
                            start = int(rng.integers(0, len(whole) - size))
                            part = whole.iloc[start : start + size].reset_index(drop=True)
                        elif length not in ("30min", "1h"):
                            continue
                        other = folder / "other.parquet"
                        write(part, other)
                        seen = look(plant(part, rng, severity), folder, other if kind == "clock_shift" else None)
                        planted[kind] += 1
                        found[kind] += kind in seen
                        others.update(seen - {kind} - COMPANIONS.get(kind, set()))
                        if severity == 0:
                            clean += 1
                            alarms.update(look(part, folder))
                for shape in CRASHES.values():
                    crashes += 1
                    crash_alarms.update(look(crash(part, **shape), folder))  # type: ignore[arg-type]
    for kind in PLANTS:
        print(f"{kind:24}{found[kind]:5} of {planted[kind]:4} named")
    total = sum(planted.values())
    print(
        f"{'together':24}{sum(found.values()):5} of {total:4} named, {sum(others.values())} other kinds: {dict(others)}"
    )
    print(f"clean parts: {clean}, named in them: {dict(alarms) or 'nothing'}")
    print(f"crashes: {crashes}, named in them: {dict(crash_alarms) or 'nothing'}")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 1)
