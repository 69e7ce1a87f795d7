"""A killed fit goes on to the bits of an undisturbed one, and never from another fit's checkpoint."""

import logging
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import models.checkpoint
from models.checkpoint import Checkpoint, fit_identity
from models.factory import SEQUENCES, create_model
from pipelines.splits import PurgedWalkForward
from tests.workspace import ROOT
from trading.errors import WorkspaceError

Data = tuple[pd.DataFrame, pd.Series, pd.Series]

# More steps after the second checkpoint than fit into the moment until the kill.
OVER = {"epochs": 8, "batch_size": 8, "patience": 8, "dropout": 0.3}
CV = PurgedWalkForward(2, 0.7, pd.Timedelta("2h"))

SCRIPT = """
import os, signal, sys, threading
from pathlib import Path
from models.checkpoint import Checkpoint
from models.factory import create_model
from tests.test_models.conftest import SETTINGS, market
from tests.test_models.test_checkpoint import CV, OVER

save = Checkpoint.save

def then_die(self, arrays, state):
    save(self, arrays, state)
    if len(state["history"]) == 2:
        threading.Timer(0.02, os.kill, (os.getpid(), signal.SIGKILL)).start()

Checkpoint.save = then_die
X, y, t_end = market()
name, folder = sys.argv[1:]
create_model(name, {**SETTINGS[name], **OVER}, seed=3, cv=CV, checkpoints=Path(folder)).fit(X, y, t_end=t_end)
"""


@pytest.fixture(scope="module")
def killed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """For each family the folder of a training that was killed in the middle of an epoch."""
    folders = {name: tmp_path_factory.mktemp(name) for name in SEQUENCES}
    children = [
        subprocess.Popen([sys.executable, "-c", SCRIPT, name, str(folder)], cwd=ROOT)
        for name, folder in folders.items()
    ]
    assert [child.wait(timeout=120) for child in children] == [-signal.SIGKILL] * len(children)
    return folders


