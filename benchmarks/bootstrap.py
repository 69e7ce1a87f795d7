"""The block bootstrap beside arch's: ``python -m benchmarks.bootstrap --bars 10000 --paths 10000 --repeats 5``.

Sharpe ratio, return, drawdown, time under water and lowest equity of resampled paths. arch makes each path and hands it
to a Python function; it is measured on fewer paths and scaled, since its time is proportional to them. Both run on one
thread. Memory is the peak of the resident size over what it was before, with everything compiled.
"""

import argparse
import math
from importlib.util import find_spec
from pathlib import Path

import numpy as np

from benchmarks._timing import measure, show
from pipelines.monte_carlo.blocks import Blocks
from pipelines.monte_carlo.bootstrap import bootstrap

YEAR = 365 * 24.0
COLUMNS = ["sharpe", "total_return", "max_drawdown", "time_under_water", "lowest_equity"]
BLOCKS = [
    *(Blocks("stationary", length) for length in (5, 12, 24, 50, 100)),
    *(Blocks("circular", length) for length in (12, 24, 100)),
]


def statistics(sample: np.ndarray) -> np.ndarray:
    """What we say of a path, as fast as plain numpy does it."""
    equity = np.cumprod(1.0 + sample)
    peak = np.maximum.accumulate(np.maximum(equity, 1.0))
    dry = np.flatnonzero(equity >= peak)
    return np.array(
        [
            sample.mean() / sample.std(ddof=1) * math.sqrt(YEAR),
            equity[-1] - 1.0,
            (1.0 - equity / peak).max(),
            np.diff(dry, prepend=-1, append=len(equity)).max() - 1,
            min(equity.min(), 1.0),
        ]
    )


def resident(key: str) -> float:
    """Present (``VmRSS``) or largest (``VmHWM``) resident size of this process in megabytes."""
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith(f"{key}:"))
    return int(line.split()[1]) / 1024


def main() -> None:
    """Measure ours, and arch's where it is installed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bars", type=int, default=10_000, help="length of the return stream")
    parser.add_argument("--paths", type=int, default=10_000, help="paths resampled")
    parser.add_argument("--repeats", type=int, default=5, help="calls of which the median counts")
    arguments = parser.parse_args()
    rng = np.random.default_rng(0)
    returns = rng.standard_t(5, arguments.bars) * 0.004 + 1e-5
    reference_paths = max(arguments.paths // 20, 1)

    def ours(blocks: Blocks, paths: int, fan_points: int):
        return bootstrap(returns, blocks, paths=paths, seed=0, periods_per_year=YEAR, fan_points=fan_points)

    print(f"{arguments.paths:,} paths of {arguments.bars:,} returns, median of {arguments.repeats} calls")
    for blocks in BLOCKS:
        name = f"{blocks.kind}, block {blocks.length}"
        seconds, result = measure(lambda blocks=blocks: ours(blocks, arguments.paths, 0), arguments.repeats)
        show(f"ours, {name}", seconds, seconds)
        if not find_spec("arch"):
            print("arch is not installed: not measured")
            continue
        from arch.bootstrap import CircularBlockBootstrap, StationaryBootstrap

        peer = StationaryBootstrap if blocks.kind == "stationary" else CircularBlockBootstrap
        theirs, sample = measure(
            lambda blocks=blocks, peer=peer: peer(blocks.length, returns, seed=0).apply(statistics, reference_paths), 1
        )
        scaled = theirs * arguments.paths / reference_paths
        mine = result.statistics[COLUMNS].to_numpy()
        gaps = np.abs(mine.mean(axis=0) - sample.mean(axis=0)) / np.sqrt(
            mine.var(axis=0) / len(mine) + sample.var(axis=0) / len(sample)
        )
        remark = f"means differ by {', '.join(f'{gap:.1f}' for gap in gaps)} standard errors"
        show(f"arch, {name}, from {reference_paths:,} paths", scaled, seconds, remark)
    blocks = Blocks("stationary", 24)
    for fan_points in (0, 200):
        ours(blocks, 10, fan_points)
        before = resident("VmRSS")
        Path("/proc/self/clear_refs").write_text("5")
        ours(blocks, arguments.paths, fan_points)
        print(f"extra memory with {fan_points} points of the fan: {resident('VmHWM') - before:.1f} MB")


if __name__ == "__main__":
    main()
