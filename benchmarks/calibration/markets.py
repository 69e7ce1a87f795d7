"""Which markets the machine is run on, and one of them."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from benchmarks._cells import HOME
from benchmarks.calibration.machine import verdicts
from pipelines.settings import Settings
from pipelines.tracking import Tracker
from trading.markets.market import Market

# A fifth of what is left after the features' warm-up is 10,000 bars.
ROWS, LATER = 50_900, pd.Timedelta(days=30)


@dataclass(frozen=True, slots=True)
class Kind:
    """Markets that differ by their seed alone.

    Parameters
    ----------
    market
        What is drawn.
    cost_bps
        Of a side. Without an edge there are none, which can only make it easier to be promoted.
    runs
        How many are asked for.
    """

    market: Market
    cost_bps: float
    runs: int


# Accuracies at which the strategy, told every expectation, earns the net Sharpe ratio of the name.
KINDS = {
    "nothing, 1h": Kind(Market("none", timeframe="1h"), 0.0, 100),
    "nothing, 4h": Kind(Market("none", timeframe="4h"), 0.0, 100),
    "Sharpe 4, 4h": Kind(Market("linear", 0.5415, "4h"), 1.0, 50),
    "Sharpe 2, 4h": Kind(Market("linear", 0.5215, "4h"), 1.0, 50),
    "Sharpe 4, 1h": Kind(Market("linear", 0.5225, "1h"), 1.0, 50),
}


def empty_state(folder: Path) -> Path:
    """A registry and a ledger that hold nothing, made once for all markets."""
    if not folder.exists():
        unfinished = folder.with_suffix(".tmp")
        unfinished.mkdir(parents=True, exist_ok=True)
        _ = Tracker(Settings(home=HOME, state=unfinished), Market("none").instrument).client
        unfinished.replace(folder)
    return folder


def measure(cell: dict[str, Any]) -> dict[str, Any]:
    """One market: the first verdict, and once promoted that of thirty days later."""
    kind = KINDS[cell["kind"]]
    rows = (cell["rows"],)
    if kind.market.edge != "none":
        rows = (*rows, cell["rows"] + LATER // kind.market.instrument.bar)
    state = Path(cell["state"])
    found = verdicts(kind.market, cell["seed"], rows, state / "empty", cost_bps=kind.cost_bps, state=state)
    return {"verdicts": found}