@pytest.mark.parametrize("name", SEQUENCES)
def test_a_killed_fit_goes_on_to_the_same_bits(
    name: str, killed: dict[str, Path], data: Data, settings: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    X, y, t_end = data
    chosen = {**settings[name], **OVER}
    undisturbed: Any = create_model(name, chosen, seed=3, cv=CV).fit(X, y, t_end=t_end)
    saved, save = [], Checkpoint.save

    def count(self: Checkpoint, arrays: Any, state: Any) -> None:
        saved.append(len(state["history"]))
        save(self, arrays, state)

    monkeypatch.setattr(Checkpoint, "save", count)
    assert len(list(killed[name].glob("*.npz"))) == 1
    resumed: Any = create_model(name, chosen, seed=3, cv=CV, checkpoints=killed[name]).fit(X, y, t_end=t_end)
    assert saved[0] >= 3
    assert saved == list(range(saved[0], 9))
    assert resumed.history_ == undisturbed.history_
    for once, again in zip(undisturbed.network_.get_weights(), resumed.network_.get_weights(), strict=True):
        assert once.tobytes() == again.tobytes()
    pd.testing.assert_frame_equal(resumed.predict_proba(X), undisturbed.predict_proba(X), check_exact=True)
    assert list(killed[name].glob("*.npz")) == []


STATE = {"history": [{"loss": 0.1 + 0.2}], "generator": {"state": 2**127 + 1}}
ARRAYS = {"variable_0": np.array([0.1, np.nextafter(1, 2)]), "variable_1": np.array([3, 2**32 - 1], dtype=np.uint32)}


@pytest.fixture
def checkpoint(tmp_path: Path) -> Checkpoint:
    made = Checkpoint(tmp_path / "deep" / "folder", "0a1b")
    made.save(ARRAYS, STATE)
    return made


def test_what_is_saved_comes_back_bit_for_bit(checkpoint: Checkpoint) -> None:
    found = checkpoint.load()
    assert found is not None
    assert found[1] == STATE
    assert {name: (array.dtype, array.tobytes()) for name, array in found[0].items()} == {
        name: (array.dtype, array.tobytes()) for name, array in ARRAYS.items()
    }
    assert list(checkpoint.folder.iterdir()) == [checkpoint.path]
    checkpoint.remove()
    checkpoint.remove()
    assert checkpoint.load() is None


def _pickled(path: Path) -> None:
    np.savez(path, state=np.array([{"a": 1}], dtype=object))


@pytest.mark.parametrize(
    "damage",
    [
        lambda path: path.write_bytes(b""),
        lambda path: path.write_bytes(path.read_bytes()[:-30]),
        lambda path: path.write_bytes(path.read_bytes().replace(np.array([0.1]).tobytes(), np.array([0.2]).tobytes())),
        lambda path: path.write_bytes(b"not an archive" * 20),
        lambda path: np.savez(path, variable_0=np.ones(2)),
        _pickled,
    ],
    ids=["empty", "cut off", "flipped", "other file", "no state", "pickle"],
)
def test_a_damaged_one_counts_as_none_and_is_told_of(
    damage: Any, checkpoint: Checkpoint, caplog: pytest.LogCaptureFixture
) -> None:
    damage(checkpoint.path)
    with caplog.at_level(logging.WARNING):
        assert checkpoint.load() is None
    assert f"checkpoint {checkpoint.path} is damaged, training anew" in caplog.text


def test_a_disk_that_is_full_leaves_the_last_one(checkpoint: Checkpoint, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(stream: Any, **rest: Any) -> None:
        stream.write(b"half")
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(np, "savez", full)
        with pytest.raises(WorkspaceError, match="No space left"):
            checkpoint.save(ARRAYS, {})
    assert checkpoint.load() is not None
    assert list(checkpoint.folder.iterdir()) == [checkpoint.path]


def test_no_fit_has_the_identity_of_another(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import keras

    values, rows = np.arange(6, dtype=np.float32).reshape(3, 2), np.array([1, 2])

    def identity(seed: int = 1, **over: Any) -> str:
        return fit_identity({"family": "lstm", "seed": seed}, list({"values": values, "rows": rows, **over}.values()))

    bumped = values.copy()
    bumped[2, 1] = np.nextafter(np.float32(5), np.float32(6))
    found = [
        identity(), identity(seed=2), identity(values=bumped), identity(values=values.reshape(2, 3)),
        identity(rows=rows + 1), identity(rows=rows.astype(np.int32)), identity(more=rows),
    ]  # fmt: skip
    assert identity(values=values.copy()) == found[0]
    with monkeypatch.context() as patched:
        patched.setattr(keras, "__version__", "0")
        found.append(identity())
    (tmp_path / "lstm.py").write_text("other code")
    monkeypatch.setattr(models.checkpoint, "__file__", str(tmp_path / "checkpoint.py"))
    found.append(identity())
    assert len(set(found)) == len(found)


def test_every_setting_and_every_array_is_in_the_identity_of_a_fit(
    data: Data, settings: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[str] = []

    def none(self: Checkpoint) -> None:
        seen.append(self.identity)

    def stop(*given: Any, checkpoint: Checkpoint, **rest: Any) -> list[Any]:
        checkpoint.load()
        return []

    monkeypatch.setattr(Checkpoint, "load", none)
    monkeypatch.setattr("models.sequence.train", stop)
    monkeypatch.setattr("models.sequence._traced", lambda *_: None)
    X, y, t_end = data

    def fit(name: str = "lstm", seed: int = 3, X: Any = X, y: Any = y, weights: Any = None, **over: Any) -> None:
        model = create_model(name, {**settings[name], **over}, seed=seed, cv=CV, checkpoints=tmp_path / str(len(seen)))
        model.fit(X, y, t_end=t_end, sample_weight=weights)

    fit()
    fit()
    assert seen[0] == seen[1]
    other = {"window": 5, "units": [4, 4], "dropout": 0.2, "dense": 5, "epochs": 3, "batch_size": 63,
             "learning_rate": 0.01, "warmup": 0.2, "sparsity": 0.1, "patience": 1, "stride": 2}  # fmt: skip
    assert set(other) == set(settings["lstm"]) - {"crosses"}
    for key, value in other.items():
        fit(**{key: value})
    fit(name="transformer")
    fit(seed=4)
    fit(X=X * 1.001)
    fit(y=y.where(np.arange(len(y)) != 200, 1 - y))
    fit(weights=y + 1)
    assert len(set(seen)) == len(seen) - 1
