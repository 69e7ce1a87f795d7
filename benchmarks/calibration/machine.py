"""One complete run in this process: stages of ``dvc.yaml``, gate and registration, on a simulated market."""

import importlib
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd
import yaml

from benchmarks._cells import HOME
from pipelines.artifacts import Artifacts
from pipelines.context import Context
from pipelines.params import overlay, read_params, read_run
from pipelines.settings import Settings
from trading.markets.market import Market, draw

HORIZON = "1h"
# The stages that a verdict rests on, in order, then what the flow does with it.
STAGES = (
    "ingest", "validate", "features", "labels", "tune", "train", "backtest", "stress", "audit", "evidence", "gate",
    "register",
)  # fmt: skip
SMALL: Mapping[str, Any] = {
    "features": {"groups": ["momentum", "volatility"]},
    "labels": {"horizons": [HORIZON]},
    "positions": {"round_trips": 0.0},
    "models": {
        "xgboost": {
            "crosses": 0,
            "n_estimators": 100,
            "max_depth": 2,
            "min_child_weight": 300.0,
        },
        "voting": {"xgboost": 1.0},
    },
    "tune": {"trials": {"xgboost": 2}},
    "importance": {"repeats": 1, "rows": 200, "resamples": 50},
    "backtest": {
        "refits": 1,
        "first_test_fraction": 0.8,
        "seeds": 1,
        "random_paths": 20,
        "monte_carlo": {"paths": 500},
    },
    "evidence": {"superior_ability": {"paths": 100}},
    "audit": {"cuts": 1},
}
"""What differs from ``params.yaml``: enough for seconds, and nothing of how a version is judged."""


def verdicts(
    market: Market, seed: int, rows: tuple[int, ...], state: Path, *, cost_bps: float, symbol: str
) -> list[dict[str, Any]]:
    """Run on the first of ``rows`` bars, then again on each longer history, as a schedule would; a verdict each.

    Parameters
    ----------
    market, seed
        What is drawn; longer histories begin with the shorter ones.
    rows
        Growing numbers of bars.
    state
        Folder of the registry and the ledger, shared by cells: each has a symbol of its own.
    cost_bps
        All costs of a side.
    symbol
        As the registry knows it.
    """
    bars = draw(market, rows[-1], seed).bars
    found = []
    with tempfile.TemporaryDirectory(dir=state) as scratch:
        for count in rows:
            root = Path(scratch) / str(count)
            context = workspace(root, bars.iloc[:count], state, cost_bps=cost_bps, symbol=symbol)
            for stage in STAGES:
                importlib.import_module(f"pipelines.{stage}.stage").run(context)
            verdict = context.files.read_json("data/gate/verdict.json")["horizons"][HORIZON]
            measured = context.files.read_json("data/evidence/evidence.json")["horizons"][HORIZON]
            registered = context.files.read_json("data/register/registered.json")["horizons"][HORIZON]
            found.append(
                {
                    "question": verdict["question"],
                    "promoted": "champion" in registered["aliases_moved"],
                    "failed": [rule["rule"] for rule in verdict["rules"] if not rule["passed"]],
                    "sharpe": measured["strategy"]["sharpe"],
                    "deflated_sharpe": verdict["deflated_sharpe"],
                    "trials": measured["trials"]["counted"],
                    "deflated_by": measured["trials"]["deflated_by"],
                    "test_bars": sum(fold["test_rows"] for fold in measured["folds"]),
                }
            )
            shutil.rmtree(root)
            if not found[-1]["promoted"]:
                break
    return found


def workspace(root: Path, bars: pd.DataFrame, state: Path, *, cost_bps: float, symbol: str) -> Context:
    """A workspace as `engine run` would lay it out, for the small settings."""
    (root / "data" / "context").mkdir(parents=True)
    bars.reset_index().to_parquet(root / "bars.parquet")
    raw = yaml.safe_load((HOME / "params.yaml").read_text(encoding="utf-8"))
    # Mappings are merged key by key; who votes and what is searched is given whole.
    raw["models"]["voting"], raw["tune"]["trials"] = {}, {}
    costs = {"costs": {"fee_bps": cost_bps, "spread_bps": 0.0, "slippage_bps": 0.0}}
    (root / "params.yaml").write_text(yaml.safe_dump(overlay(overlay(raw, SMALL), costs)), encoding="utf-8")
    run = {"symbol": symbol, "timeframe": "1h", "source": str(root / "bars.parquet"), "context": "data/context"}
    (root / "run.yaml").write_text(yaml.safe_dump(run | {"as_of": None}), encoding="utf-8")
    shutil.copy(HOME / "stress.yaml", root / "stress.yaml")
    return Context(
        params=read_params(root / "params.yaml"),
        run=read_run(root / "run.yaml"),
        files=Artifacts(root),
        settings=Settings(home=HOME, state=state),
    )
