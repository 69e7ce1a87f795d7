"""Markets with a planted edge: how much of what could be had is earned."""

from pathlib import Path
from typing import Any

import numpy as np

from benchmarks._cells import markdown, measured
from benchmarks.skill.forecasts import ORDER, dataset, forecasts, params_of
from models.factory import FAMILIES
from trading.markets.market import EDGES, Market, attainable_accuracy, draw, expected_accuracy

ACCURACY = 0.6
WANTED = {"linear": 0.90, "interaction": 0.75, "memory": 0.55, "regime": 0.50}
STACK = 0.90


def cells(*, rows: int, seeds: int, profile: str, peers: bool) -> list[dict[str, Any]]:
    """One a market and seed."""
    return [
        {"table": "known", "edge": edge, "seed": seed, "rows": rows, "profile": profile, "peers": peers}
        for seed in range(1, seeds + 1)
        for edge in EDGES
        if edge != "none"
    ]


def measure(cell: dict[str, Any]) -> dict[str, Any]:
    """Shares earned by everyone on one market."""
    market = Market(cell["edge"], ACCURACY)
    drawn = draw(market, cell["rows"], cell["seed"])
    params = params_of(cell["profile"])
    data = dataset(drawn.bars, market.instrument, "1h", params)
    test_from = drawn.bars.index[cell["rows"] // 2]
    found = forecasts(data, drawn.bars, market.instrument, params, test_from=test_from, peers=cell["peers"])
    answer, label = drawn.answer.loc[found.said.index], data.y.loc[found.said.index]
    attainable = attainable_accuracy(answer)
    right = {name: float(((up > 0.5) == (label > 0)).mean()) for name, up in found.said.items()}
    expected = {name: expected_accuracy(up, answer) for name, up in found.said.items()}
    return {
        "attainable": attainable,
        "rows": len(found.said),
        "columns": found.columns,
        "accuracy": right,
        "earned": {name: (value - 0.5) / (attainable - 0.5) for name, value in expected.items()},
        "earned_realised": {name: (value - 0.5) / (attainable - 0.5) for name, value in right.items()},
        "seconds": found.seconds,
        "stack": found.stack,
    }


def table(given: list[dict[str, Any]], found: list[dict[str, Any]]) -> tuple[str, list[str]]:
    """The table, and a line for each requirement."""
    by_edge: dict[str, list[dict[str, Any]]] = {}
    for cell, one in zip(given, found, strict=True):
        by_edge.setdefault(cell["edge"], []).append(one)
    names = [name for name in ORDER if name in found[0]["earned"]]
    rows = []
    for name in names:
        row = [f"**{name}**" if name in (*FAMILIES, "stack") else name]
        for ones in by_edge.values():
            earned = [one["earned"][name] for one in ones]
            realised = np.mean([one["earned_realised"][name] for one in ones])
            row.append(f"{np.mean(earned):.2f} [{min(earned):.2f}, {max(earned):.2f}] ({realised:.2f})")
        seconds = [one["seconds"][name] for one in found if name in one["seconds"]]
        rows.append([*row, f"{np.mean(seconds):.0f}" if seconds and np.mean(seconds) >= 0.5 else ""])
    head = ["earned of what could be had", *by_edge, "seconds"]
    verdicts = []
    for edge, ones in by_edge.items():
        mean = {name: float(np.mean([one["earned"][name] for one in ones])) for name in names}
        best = max(FAMILIES, key=lambda name: mean[name])
        share = mean["stack"] / mean[best]
        verdicts.append(
            f"{edge}: best single family {best} earns {mean[best]:.2f} (wanted {WANTED[edge]:.2f}: "
            f"{'reached' if mean[best] >= WANTED[edge] else 'MISSED'}); the stack {share:.2f} of that "
            f"(wanted {STACK:.2f}: {'reached' if share >= STACK else 'MISSED'}); "
            f"attainable {np.mean([one['attainable'] for one in ones]):.4f}, {ones[0]['columns']} columns, "
            f"{ones[0]['rows']} bars out of sample"
        )
    return markdown(head, rows), verdicts


def run(results: Path, workers: int, *, quick: bool, profile: str, peers: bool) -> tuple[str, list[str]]:
    """Measure what is missing, and show all."""
    given = cells(rows=3000 if quick else 20_000, seeds=1 if quick else 5, profile=profile, peers=peers)
    given = given[:1] if quick else given
    return table(given, measured(measure, given, results, workers))
