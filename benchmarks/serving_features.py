"""Features of one request that brings one new bar: ``python -m benchmarks.serving_features --requests 200``.

The service keeps a stream behind the newest bar. A request copies it, so that others still find it where it was, moves
the copy on by the bar, and adds the row to those that models look at. Beside it what a service does that keeps bars and
no state: all features over as many bars as warm-up, longest window and holding time need, of which the last rows are
used. Both from bars in a frame to a frame of rows; the rows are compared.
"""

import argparse

import numpy as np
import pandas as pd

from benchmarks._timing import measure, show
from benchmarks.features import DEFAULT
from benchmarks.indicators import problem
from pipelines.features import FeatureEngine
from serving.context_history import ContextHistory
from serving.feature_tail import FeatureTail
from trading.instrument import Instrument

WINDOW, HORIZON = 24, 24


def main() -> None:
    """Print what the features of a request cost, and the ratio."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--requests", type=int, default=200, help="repeats of each")
    arguments = parser.parse_args()
    engine = FeatureEngine(DEFAULT, "1h")
    rows, needed = WINDOW + HORIZON - 1, engine.warmup + WINDOW + HORIZON
    bars = problem(needed + 1).rename_axis("timestamp")
    tail = FeatureTail.begin(engine, bars.iloc[:-1], ContextHistory(Instrument("BTC/USD", "1h"), {}), rows=rows)

    def stream() -> pd.DataFrame:
        return tail.extended(bars.iloc[-1:]).table

    def recomputed() -> pd.DataFrame:
        return engine.batch(bars.iloc[-needed:]).iloc[-rows:]

    print(f"{len(engine.names)} features, one new bar behind {needed:,}; median of {arguments.requests} requests")
    reference, expected = measure(recomputed, arguments.requests)
    seconds, found = measure(stream, arguments.requests)
    show("recomputing the tail", reference, reference)
    show("copy of a stream, one update", seconds, reference)
    print(f"ratio {reference / seconds:.1f}; largest difference {np.abs(found - expected).to_numpy().max():.1e}")


if __name__ == "__main__":
    main()
