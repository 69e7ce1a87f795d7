"""How often the whole machine promotes, on markets whose truth is known.

Each market goes through all stages, the gate and the registration; what is promoted is refreshed thirty days later.
Markets that are done are kept and not run again with the same code and settings; interrupted, it goes on where it was.
`--page docs/calibration.md` puts the table there.
"""

import argparse
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks._cells import HOME, inserted, markdown, measured
from benchmarks.calibration.markets import KINDS, ROWS, empty_state, measure
from pipelines.settings import quiet_environment
from trading.errors import EngineError

Verdict = Mapping[str, Any]


def main() -> None:
    """Run what is missing, and print the tables."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.calibration",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--kinds", nargs="+", choices=list(KINDS), default=list(KINDS), help="of market; all by default"
    )
    parser.add_argument("--runs", type=int, help="markets of each kind; as many as are asked for by default")
    parser.add_argument("--first-seed", type=int, default=1, help="of the first market of each kind")
    parser.add_argument("--rows", type=int, default=ROWS, help="bars of each; the last fifth is the test")
    parser.add_argument("--results", type=Path, default=HOME / "data" / "calibration", help="folder that keeps them")
    parser.add_argument("--workers", type=int, default=2, help="processes of one thread each")
    parser.add_argument("--page", type=Path, help="page whose tables are replaced")
    given = parser.parse_args()
    quiet_environment()
    state = (given.results / "state").resolve()
    empty_state(state / "empty")
    cells = [
        {"kind": name, "seed": seed, "rows": given.rows, "state": str(state)}
        for name in given.kinds
        for seed in range(given.first_seed, given.first_seed + (given.runs or KINDS[name].runs))
    ]
    found = measured(measure, cells, given.results, given.workers)
    by_kind: dict[str, list[list[Verdict]]] = {name: [] for name in given.kinds}
    for cell, one in zip(cells, found, strict=True):
        by_kind[cell["kind"]].append(one["verdicts"])
    tables = f"{claims(by_kind)}\n\n{refreshes(by_kind)}"
    print(tables)
    if given.page:
        inserted(given.page, "calibration", tables)


def claims(found: Mapping[str, Sequence[Sequence[Verdict]]]) -> str:
    """First verdicts of markets by kind: how many were promoted, and what refused the others."""
    head = [
        "market",
        "runs",
        "bars out of sample",
        "attainable net Sharpe",
        "learnt, mean",
        "deviation",
        "deflated by",
        "promoted",
        "refused by",
    ]
    rows = []
    for name, runs in found.items():
        asked = [one[0] for one in runs]
        sharpes = [one["sharpe"] for one in asked if one["sharpe"] is not None]
        rows.append(
            [
                name,
                str(len(asked)),
                f"{np.mean([one['test_bars'] for one in asked]):,.0f}",
                f"{np.mean([one['attainable'] for one in asked]):.2f}",
                f"{np.mean(sharpes):.2f}" if sharpes else "none traded",
                f"{np.std(sharpes, ddof=1):.2f}" if len(sharpes) > 1 else "one",
                f"{np.mean([one['deflated_by'] for one in asked]):.1f}",
                _promoted(asked),
                _refused(asked),
            ]
        )
    return markdown(head, rows)


def refreshes(found: Mapping[str, Sequence[Sequence[Verdict]]]) -> str:
    """Second verdicts, of an unchanged recipe on thirty days more; kinds without any are left out."""
    head = ["market", "refreshes", "lower bound of the difference: mean", "least", "accepted", "refused by"]
    rows = []
    for name, runs in found.items():
        if asked := [one[1] for one in runs if len(one) > 1]:
            bounds = [one["values"]["against_champion"] for one in asked]
            rows.append(
                [
                    name,
                    str(len(asked)),
                    f"{np.mean(bounds):.2f}",
                    f"{min(bounds):.2f}",
                    _promoted(asked),
                    _refused(asked),
                ]
            )
    return markdown(head, rows)


def _promoted(asked: Sequence[Verdict]) -> str:
    promoted = sum(one["promoted"] for one in asked)
    return f"{promoted} ({promoted / len(asked):.1%})"


def _refused(asked: Sequence[Verdict]) -> str:
    failed = Counter(rule for one in asked for rule in one["failed"])
    return ", ".join(f"{rule} {count}" for rule, count in failed.most_common()) or "nothing"


if __name__ == "__main__":
    try:
        main()
    except EngineError as error:
        raise SystemExit(str(error)) from None
