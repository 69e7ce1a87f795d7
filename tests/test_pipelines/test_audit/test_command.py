"""``engine audit``: which run it takes, what it prints, and how it ends."""

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import typer
from typer.testing import CliRunner, Result

import flows.stages
import pipelines.audit.stage
from commands.audit import audit
from pipelines.artifacts import Artifacts
from pipelines.audit.checks import Check, Findings, verdict
from pipelines.context import Context
from tests.workspace import ROOT

CONTROL = Check("control: a leak", 1, 10, 1, "a at t", ("a",))
HONEST = Check("features", 3, 1000, 0, None, (), "2019-01-01T00:00:00+00:00", "2019-02-01T00:00:00+00:00")
GUILTY = Check("fit 4h", 1, 50, 2, "vote at t", ("vote",))
STEPS = """
import pandas as pd


def honest(bars):
    return bars["close"].diff().rename("change")


def leaking(bars):
    return pd.DataFrame({"change": bars["close"].diff(), "next": bars["close"].shift(-1)})


def broken(bars):
    raise KeyError("no such column")


def restless(bars, calls=[]):
    calls.append(1)
    return bars["close"] + len(calls)


number = 3
"""


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Result]:
    """The verb, in a state folder and a working folder of its own."""
    monkeypatch.setenv("ENGINE_STATE", str(tmp_path / "state"))
    monkeypatch.setenv("ENGINE_WORKERS", "1")
    (tmp_path / "my_steps.py").write_text(STEPS)
    monkeypatch.chdir(tmp_path)
    app = typer.Typer()
    app.command()(audit)
    return lambda *arguments: CliRunner().invoke(app, list(arguments), catch_exceptions=False)


@pytest.fixture
def workspace(tmp_path: Path, bars: pd.DataFrame) -> Path:
    """What a run of the sample's instrument with bars of the user's own leaves, as far as the verb looks at it."""
    root = tmp_path / "state" / "workspaces" / "BTC-USD-1h"
    (root / "data" / "backtest").mkdir(parents=True)
    for name in ("params.yaml", "run.yaml", "dvc.yaml"):
        (root / name).write_text((ROOT / name).read_text())
    Artifacts(root).write_frame("data/validated/bars.parquet", bars.iloc[:300])
    return root


@pytest.fixture
def audited(monkeypatch: pytest.MonkeyPatch) -> Callable[..., list[Context]]:
    """Stand in for the audit of the real pipeline, and for DVC."""

    def stand_in(*checks: Check, stale: frozenset[str] = frozenset()) -> list[Context]:
        asked: list[Context] = []

        def answer(context: Context) -> dict[str, Any]:
            asked.append(context)
            context.progress(1, 2, "something")
            print("chatter of a library")
            return verdict(Findings(list(checks)), ["1h", "4h", "24h"])

        monkeypatch.setattr(pipelines.audit.stage, "audit", answer)
        monkeypatch.setattr(flows.stages, "stale_stages", lambda root, settings: set(stale))
        return asked

    return stand_in


def test_a_clean_pipeline_ends_with_zero_and_a_table(run: Any, workspace: Path, audited: Any) -> None:
    asked = audited(HONEST, CONTROL)
    result = run()
    assert result.exit_code == 0
    assert [context.files.root for context in asked] == [workspace]
    lines = result.stdout.splitlines()
    assert lines[0] == f"Look-ahead audit of BTC/USD 1h, in {workspace}"
    assert any(line.startswith("✓  features") and "1,000" in line for line in lines)
    assert lines[-1].startswith("Nothing saw the future: 1,000 values")
    assert "chatter" not in result.stdout
    assert "audit  1/2  something" in result.stderr


def test_a_guilty_pipeline_ends_with_one(run: Any, workspace: Path, audited: Any) -> None:
    audited(HONEST, GUILTY, CONTROL)
    result = run("--symbol", "BTC-USD", "--timeframe", "1h")
    assert result.exit_code == 1
    assert "LOOK-AHEAD in fit 4h" in result.stdout


