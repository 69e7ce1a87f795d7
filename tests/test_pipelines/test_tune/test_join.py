"""A nested search among families on real bars, with a second worker that does the work before the stage comes."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

import engine
from pipelines.backtest.walk_forward import fold_tasks, splitter
from pipelines.context import Context
from pipelines.dataset import Dataset
from pipelines.inputs import read_datasets
from pipelines.params import overlay
from pipelines.recipe import family_settings
from pipelines.tracking import Tracker
from pipelines.tune.errors import StudyError
from pipelines.tune.join import join
from pipelines.tune.tasks import searches
from tests.studies import opened
from tests.workspace import make_context, run_stages
from trading.errors import StageError

CHANGES = {
    "labels": {"horizons": ["1h"]},
    "tune": {"nested": True, "select": 2, "trials": {"random_forest": 2, "xgboost": 3}},
}


@pytest.fixture(scope="module")
def nested(raw_params: dict[str, Any], source_file: Path, tmp_path_factory: pytest.TempPathFactory) -> Context:
    """A workspace that has come as far as tuning."""
    root = tmp_path_factory.mktemp("nested")
    raw = overlay(raw_params, CHANGES)
    raw["models"] = {**raw["models"], "voting": dict.fromkeys(("random_forest", "svm", "xgboost"), 1.0)}
    context = make_context(root / "workspaces" / "BTC-USD-1h", raw, source_file)
    context = Context(context.params, context.run, context.files, context.settings.model_copy(update={"state": root}))
    run_stages(context, ["ingest", "validate", "features", "labels"])
    return context


@pytest.fixture
def cli(nested: Context, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    """``engine tune`` on that workspace."""
    monkeypatch.setenv("ENGINE_STATE", str(nested.settings.state))
    return lambda *arguments: CliRunner().invoke(engine.app, ["tune", *arguments], catch_exceptions=False)


def test_each_block_has_a_search_on_its_own_past(nested: Context) -> None:
    data, instrument = _data(nested), nested.run.instrument
    blocks = splitter(nested.params, instrument, len(data.X)).split(data.X, t_end=data.t_end)
    starts = [data.X.index[test[0]] for _, test in blocks]
    found = searches(nested)
    assert len(found) == len(starts) == 2
    for search, start in zip(found, starts, strict=True):
        assert {task.family: task.wanted for task in search.tasks} == {"random_forest": 2, "xgboost": 3, "svm": 1}
        for task in search.tasks:
            assert task.data.X.index[-1] == task.bars.index[-1] < start
            embargo = nested.params.backtest.embargo_bars * instrument.bar
            assert task.data.t_end.max() <= start - embargo


def test_a_worker_needs_a_run(cli: Callable[..., Any], nested: Context) -> None:
    with pytest.raises(StudyError, match="is under way"):
        join(nested, None)
    result = cli("--symbol", "ETH/USD", "--json")
    assert result.exit_code == 2
    assert json.loads(result.stdout)["error"]["type"] == StageError.__name__
    assert "has come as far as tuning" in result.stderr


def test_what_a_worker_did_is_not_done_again(cli: Callable[..., Any], nested: Context) -> None:
    for search in searches(nested):
        for task in search.tasks:
            opened(task)
    idle = json.loads(cli("--timeout", "0", "--json").stdout)
    assert (idle["taken"], idle["stopped_by"]) == (0, "time")
    done = json.loads(cli("--json").stdout)
    assert (done["taken"], done["stopped_by"]) == (12, "trials")
    assert [one["decided"] for one in done["studies"]] == [one["wanted"] for one in done["studies"]]
    told = cli()
    assert "0 trials taken for BTC/USD 1h" in told.stdout
    assert "xgboost        3 of 3 trials are there" in told.stdout

    told_to: list[str] = []
    context = Context(
        nested.params, nested.run, nested.files, nested.settings, progress=lambda *what: told_to.append(what[2])
    )
    run_stages(context, ["tune"])
    assert told_to[0] == "6 studies, 12 trials"
    tracker = Tracker(nested.settings, nested.run.instrument)
    assert len(tracker.ledger("1h")) == 12
    best = nested.files.read_json("data/tune/best.json")["1h"]
    studies = nested.files.read_json("data/tune/studies.json")["1h"]
    assert len(best) == len(studies) == 2
    tasks = fold_tasks(
        "1h", _data(nested), nested.params, nested.run.instrument, *(family_settings(nested.params, b) for b in best)
    )
    for task, chosen, study in zip(tasks, best, studies, strict=True):
        assert sum(values is None for values in chosen.values()) == 1
        worst = max(study, key=lambda family: study[family]["log_loss"])
        assert chosen[worst] is None
        assert set(task.weights) == set(task.settings) == set(study) - {worst}
        assert all(task.settings[family][k] == v for family in task.settings for k, v in chosen[family].items())


def test_where_nothing_is_tuned_there_is_nothing_to_join(nested: Context, tmp_path: Path) -> None:
    tune = nested.params.tune.model_copy(update={"trials": {}, "select": 0, "nested": False})
    settings = nested.settings.model_copy(update={"state": tmp_path})
    context = replace(nested, params=nested.params.model_copy(update={"tune": tune}), settings=settings)
    assert join(context, None) == {"taken": 0, "stopped_by": "trials", "studies": []}
    run_stages(context, ["tune"])
    assert nested.files.read_json("data/tune/best.json") == {"1h": [{}]}


def _data(context: Context) -> Dataset:
    return read_datasets(context.files, ["1h"])["1h"]
