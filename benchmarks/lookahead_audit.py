"""The look-ahead audit counted: ``python -m benchmarks.lookahead_audit --slices 3 --clean 200 --bars 800``.

Planted leaks found and innocent columns named, over slices of the sample in which all leaks happen; false alarms over
random clean pipelines; both with default settings. And how its time grows with the bars, with and without windows.
"""

import argparse
import time
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks._timing import measure, show
from pipelines.audit.lookahead import find_lookahead
from tests.test_pipelines.test_audit import clean, leaks
from trading.bars import resample

SAMPLE = Path(__file__).resolve().parents[1] / "data" / "sample" / "bitfinex_BTC-USD_30m.parquet"


def sample() -> pd.DataFrame:
    """BTC/USD at one hour."""
    rows = pd.read_parquet(SAMPLE)
    rows = rows.set_index("timestamp") if "timestamp" in rows else rows
    bars, _ = resample(rows.sort_index(), pd.Timedelta(minutes=30), pd.Timedelta(hours=1))
    return bars


def planted(bars: pd.DataFrame, slices: int, rows: int) -> None:
    """Leaks of single columns, all in one frame, on slices of the sample."""
    step = leaks.columns_of({**leaks.COLUMNS, **leaks.HONEST})
    # Around gaps, for some leaks happen only there.
    gaps = np.flatnonzero(np.diff(bars.index.to_numpy()) > np.timedelta64(1, "h"))
    for number, gap in enumerate(gaps[:: max(1, len(gaps) // slices)][:slices]):
        first = int(gap) - rows // 2
        start = time.perf_counter()
        report = find_lookahead(step, bars.iloc[first : first + rows], seed=number)
        found, named = set(leaks.COLUMNS) & set(report.columns), set(report.columns) - set(leaks.COLUMNS)
        print(
            f"{bars.index[first]:%Y-%m-%d}: {len(found)} of {len(leaks.COLUMNS)} planted leaks,"
            f" {len(named)} of {len(leaks.HONEST)} innocent columns named, {report.evaluations} runs,"
            f" {time.perf_counter() - start:.1f} s; missed: {sorted(set(leaks.COLUMNS) - found) or 'none'}",
            flush=True,
        )


def alarms(bars: pd.DataFrame, pipelines: int) -> None:
    """Random pipelines that do not look ahead."""
    false = values = runs = 0
    for seed in range(pipelines):
        first = int(np.random.default_rng(seed).integers(len(bars) - 300))
        report = find_lookahead(clean.pipeline(seed), bars.iloc[first : first + 300], seed=seed)
        false += bool(report.columns)
        values, runs = values + report.compared, runs + report.evaluations
        if report.columns:
            print(f"false alarm of pipeline {seed}:\n{report}")
    print(f"{false} false alarms over {pipelines} clean pipelines, {values:,} values, {runs:,} runs")


def times(bars: pd.DataFrame, repeats: int) -> None:
    """Seconds against the step alone: the rest is making futures and comparing."""

    def step(given: pd.DataFrame) -> pd.DataFrame:
        close = given["close"]
        return pd.DataFrame({f"mean_{span}": close.rolling(span).mean() for span in range(2, 102)})

    for rows in (len(bars) // 4, len(bars) // 2, len(bars)):
        part = bars.iloc[:rows]
        alone, _ = measure(partial(step, part), repeats)
        for name, history in (("all bars", None), ("windows", 102)):
            seconds, report = measure(partial(find_lookahead, step, part, history=history), 1)
            ratio = seconds / report.evaluations / alone
            show(f"{rows:,} bars, 100 columns, {name}", seconds, alone, f"{ratio:.2f} of the step a run")


def main() -> None:
    """Count and measure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--slices", type=int, default=3, help="slices of the sample with planted leaks")
    parser.add_argument("--bars", type=int, default=800, help="bars of a slice")
    parser.add_argument("--clean", type=int, default=200, help="random clean pipelines")
    parser.add_argument("--repeats", type=int, default=3, help="calls of which the median counts")
    arguments = parser.parse_args()
    bars = sample()
    planted(bars, arguments.slices, arguments.bars)
    alarms(bars, arguments.clean)
    times(bars, arguments.repeats)


if __name__ == "__main__":
    main()
