"""A final fit or a refit that was killed goes on where it stood, and comes to the files of an undisturbed run."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any
from unittest.mock import MagicMock

import pytest

import pipelines.backtest.stage
from models.checkpoint import Checkpoint
from pipelines.artifacts import digest
from pipelines.context import Context
from tests.workspace import make_context, run_stages

MADE = {"train": ("history.json", "parity.json", "1h"), "backtest": ("1h/predictions.parquet", "1h/metrics.json")}


@pytest.fixture(scope="module")
def context(tmp_path_factory: pytest.TempPathFactory, raw_params: Mapping[str, Any], source_file: Path) -> Context:
    """A run of one horizon and a network, up to its labels."""
    raw = dict(raw_params) | {"features": {"groups": ["volatility"]}}
    raw["labels"] = {**raw["labels"], "horizons": ["1h"]}
    network = {**raw["models"]["lstm"], "epochs": 3, "patience": 3}
    raw["models"] = {**raw["models"], "lstm": network, "voting": {"lstm": 1.0}}
    made = make_context(tmp_path_factory.mktemp("networks"), raw, source_file)
    run_stages(made, ["ingest", "validate", "features", "labels"])
    made.files.write_json("data/tune/best.json", {"1h": [{}]})
    return made


@pytest.fixture(autouse=True)
def _without_mlflow(monkeypatch: pytest.MonkeyPatch) -> None:
    # It has tests of its own, and takes seconds to begin.
    for name in ("Tracker", "log_ranking"):
        monkeypatch.setattr(pipelines.backtest.stage, name, MagicMock())


@pytest.mark.parametrize("stage", list(MADE))
def test_a_killed_stage_goes_on_to_the_same_files(
    stage: str, context: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    def made() -> list[str]:
        return [digest(context.files.path(f"data/{stage}/{name}")) for name in MADE[stage]]

    run_stages(context, [stage])
    undisturbed, save, told = made(), Checkpoint.save, []

    def killed(self: Checkpoint, arrays: Any, state: Any) -> None:
        save(self, arrays, state)
        if len(state["history"]) == 2:
            raise KeyboardInterrupt

    def resumed(self: Checkpoint, arrays: Any, state: Any) -> None:
        told.append(len(state["history"]))
        save(self, arrays, state)

    folder = context.files.path(f"state/checkpoints/{stage}")
    assert not folder.exists()
    with monkeypatch.context() as patched:
        patched.setattr(Checkpoint, "save", killed)
        with pytest.raises(KeyboardInterrupt):
            run_stages(context, [stage])
    assert len(list(folder.iterdir())) == 1
    monkeypatch.setattr(Checkpoint, "save", resumed)
    run_stages(context, [stage])
    assert made() == undisturbed
    # The first fit had its last epoch left, the others all three.
    assert told == [3, *[1, 2, 3] * (len(told) // 3)]
    assert not folder.exists()


def test_the_epochs_of_the_final_fits_are_told(context: Context) -> None:
    run_stages(context, ["train"])
    told = context.files.read_json("data/train/history.json")["1h"]["lstm"]
    assert [set(epoch) for epoch in told["epochs"]] == [{"loss", "tail_loss", "learning_rate"}] * 3
    tail = [epoch["tail_loss"] for epoch in told["epochs"]]
    assert told["kept"] == tail.index(min(tail)) + 1
