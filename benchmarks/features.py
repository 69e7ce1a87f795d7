"""The feature engine beside TA-Lib: ``python -m benchmarks.features --bars 100000 --repeats 15``.

Sixty common indicators from the same arrays to a frame, ours and TA-Lib's in turn, so that whatever else the machine
does befalls both; the median of the ratios counts. Then the whole default set at growing lengths: what a bar costs must
not grow with them.
"""

import argparse
import os
import time
from statistics import median, quantiles

import numpy as np
import pandas as pd

from benchmarks._timing import measure, show
from benchmarks.indicators import arrays_of, by_operators, by_talib, largest_difference, problem
from pipelines.features import FeatureEngine
from pipelines.features.catalogue import GROUPS
from pipelines.features.execution import Execution
from pipelines.features.market import market_of
from pipelines.features.program import Program

HOUR = pd.Timedelta("1h")
# Groups that read the bars alone.
DEFAULT = tuple(group for group in GROUPS if group not in ("order_flow", "cross_asset", "sentiment"))


def main() -> None:
    """Print both tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bars", type=int, default=100_000, help="length of the history for the indicators")
    parser.add_argument("--repeats", type=int, default=15, help="calls of which the median counts")
    arguments = parser.parse_args()
    beside_talib(arguments.bars, arguments.repeats)
    at_growing_lengths(arguments.bars, arguments.repeats)


def beside_talib(count: int, repeats: int) -> None:
    """The sixty indicators."""
    bars = problem(count)
    arrays, market = arrays_of(bars), market_of(bars, HOUR)
    expressions = by_operators()
    program = Program.compile(list(expressions.values()))

    def ours() -> pd.DataFrame:
        values = Execution(program, HOUR).advance(market.opened, market.values)
        return pd.DataFrame(values.T, index=bars.index, columns=list(expressions), copy=False)

    def theirs() -> pd.DataFrame:
        return pd.DataFrame(by_talib(*arrays), index=bars.index)

    name, apart = largest_difference(ours(), theirs())
    assert apart < 1e-8, f"{name} differs by {apart}"
    mine, talibs = [], []
    for _ in range(repeats):
        for function, seconds in ((ours, mine), (theirs, talibs)):
            start = time.perf_counter()
            function()
            seconds.append(time.perf_counter() - start)
    ratios = np.divide(talibs, mine)
    low, _, high = quantiles(ratios, n=4)
    print(f"{len(expressions)} indicators of {count:,} bars, {repeats} times in turn; differ by at most {apart:.0e}")
    show("ours, to a frame", median(mine), median(mine))
    show(
        "TA-Lib, to a frame", median(talibs), median(mine), f"median ratio {median(ratios):.2f} [{low:.2f}, {high:.2f}]"
    )


def at_growing_lengths(count: int, repeats: int) -> None:
    """The default set at a quarter, once and four times the length: by the clock, and by the processor alone.

    A result of hundreds of megabytes is written to pages that the system must first find and clear; how long that
    takes is the machine's business, and on a virtual one may take longer than the features.
    """
    engine = FeatureEngine(DEFAULT, "1h")
    print(f"{len(engine.names)} features of the groups {', '.join(engine.groups)}")
    for rows in (count // 4, count, 4 * count):
        bars = problem(rows)
        calls = max(3, repeats // 3)
        engine.batch(bars)
        before = os.times().user
        seconds, _ = measure(lambda bars=bars: engine.batch(bars), calls)
        # `measure` makes one call more than it counts.
        computing = (os.times().user - before) / (calls + 1)
        each = f"{seconds / rows * 1e9:,.0f} ns a bar, {computing / rows * 1e9:,.0f} of them computing"
        show(f"ours: batch() of {rows:,} bars", seconds, seconds, each)


if __name__ == "__main__":
    main()
