"""What Prefect shows of a run, and which failures it tries again."""

import json
from pathlib import Path
from typing import Any

import pytest

from flows.stages import StageCrashedError
from flows.tasks import as_given, metric_rows, rule_rows, verdict_text
from pipelines.params import RunIdentity, read_run
from pipelines.settings import Settings
from pipelines.workspace import root_or_workspace
from trading.errors import BarError

ROOT = Path(__file__).resolve().parents[2]
EVIDENCE = Path(__file__).resolve().parents[1] / "data" / "evidence.json"


@pytest.fixture
def evidence() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(EVIDENCE.read_text())
    return found


@pytest.fixture
def verdict(evidence: dict[str, Any]) -> dict[str, Any]:
    rules = [
        {"rule": "min_trades", "passed": True, "value": 640.0, "threshold": 30.0, "reason": "640 fills"},
        {"rule": "deflated_sharpe", "passed": False, "value": 0.41, "threshold": 0.95, "reason": "0.41 is below 0.95"},
    ]
    found = {"verdict": "refused", "question": "first", "summary": "No edge after costs.", "rules": rules}
    found |= {"deflated_sharpe": 0.41, "trials": {"counted": 44, "effective": 19.5, "deflated_by": 20}}
    return {
        "instrument": "BTC-USD-1h",
        "as_of": evidence["as_of"],
        "horizons": dict.fromkeys(evidence["horizons"], found),
    }


def test_the_verdict_names_the_rules_that_were_broken(evidence: dict[str, Any], verdict: dict[str, Any]) -> None:
    text = verdict_text(evidence, verdict)
    assert text.startswith("# BTC/USD 1h as of ")
    for horizon in evidence["horizons"]:
        assert f"## {horizon}: refused" in text
    assert "- **deflated_sharpe**: 0.41 is below 0.95" in text
    assert "min_trades" not in text


def test_metrics_are_a_row_a_horizon(evidence: dict[str, Any], verdict: dict[str, Any]) -> None:
    rows = metric_rows(evidence, verdict)
    assert [row["horizon"] for row in rows] == list(evidence["horizons"])
    for row in rows:
        found = evidence["horizons"][row["horizon"]]
        assert row["accuracy"] == found["skill"]["vote"]["accuracy"]
        assert row["baseline_accuracy"] == found["baselines"][found["best_baseline"]]["accuracy"]
        ends = ("sharpe", "sharpe_low", "sharpe_high")
        assert [row[key] for key in ends] == [found["strategy"][key] for key in ends]
        # Of the whole ledger, not of the run.
        assert (row["deflated_sharpe"], row["deflated_by"], row["trials_counted"]) == (0.41, 20, 44)
        assert row["verdict"] == "refused"


def test_every_rule_of_the_gate_is_a_row_with_its_reason(evidence: dict[str, Any], verdict: dict[str, Any]) -> None:
    rows = rule_rows(verdict)
    assert [(row["horizon"], row["rule"]) for row in rows] == [
        (horizon, rule) for horizon in evidence["horizons"] for rule in ("min_trades", "deflated_sharpe")
    ]
    assert {key: rows[1][key] for key in ("result", "measured", "needed", "reason")} == {
        "result": "FAIL",
        "measured": 0.41,
        "needed": 0.95,
        "reason": "0.41 is below 0.95",
    }
    assert rows[0]["result"] == "pass"


@pytest.mark.parametrize(("error", "again"), [(BarError("bad"), False), (StageCrashedError("locked"), True)])
def test_only_what_the_user_cannot_mend_is_tried_again(error: Exception, again: bool) -> None:
    from prefect import Task
    from prefect.client.schemas.objects import TaskRun
    from prefect.states import Failed

    from flows.tasks import mendable_by_time

    task = Task(lambda: None)
    run = TaskRun.model_construct()
    assert mendable_by_time(task, run, Failed(data=error)) is again


def test_a_place_in_the_copy_is_said_of_the_file_that_was_given(tmp_path: Path) -> None:
    settings = Settings(home=ROOT, state=tmp_path)
    given = tmp_path / "mine.csv"
    run = RunIdentity(symbol="BTC/USD", timeframe="1h", source=str(given), context=str(tmp_path / "beside"), as_of=None)
    workspace = root_or_workspace(settings, run)
    copy = workspace.root / "source" / "mine.csv"
    assert as_given("source/mine.csv", workspace) == str(given)
    assert as_given(f"{copy}, row 7", workspace) == f"{given}, row 7"
    assert as_given("params.yaml", workspace) == "params.yaml"
    beside = workspace.root / "data" / "context" / "ETH-USD.csv"
    assert as_given(str(beside), workspace) == str(tmp_path / "beside" / "ETH-USD.csv")


def test_a_place_in_what_an_exchange_gave_is_said_of_its_series(tmp_path: Path) -> None:
    committed = read_run(ROOT / "run.yaml").model_copy(update={"source": "exchange:kraken"})
    workspace = root_or_workspace(Settings(home=ROOT, state=tmp_path), committed)
    copy = workspace.root / "source" / "kraken_BTC-USD_1h.parquet"
    assert as_given("source/kraken_BTC-USD_1h.parquet", workspace) == "kraken BTC/USD 1h"
    assert as_given(f"{copy}, row 7", workspace) == "kraken BTC/USD 1h, row 7"
