"""``engine stress``: the table of the last run, in words and as JSON."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import typer
import yaml
from typer.testing import CliRunner, Result

from commands.stress import stress
from pipelines.artifacts import Artifacts
from pipelines.params import overlay
from tests.workspace import ROOT

EXAMPLE = json.loads((ROOT / "tests" / "data" / "evidence.json").read_text())["horizons"]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Result]:
    """The verb, in a state folder of its own."""
    monkeypatch.setenv("ENGINE_STATE", str(tmp_path))
    app = typer.Typer()
    app.command()(stress)
    return lambda *arguments: CliRunner().invoke(app, list(arguments), catch_exceptions=False)


@pytest.fixture
def finished(tmp_path: Path) -> Path:
    """What a run of two horizons leaves, as far as the verb looks at it."""
    root = tmp_path / "workspaces" / "BTC-USD-1h"
    (root / "data" / "backtest").mkdir(parents=True)
    (root / "run.yaml").write_text((ROOT / "run.yaml").read_text())
    raw = yaml.safe_load((ROOT / "params.yaml").read_text())
    (root / "params.yaml").write_text(yaml.safe_dump(overlay(raw, {"labels": {"horizons": ["1h", "4h"]}})))
    for horizon in ("1h", "4h"):
        Artifacts(root).write_json(f"data/stress/{horizon}/stress.json", EXAMPLE[horizon]["stress"])
    return root


@pytest.mark.usefixtures("finished")
def test_every_scenario_is_a_line_of_each_horizon(run: Callable[..., Result]) -> None:
    result = run()
    assert result.exit_code == 0
    lines = result.stdout.splitlines()
    assert lines[0].startswith("Stress of BTC/USD 1h, in ")
    for row in EXAMPLE["1h"]["stress"]["scenarios"]:
        assert sum(row["name"] in line for line in lines) == 2
    crash = next(line for line in lines if "covid_2020_03_12" in line)
    worst = next(row for row in EXAMPLE["1h"]["stress"]["scenarios"] if row["name"] == "covid_2020_03_12")
    assert f"{100 * worst['loss']:.1f}%" in crash
    assert "daily_loss" in crash
    assert "left out: needs several assets" in lines[-1]
    assert any("half of it is left at" in line for line in lines)


@pytest.mark.usefixtures("finished")
def test_json_is_all_of_it(run: Callable[..., Result]) -> None:
    found = json.loads(run("--json").stdout)
    assert found["symbol"] == "BTC/USD"
    assert found["horizons"]["4h"] == EXAMPLE["4h"]["stress"]


def test_without_a_run_it_says_how_to_make_one(run: Callable[..., Result]) -> None:
    result = run("--symbol", "ETH/USD")
    assert result.exit_code == 2
    assert "engine run --symbol ETH/USD" in result.stderr
