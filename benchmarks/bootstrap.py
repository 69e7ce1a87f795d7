"""The stationary bootstrap beside arch's: ``python -m benchmarks.bootstrap --bars 10000 --paths 10000 --repeats 5``.

Sharpe ratio, return and drawdown of resampled paths. arch makes each path and hands it to a Python function; it is
measured on fewer paths and scaled, since its time is proportional to them.
"""

import argparse
import math
from importlib.util import find_spec

import numpy as np

from benchmarks._timing import measure, show
from pipelines.bootstrap import stationary_bootstrap

YEAR = 365 * 24.0


def statistics(sample: np.ndarray) -> np.ndarray:
    """Sharpe ratio, total return and drawdown of a path, as fast as plain numpy does them."""
    equity = np.cumprod(1.0 + sample)
    peak = np.maximum.accumulate(np.maximum(equity, 1.0))
    return np.array(
        [sample.mean() / sample.std(ddof=1) * math.sqrt(YEAR), equity[-1] - 1.0, (1.0 - equity / peak).max()]
    )


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
    print(f"{arguments.paths:,} paths of {arguments.bars:,} returns, median of {arguments.repeats} calls")
    for block in (5, 24, 100):
        seconds, result = measure(
            lambda block=block: stationary_bootstrap(returns, arguments.paths, block, 0, YEAR), arguments.repeats
        )
        show(f"ours, mean block {block}, with the fan", seconds, seconds)
        if not find_spec("arch"):
            print("arch is not installed: not measured")
            continue
        from arch.bootstrap import StationaryBootstrap

        theirs, sample = measure(
            lambda block=block: StationaryBootstrap(block, returns, seed=0).apply(statistics, reference_paths), 1
        )
        scaled = theirs * arguments.paths / reference_paths
        gaps = [
            abs(mine.mean() - other.mean()) / math.sqrt(mine.var() / len(mine) + other.var() / len(other))
            for mine, other in zip((result.sharpe, result.total_return, result.max_drawdown), sample.T, strict=True)
        ]
        remark = f"means differ by {', '.join(f'{gap:.1f}' for gap in gaps)} standard errors"
        show(f"arch, mean block {block}, scaled from {reference_paths:,} paths", scaled, seconds, remark)


if __name__ == "__main__":
    main()
