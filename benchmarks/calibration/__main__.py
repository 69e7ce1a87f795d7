"""How often the whole machine promotes.

    python -m benchmarks.calibration null      markets with nothing to find, without costs, which would only help
    python -m benchmarks.calibration planted   markets with an edge; what is promoted is refreshed a month later

Each market goes through all stages, the gate and the registration. Those that are done are kept and not run again with
the same code and settings; interrupted, it goes on where it was.
"""

import argparse
from collections import Counter
from pathlib import Path
from typing import Any

from benchmarks._cells import HOME, markdown, measured
from benchmarks.calibration.machine import verdicts
from pipelines.settings import quiet_environment
from trading.markets.market import Market

ROWS, MONTH = 50_000, 720
EDGE, ACCURACY, COST_BPS = "linear", 0.52, 1.0


def main() -> None:
    """Run what is missing, and print a table."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.calibration",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("table", choices=["null", "planted"])
    parser.add_argument("--runs", type=int, default=50, help="markets, each of another seed")
    parser.add_argument("--rows", type=int, default=ROWS, help="bars of each; the last fifth is the test")
    parser.add_argument("--results", type=Path, default=HOME / "data" / "calibration", help="folder that keeps them")
    parser.add_argument("--workers", type=int, default=2, help="processes of one thread each")
    given = parser.parse_args()
    quiet_environment()
    state = given.results / "state"
    state.mkdir(parents=True, exist_ok=True)
    cells = [
        {"table": given.table, "seed": seed, "rows": given.rows, "state": str(state.resolve())}
        for seed in range(1, given.runs + 1)
    ]
    print(shown(measured(measure, cells, given.results, given.workers)))


def measure(cell: dict[str, Any]) -> dict[str, Any]:
    """One market."""
    planted = cell["table"] == "planted"
    found = verdicts(
        Market(EDGE, ACCURACY) if planted else Market("none"),
        cell["seed"],
        (cell["rows"], cell["rows"] + MONTH) if planted else (cell["rows"],),
        Path(cell["state"]),
        cost_bps=COST_BPS if planted else 0.0,
        symbol=f"{'P' if planted else 'N'}{cell['seed']}/USD",
    )
    return {"verdicts": found}


def shown(cells: list[dict[str, Any]]) -> str:
    """A row for each question: how often it was asked, what passed, and what refused the rest."""
    rows = []
    for place, question in enumerate(("first", "refresh")):
        asked = [cell["verdicts"][place] for cell in cells if len(cell["verdicts"]) > place]
        if asked:
            sharpes = [one["sharpe"] for one in asked if one["sharpe"] is not None]
            failed = Counter(rule for one in asked for rule in one["failed"])
            rows.append(
                [
                    question,
                    str(len(asked)),
                    str(sum(one["promoted"] for one in asked)),
                    f"{sum(sharpes) / len(sharpes):.2f}" if sharpes else "none traded",
                    ", ".join(f"{rule} {count}" for rule, count in failed.most_common()) or "nothing",
                ]
            )
    return markdown(["question", "asked", "promoted", "mean net Sharpe", "refused by"], rows)


if __name__ == "__main__":
    main()
