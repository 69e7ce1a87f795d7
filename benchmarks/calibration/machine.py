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
from pipelines.backtest.strategy import Strategy
from pipelines.context import Context
from pipelines.params import overlay, read_params, read_run
from pipelines.settings import Settings
from trading.markets.market import Drawn, Market, draw

# The stages that a verdict rests on, in order, then what the flow does with it.
STAGES = (
    "ingest", "validate", "features", "labels", "tune", "train", "backtest", "stress", "audit", "monte_carlo",
    "evidence", "gate", "register",
)  # fmt: skip
SMALL: Mapping[str, Any] = {
    "features": {"groups": ["momentum", "volatility"]},
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
    "tune": {
        "trials": {"xgboost": 2},
        # Around the settings above.
        "search": {
            "xgboost": {
                "max_depth": {"low": 1, "high": 3, "log": False},
                "learning_rate": {"low": 0.03, "high": 0.08, "log": True},
                "min_child_weight": {"low": 150.0, "high": 600.0, "log": True},
                "colsample_bytree": {"low": 0.3, "high": 0.9, "log": False},
            }
        },
    },
    "importance": {"repeats": 1, "rows": 200, "resamples": 50},
    "backtest": {
        "refits": 1,
        "first_test_fraction": 0.8,
        "seeds": 1,
        "random_paths": 20,
        "monte_carlo": {"paths": 500},
        "conformal": {"memory": 100},
    },
    "evidence": {"superior_ability": {"paths": 100}},
    "audit": {"cuts": 1},
    "monte_carlo": {
        "regimes": 1,
        "bars": 500,
        "markets": {"tolerance": 0.0, "batch": 4, "most": 4},
        "replays": {"tolerance": 1.0, "batch": 4, "most": 4},
    },
    "stress": {"moments": 4},
    # A limit on risk, whoever is right: the simulated markets are wild, and without it noise has it easier.
    "gate": {"max_drawdown": 1.0},
}
"""What differs from ``params.yaml``: enough for seconds, and but for one limit nothing of how a version is judged."""


def verdicts(
    market: Market, seed: int, rows: tuple[int, ...], empty: Path, *, cost_bps: float, state: Path
) -> list[dict[str, Any]]:
    """Run on the first of ``rows`` bars, then again on each longer history, as a schedule would; a verdict each.

    Nothing is run after a refusal. Beside each is what the same strategy would have earned over the same bars if it had
    been told the expectation of every move.

    Parameters
    ----------
    market, seed
        What is drawn; longer histories begin with the shorter ones.
    rows
        Growing numbers of bars.
    empty
        A folder with a registry and a ledger that hold nothing; a copy of it is used.
    cost_bps
        All costs of a side.
    state
        Where folders are made for the while.
    """
    horizon, drawn = market.timeframe, draw(market, rows[-1], seed)
    found: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory(dir=state) as scratch:
        ledger = shutil.copytree(empty, Path(scratch) / "state")
        for count in rows:
            context = workspace(Path(scratch) / str(count), drawn, count, ledger, cost_bps)
            for stage in STAGES:
                importlib.import_module(f"pipelines.{stage}.stage").run(context)
            verdict = context.files.read_json("data/gate/verdict.json")["horizons"][horizon]
            measured = context.files.read_json("data/evidence/evidence.json")["horizons"][horizon]
            registered = context.files.read_json("data/register/registered.json")["horizons"][horizon]
            tested = context.files.read_frame(f"data/backtest/{horizon}/predictions.parquet").index
            found.append(
                {
                    "question": verdict["question"],
                    "promoted": "champion" in registered["aliases_moved"],
                    "failed": [rule["rule"] for rule in verdict["rules"] if not rule["passed"]],
                    "values": {rule["rule"]: rule["value"] for rule in verdict["rules"]},
                    "sharpe": measured["strategy"]["sharpe"],
                    "attainable": ideal_sharpe(context, drawn, tested),
                    "deflated_by": verdict["trials"]["deflated_by"],
                    "test_bars": len(tested),
                }
            )
            if not found[-1]["promoted"]:
                break
    return found


def ideal_sharpe(context: Context, drawn: Drawn, tested: pd.DatetimeIndex) -> float:
    """Annual net Sharpe ratio of the same strategy over the same bars, told the expectation of every move."""
    strategy = Strategy(context.params, context.run.instrument, drawn.market.timeframe)
    certain = pd.Series(1.0, index=tested)
    positions = strategy.positions(certain, drawn.answer["mean"].reindex(tested))
    return float(strategy.simulate(drawn.bars.loc[: tested[-1]], positions).metrics["sharpe"])


def workspace(root: Path, drawn: Drawn, count: int, state: Path, cost_bps: float) -> Context:
    """A workspace as `engine run` would lay it out, for the small settings and the first ``count`` bars."""
    (root / "data" / "context").mkdir(parents=True)
    drawn.bars.iloc[:count].reset_index().to_parquet(root / "bars.parquet")
    raw = yaml.safe_load((HOME / "params.yaml").read_text(encoding="utf-8"))
    # Mappings are merged key by key; who votes and what is searched is given whole.
    raw["models"]["voting"], raw["tune"]["trials"] = {}, {}
    own = {
        "labels": {"horizons": [drawn.market.timeframe]},
        "costs": {"fee_bps": cost_bps, "spread_bps": 0.0, "slippage_bps": 0.0},
    }
    (root / "params.yaml").write_text(yaml.safe_dump(overlay(overlay(raw, SMALL), own)), encoding="utf-8")
    run = {
        "symbol": drawn.market.instrument.symbol,
        "timeframe": drawn.market.timeframe,
        "source": str(root / "bars.parquet"),
        "context": "data/context",
        "as_of": None,
    }
    (root / "run.yaml").write_text(yaml.safe_dump(run), encoding="utf-8")
    shutil.copy(HOME / "stress.yaml", root / "stress.yaml")
    return Context(
        params=read_params(root / "params.yaml"),
        run=read_run(root / "run.yaml"),
        files=Artifacts(root),
        settings=Settings(home=HOME, state=state),
    )
