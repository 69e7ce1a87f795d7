"""Five families, eight refits, one horizon, untuned: how long a walk-forward takes."""

import time
from pathlib import Path
from typing import Any

from benchmarks._cells import markdown, measured
from benchmarks.skill.forecasts import dataset, params_of
from benchmarks.skill.real import bars_of
from models.factory import FAMILIES
from pipelines.backtest.walk_forward import fold_tasks, run_fold
from trading.instrument import Instrument

MOST_MINUTES = 20


def measure(cell: dict[str, Any]) -> dict[str, Any]:
    """Seconds of one refit of one family, forecasts included."""
    instrument, params = Instrument("BTC/USD", "1h"), params_of("quick")
    bars = bars_of("BTC/USD").iloc[-cell["rows"] :]
    models = params.models.model_copy(update={"voting": {cell["family"]: 1.0}})
    backtest = params.backtest.model_copy(update={"refits": cell["refits"]})
    params = params.model_copy(update={"models": models, "backtest": backtest})
    data = dataset(bars, instrument, "1h", params)
    task = list(fold_tasks("1h", data, params, instrument, params.models.model_dump()))[cell["fold"]]
    start = time.perf_counter()
    found = run_fold(task)
    return {"seconds": time.perf_counter() - start, "rows": found.train_rows}


def run(results: Path, workers: int, *, quick: bool) -> tuple[str, list[str]]:
    """Measure what is missing, and show all."""
    refits = 1 if quick else 8
    families = ("xgboost",) if quick else FAMILIES
    given = [
        {"table": "budget", "family": family, "fold": fold, "refits": refits, "rows": 2500 if quick else 10_000}
        for fold in reversed(range(refits))
        for family in families
    ]
    start = time.monotonic()
    found = measured(measure, given, results, workers)
    wall = (time.monotonic() - start) / 60
    seconds = {
        family: sum(one["seconds"] for cell, one in zip(given, found, strict=True) if cell["family"] == family)
        for family in families
    }
    total = sum(seconds.values()) / 60
    rows = [[family, f"{value:.0f}"] for family, value in seconds.items()]
    return markdown(["family", f"seconds of {refits} refits"], rows), [
        f"{total:.1f} minutes of one core in all, {total / workers:.1f} on {workers}; {wall:.1f} by the clock of this "
        f"run "
        f"(wanted at most {MOST_MINUTES} on 2: {'reached' if total / 2 <= MOST_MINUTES else 'MISSED'})"
    ]
