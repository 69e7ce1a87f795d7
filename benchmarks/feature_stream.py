"""One new bar, row by row: ``python -m benchmarks.feature_stream --bars 5000``.

What a live service pays: a bar as a dictionary goes into :meth:`FeatureStream.update`, a row of every feature that is
computed from the bars alone comes out. Beside it, in turn, the sixty indicators of :mod:`benchmarks.indicators` by
TA-Lib over the newest 600 bars, which is what a service does that keeps a window and no state. The median and the 99th
percentile of the bars count; the garbage collector runs as it does in a service.
"""

import argparse
import time
from typing import Any

import numpy as np

from benchmarks.features import DEFAULT
from benchmarks.indicators import arrays_of, by_talib, problem
from pipelines.features import FeatureEngine

TAIL = 600
MICROSECONDS = 1e6


def main() -> None:
    """Print what a bar costs."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bars", type=int, default=5000, help="updates that are measured")
    arguments = parser.parse_args()
    engine = FeatureEngine(DEFAULT, "1h")
    history = max(engine.warmup, TAIL) + 200
    bars = problem(history + arguments.bars)
    arrays = arrays_of(bars)
    stream = engine.stream(bars.iloc[:history])
    ours, theirs = [], []
    for row, bar in enumerate(bars.iloc[history:].reset_index().to_dict("records"), history):
        ours.append(seconds_of(lambda bar=bar: stream.update(bar)))
        tail = [np.ascontiguousarray(values[row + 1 - TAIL : row + 1]) for values in arrays]
        theirs.append(seconds_of(lambda tail=tail: [values[-1] for values in by_talib(*tail).values()]))
    print(f"{arguments.bars:,} bars in turn, microseconds a bar: median, 99th percentile, largest")
    tell(f"ours: {len(engine.names)} features, one row", ours)
    tell(f"TA-Lib: 60 indicators over {TAIL} bars", theirs)
    print(f"median ratio {np.median(np.divide(theirs, ours)):.1f}")


def seconds_of(function: Any) -> float:
    """Seconds of one call."""
    start = time.perf_counter()
    function()
    return time.perf_counter() - start


def tell(name: str, seconds: list[float]) -> None:
    """One line."""
    middle, high, worst = np.quantile(seconds, [0.5, 0.99, 1.0]) * MICROSECONDS
    print(f"{name:<44} {middle:>9.1f} {high:>9.1f} {worst:>9.1f}", flush=True)


if __name__ == "__main__":
    main()
