"""Workspaces for tests: the smallest params that go through every branch, and stages run in this process."""

import atexit
import importlib
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from pipelines.artifacts import Artifacts
from pipelines.context import Context
from pipelines.params import read_params, read_run
from pipelines.settings import Settings
from pipelines.tracking_store import open_store

ROOT = Path(__file__).resolve().parent.parent

# The smallest run that still goes through every branch: seconds, not minutes.
TINY: Mapping[str, Any] = {
    "validate": {"min_bars": 1000},
    "labels": {"horizons": ["1h", "4h"]},
    "models": {
        "random_forest": {"n_estimators": 8, "max_depth": 3},
        "xgboost": {"n_estimators": 8},
        "lstm": {"window": 4, "units": [4], "dense": 4, "epochs": 1, "stride": 8},
    },
    "importance": {"rows": 100, "repeats": 1, "resamples": 50},
    "tune": {"splits": 2, "trials": {"random_forest": 2, "xgboost": 2}, "startup_trials": 1},
    "backtest": {"refits": 2, "random_paths": 20, "seeds": 1, "monte_carlo": {"paths": 200}},
    "evidence": {"overfitting": {"blocks": 4}, "superior_ability": {"paths": 50}},
    "audit": {"cuts": 2},
    "stress": {"moments": 4, "recovery": "24h", "capacity": [10000.0]},
    "monte_carlo": {
        "bars": 200,
        "markets": {"tolerance": 0.0, "batch": 2, "most": 3},
        "replays": {"tolerance": 0.0, "batch": 4, "most": 6},
    },
}

STAGES = (
    *("ingest", "validate", "features", "labels", "tune", "train", "backtest", "audit", "stress", "monte_carlo"),
    "evidence",
)


def make_context(root: Path, raw: Mapping[str, Any], source: Path, **identity: Any) -> Context:
    """A workspace at ``root`` whose source is a file, as a stage would find it, with nothing beside the bars."""
    (root / "data" / "context").mkdir(parents=True, exist_ok=True)
    (root / "params.yaml").write_text(yaml.safe_dump(dict(raw)))
    shutil.copy(ROOT / "stress.yaml", root)
    run = {"symbol": "BTC/USD", "timeframe": "1h", "source": str(source), "context": "data/context", "as_of": None}
    (root / "run.yaml").write_text(yaml.safe_dump(run | identity))
    return Context(
        params=read_params(root / "params.yaml"),
        run=read_run(root / "run.yaml"),
        files=Artifacts(root),
        settings=Settings(home=ROOT, state=root),
    )


def with_registry(state: Path) -> Path:
    """Put a registry and a ledger that hold nothing into a state folder: a copy, because making one takes seconds."""
    if not (state / "mlflow").exists():
        shutil.copytree(_empty_registry(), state / "mlflow")
    return state


@cache
def _empty_registry() -> Path:
    state = Path(tempfile.mkdtemp())
    atexit.register(shutil.rmtree, state, ignore_errors=True)
    open_store(Settings(state=state, mlflow_tracking_uri=""))
    return state / "mlflow"


def run_stages(context: Context, stages: Sequence[str] = STAGES) -> None:
    """Run stages in this process."""
    if "tune" in stages:
        with_registry(context.settings.state)
    for stage in stages:
        importlib.import_module(f"pipelines.{stage}.stage").run(context)
