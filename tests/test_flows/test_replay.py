"""The real pipeline, small, as the days pass: each date is a run that knows nothing of the next."""

import copy
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import yaml

from flows.retrain import run
from flows.steps import Steps
from pipelines.params import RunIdentity, overlay
from pipelines.settings import Settings
from pipelines.tracking import CANDIDATE, Tracker

ROOT = Path(__file__).resolve().parents[2]
DATES = [datetime(2018, 1, 8, tzinfo=UTC), datetime(2018, 1, 15, tzinfo=UTC)]
CODE = (
    "dvc.yaml",
    "stress.yaml",
    ".dvcignore",
    "trading",
    "models",
    "pipelines",
    "dashboard",
    "serving",
    "requirements.lock",
)


@pytest.fixture
def home(tmp_path: Path, raw_params: Mapping[str, Any]) -> Path:
    """The repository's code with params for one horizon and two small forests."""
    home = tmp_path / "home"
    (home / ".dvc").mkdir(parents=True)
    for name in CODE:
        (home / name).symlink_to(ROOT / name)
    (home / ".dvc" / "config").write_text((ROOT / ".dvc" / "config").read_text())
    fewer = {
        "features": {"groups": ["volatility"]},
        "labels": {"horizons": ["1h"]},
        "audit": {"cuts": 1},
        "backtest": {"refits": 1, "random_paths": 5},
    }
    smaller = copy.deepcopy(overlay(raw_params, fewer))
    smaller["models"]["voting"] = {"random_forest": 1.0, "xgboost": 1.0}
    smaller["tune"]["trials"] = {"xgboost": 2}
    (home / "params.yaml").write_text(yaml.safe_dump(smaller, sort_keys=False))
    (home / "run.yaml").write_text((ROOT / "run.yaml").read_text())
    (home / "data" / "context").mkdir(parents=True)
    return home


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.usefixtures("prefect_address")
def test_two_dates_make_two_versions_and_a_third_look_makes_none(home: Path) -> None:
    settings = Settings(home=home, state=home, workers=1)
    source = ROOT / "data" / "sample" / "bitfinex_BTC-USD_30m.parquet"
    identity = RunIdentity(symbol="BTC/USD", timeframe="1h", source=str(source), context="data/context", as_of=None)
    # Serving has tests of its own.
    steps = replace(Steps(), check=lambda context: {"signals": []})
    tracker = Tracker(settings, identity.instrument)
    versions = []
    for date in DATES:
        result = run(settings, identity.model_copy(update={"as_of": date}), steps=steps)
        assert result.new_bars
        assert result.ran[0] == "ingest"
        assert result.ran[-1] == "evidence"
        assert result.workspace == home / "workspaces" / "BTC-USD-1h"
        assert pd.Timestamp(result.evidence["as_of"]) == pd.Timestamp(date)
        known = pd.read_parquet(result.workspace / "data/validated/bars.parquet").index[-1] + pd.Timedelta("1h")
        assert known <= pd.Timestamp(date)
        assert result.report.exists()
        candidate = tracker.version("1h", CANDIDATE)
        assert candidate is not None
        assert candidate.version == result.registered["horizons"]["1h"]["version"]
        versions.append(candidate.version)
    assert len(set(versions)) == len(DATES)

    again = run(settings, identity.model_copy(update={"as_of": DATES[-1]}), steps=steps)
    assert again.ran == ()
    assert not again.new_bars
    assert again.news.startswith("no new bar since 2018-01-15")
    assert again.registered["horizons"]["1h"]["version"] == versions[-1]
