"""The stage replays what the backtest decided through the catalogue, and a scenario that a user added."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from pipelines.context import Context
from pipelines.params import overlay
from pipelines.stress.stage import run
from tests.test_pipelines.test_stress.markets import constant, wild
from tests.workspace import make_context
from trading.errors import ParamsError

MINE = {
    "name": "mine",
    "kind": "made_up",
    "description": "Half of it is gone at once.",
    "source": "A user's own.",
    "hours": 24,
    "path": [{"hours": 0, "move": -0.5}],
}
OWN = {"labels": {"horizons": ["1h", "4h"]}, "stress": {"moments": 2}}


@pytest.fixture
def context(tmp_path: Path, raw_params: Mapping[str, Any]) -> Context:
    """A workspace after its backtest: one horizon long, one flat."""
    made = make_context(tmp_path, overlay(raw_params, OWN), tmp_path / "none.parquet")
    bars = wild(800, volume=1e6)
    made.files.write_frame("data/validated/bars.parquet", bars)
    for horizon, position in (("1h", 1.0), ("4h", 0.0)):
        decided = constant(bars.iloc[100:700], position).rename(columns={"X": "position"}).assign(vote=0.5)
        made.files.write_frame(f"data/backtest/{horizon}/predictions.parquet", decided)
    return made


def test_positions_meet_every_scenario_and_what_a_user_adds_is_one(context: Context) -> None:
    path = context.files.path("stress.yaml")
    path.write_text(path.read_text() + yaml.safe_dump([MINE], indent=2).replace("\n", "\n  ").replace("- ", "  - ", 1))
    run(context)
    found = context.files.read_json("data/stress/1h/stress.json")
    rows = {row["name"]: row for row in found["scenarios"]}
    assert list(rows)[-1] == "mine"
    assert len(rows) == 17
    assert [one["name"] for one in found["skipped"]] == ["correlation_to_one"]
    assert rows["mine"]["loss"] == pytest.approx(0.5, abs=0.1)
    assert rows["mine"]["source"] == "A user's own."
    assert rows["mine"]["limits"] == {"daily_loss": 1.0, "drawdown": 1.0}
    assert rows["gap_down"]["loss"] > rows["gap_down"]["unstressed_loss"]
    # Funding of 0.3% nine times, whatever prices do.
    assert rows["funding_spike"]["added_loss"] == pytest.approx(0.027, abs=0.01)
    assert found["exposure"] == 1.0
    assert found["capacity"]["capital"] == [10000.0]
    paths = context.files.read_frame("data/stress/1h/paths.parquet")
    assert set(paths["scenario"]) == set(rows)
    assert np.isfinite(paths["equity"]).all()

    flat = context.files.read_json("data/stress/4h/stress.json")
    assert {row["loss"] for row in flat["scenarios"]} == {0.0}
    assert flat["capacity"]["reason"] == "it never traded"


def test_a_bad_catalogue_stops_it(context: Context) -> None:
    context.files.write_text("stress.yaml", yaml.safe_dump({"scenarios": [MINE | {"leverage": 2}]}))
    with pytest.raises(ParamsError, match="leverage: unknown key"):
        run(context)
    assert not context.files.exists("data/stress/1h/stress.json")
