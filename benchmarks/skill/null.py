"""A market without an edge, many times: how often skill is claimed where there is none."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from benchmarks._cells import markdown, measured
from benchmarks.skill.forecasts import dataset, params_of
from pipelines.backtest.skill import skill
from pipelines.backtest.walk_forward import fold_tasks, run_fold
from trading.markets.market import Market, draw

VOTERS = {"random_forest": 1.0, "xgboost": 1.0}
RUNS, MOST_CLAIMS = 200, 9


def cells(*, rows: int, runs: int, first_seed: int) -> list[dict[str, Any]]:
    """One a run."""
    return [{"table": "null", "seed": first_seed + run, "rows": rows} for run in range(runs)]


def measure(cell: dict[str, Any]) -> dict[str, Any]:
    """A walk-forward of the trees' vote, and what the report says of it: the product's own code for both."""
    market = Market("none")
    drawn = draw(market, cell["rows"], cell["seed"])
    params = params_of("quick")
    params = params.model_copy(update={"models": params.models.model_copy(update={"voting": VOTERS})})
    data = dataset(drawn.bars, market.instrument, "1h", params)
    tasks = fold_tasks("1h", data, params, market.instrument, params.models.model_dump())
    blocks = [run_fold(task).predictions for task in tasks]
    predictions = pd.concat(blocks)
    said = skill(predictions, drawn.bars, ["vote"], 1, params.backtest.confidence)
    return {
        "accuracy": said["skill"]["vote"]["accuracy"],
        "samples": said["samples"],
        "claimed": bool(said["skill_low"] > params.gate.min_skill),
        "over_baseline": said["skill_over_baseline"],
    }


def table(found: list[dict[str, Any]]) -> tuple[str, list[str]]:
    """The table, and a line for each requirement."""
    accuracy = np.array([one["accuracy"] for one in found])
    error = float(accuracy.std(ddof=1) / np.sqrt(len(accuracy))) if len(accuracy) > 1 else float("nan")
    away = float((accuracy.mean() - 0.5) / error)
    claims = sum(one["claimed"] for one in found)
    head = [
        "runs",
        "bars out of sample, each",
        "mean accuracy",
        "standard error",
        "standard errors from one half",
        "claims of skill",
    ]
    row = [
        str(len(found)),
        str(found[0]["samples"]),
        f"{accuracy.mean():.4f}",
        f"{error:.4f}",
        f"{away:+.2f}",
        str(claims),
    ]
    verdicts = [
        f"mean accuracy {away:+.2f} standard errors from one half (wanted within 2: "
        f"{'reached' if abs(away) <= 2 else 'MISSED'})",
        f"{claims} claims of skill in {len(found)} runs (wanted at most {MOST_CLAIMS} in 100: "
        f"{'reached' if claims * 100 <= MOST_CLAIMS * len(found) else 'MISSED'})",
    ]
    return markdown(head, [row]), verdicts


def run(results: Path, workers: int, *, quick: bool, first_seed: int) -> tuple[str, list[str]]:
    """Measure what is missing, and show all."""
    given = cells(rows=2500 if quick else 6000, runs=2 if quick else RUNS, first_seed=first_seed)
    return table(measured(measure, given, results, workers))
