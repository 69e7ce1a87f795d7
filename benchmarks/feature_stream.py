"""One new bar, row by row: ``python -m benchmarks.feature_stream --bars 5000``.

What a live service pays: a bar as a dictionary goes into :meth:`FeatureStream.update`, a row of every feature that is
computed from the bars alone comes out. Beside it, over the same bars, the sixty indicators of
:mod:`benchmarks.indicators` by TA-Lib over the newest 600 bars, which is what a service does that keeps a window and no
state. Then both in turn, so that each finds the processor's caches full of the other's data. The median and the 99th
percentile of the bars count; the garbage collector runs as it does in a service.
"""

import argparse
import time
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import ArrayLike

from benchmarks.features import DEFAULT
from benchmarks.indicators import arrays_of, by_talib, problem
from pipelines.features import FeatureEngine

TAIL = 600
MICROSECONDS = 1e6
QUANTILES = (0.5, 0.99, 1.0)


def main() -> None:
    """Print what a bar costs."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bars", type=int, default=5000, help="updates that are measured")
    arguments = parser.parse_args()
    engine = FeatureEngine(DEFAULT, "1h")
    history = max(engine.warmup, TAIL) + 200
    bars = problem(history + 2 * arguments.bars)
    arrays = arrays_of(bars)
    stream = engine.stream(bars.iloc[:history])
    records = dict(enumerate(bars.iloc[history:].reset_index().to_dict("records"), history))

    def ours(row: int) -> None:
        stream.update(records[row])

    def theirs(row: int) -> None:
        for values in by_talib(*(np.ascontiguousarray(values[row + 1 - TAIL : row + 1]) for values in arrays)).values():
            values[-1]

    names = f"ours: {len(engine.names)} features, one row", f"TA-Lib: 60 indicators over {TAIL} bars"
    alone, in_turn = np.array_split(list(records), 2)
    print(f"{arguments.bars:,} bars, microseconds a bar: median, 99th percentile, largest")
    tell(names, [[seconds_of(function, row) for row in alone] for function in (ours, theirs)])
    print("the next as many, in turn")
    tell(names, np.transpose([[seconds_of(function, row) for function in (ours, theirs)] for row in in_turn]))


def seconds_of(function: Callable[[int], None], row: int) -> float:
    """Seconds of one call."""
    start = time.perf_counter()
    function(row)
    return time.perf_counter() - start


def tell(names: Sequence[str], seconds: ArrayLike) -> None:
    """One line for each, and their ratio."""
    for name, (middle, high, worst) in zip(
        names, MICROSECONDS * np.quantile(seconds, QUANTILES, axis=1).T, strict=True
    ):
        print(f"{name:<44} {middle:>9.1f} {high:>9.1f} {worst:>9.1f}")
    ours, theirs = np.median(seconds, axis=1)
    print(f"ratio of the medians {theirs / ours:.1f}", flush=True)


if __name__ == "__main__":
    main()