def test_json_is_one_object_on_stdout(run: Any, workspace: Path, audited: Any) -> None:
    audited(HONEST, GUILTY, CONTROL)
    result = run("--json")
    told = json.loads(result.stdout)
    assert result.exit_code == 1
    assert (told["symbol"], told["timeframe"], told["clean"], told["control_caught"]) == ("BTC/USD", "1h", False, True)
    assert [check["check"] for check in told["checks"]] == ["features", "fit 4h"]


def test_what_cannot_be_decided_ends_with_two(run: Any, workspace: Path, audited: Any) -> None:
    audited(HONEST, Check("control: a leak", 1, 10, 0))
    assert run().exit_code == 2


def test_another_versions_answers_are_not_taken_for_a_leak(run: Any, workspace: Path, audited: Any) -> None:
    asked = audited(HONEST, CONTROL, stale=frozenset({"features", "train", "audit"}))
    result = run("--json")
    assert result.exit_code == 2
    assert not asked
    assert json.loads(result.stdout)["error"]["what"].startswith("features would come out differently now")
    # Neither the final fits nor an older audit are looked at.
    audited(HONEST, CONTROL, stale=frozenset({"train", "audit", "evidence"}))
    assert run().exit_code == 0


def test_without_a_run_it_says_what_to_do(run: Any) -> None:
    result = run("--symbol", "ETH/USD")
    assert result.exit_code == 2
    assert "no finished run of ETH/USD 1h" in result.stderr
    assert "engine run --symbol ETH/USD" in result.stderr


def test_the_newest_of_several_workspaces_is_taken(
    run: Any, workspace: Path, audited: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = tmp_path / "state"
    monkeypatch.setenv("ENGINE_HOME", str(home))
    for name in ("params.yaml", "run.yaml", "dvc.yaml"):
        (home / name).write_text((ROOT / name).read_text())
    (home / "data" / "backtest").mkdir(parents=True)
    os.utime(workspace / "data" / "backtest", (1, 1))
    asked = audited(HONEST, CONTROL)
    assert run().exit_code == 0
    os.utime(home / "data" / "backtest", (0, 0))
    assert run().exit_code == 0
    assert [context.files.root for context in asked] == [home, workspace]


def test_a_step_of_ones_own_is_audited_on_the_runs_bars(run: Any, workspace: Path) -> None:
    honest, leaking = run("my_steps:honest", "--cuts", "2"), run("my_steps:leaking", "--cuts", "2", "--json")
    assert honest.exit_code == 0
    assert honest.stdout.startswith("my_steps:honest on 300 bars of 1h\nno look-ahead: 1 column")
    assert leaking.exit_code == 1
    told = json.loads(leaking.stdout)
    assert (told["step"], told["columns"]) == ("my_steps:leaking", ["next"])


def test_a_step_of_ones_own_is_audited_on_a_file(run: Any, bars: pd.DataFrame, tmp_path: Path) -> None:
    spoilt = bars.iloc[:200].copy()
    spoilt.iloc[50, 1] = -1.0
    spoilt.to_csv(tmp_path / "bars.csv")
    result = run("my_steps:leaking", "--bars", "bars.csv", "--cuts", "0")
    assert result.exit_code == 1
    assert "on 199 bars of 1h" in result.stdout
    assert "1 row(s) left out" in result.stderr
    longer = run("my_steps:honest", "--bars", "bars.csv", "--timeframe", "4h", "--cuts", "0")
    assert longer.exit_code == 0
    assert "bars of 4h" in longer.stdout


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("my_steps", "names no step"),
        ("nowhere_to_be_found:step", "cannot be imported"),
        ("my_steps:absent", "has no function absent"),
        ("my_steps:number", "has no function number"),
        ("my_steps:broken", "raised KeyError"),
        ("my_steps:restless", "NOT DECIDED"),
    ],
)
def test_a_step_that_cannot_be_judged_ends_with_two(run: Any, workspace: Path, name: str, said: str) -> None:
    result = run(name, "--cuts", "0")
    assert result.exit_code == 2
    assert said in result.stdout + result.stderr
