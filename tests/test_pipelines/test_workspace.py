"""Workspaces: whose is which, made again without harm, one run at a time, sources that grow, kills that left things."""

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml

from pipelines.healing import heal
from pipelines.params import RunIdentity, read_params, read_run
from pipelines.settings import Settings
from pipelines.workspace import LINKS, Workspace, locked, prepare, root_or_workspace, sync_source
from trading.errors import BarError, ParamsError, WorkspaceError

RUN = RunIdentity(symbol="BTC/USD", timeframe="1h", source="data/sample/bars.csv", as_of=None)
MOMENT = datetime(2019, 6, 1, tzinfo=UTC)


@pytest.fixture
def home(tmp_path: Path, raw_params: Mapping[str, Any]) -> Path:
    home = tmp_path / "home"
    for name in ("trading", "models", "pipelines", ".dvc", "data/sample"):
        (home / name).mkdir(parents=True)
    (home / "dvc.yaml").write_text("stages: {}\n")
    (home / ".dvcignore").write_text("__pycache__\n")
    (home / ".dvc" / "config").write_text("[core]\n    analytics = false\n['remote \"here\"']\n    url = ../../store\n")
    (home / "params.yaml").write_text(yaml.safe_dump(dict(raw_params)))
    (home / "run.yaml").write_text("symbol: BTC/USD\ntimeframe: 1h\nsource: data/sample/bars.csv\nas_of: null\n")
    (home / "data" / "sample" / "bars.csv").write_text("1\n")
    return home


@pytest.fixture
def settings(home: Path) -> Settings:
    return Settings(home=home, state=home)


def other(settings: Settings, profile: str = "quick", **changes: object) -> Workspace:
    return root_or_workspace(settings, RUN.model_copy(update={"symbol": "ETH/USD", **changes}), profile)


def test_the_committed_run_lives_in_the_root(settings: Settings, home: Path) -> None:
    found = root_or_workspace(settings, RUN)
    assert (found.root, found.is_home, found.key) == (home, True, "home")
    assert root_or_workspace(settings, RUN.model_copy(update={"symbol": "BTC-USD"})).is_home


@pytest.mark.parametrize(
    ("changes", "profile"),
    [
        ({"symbol": "ETH/USD"}, "quick"),
        ({"timeframe": "4h"}, "quick"),
        ({"source": "/elsewhere/bars.csv"}, "quick"),
        ({"as_of": MOMENT}, "quick"),
        ({}, "full"),
    ],
)
def test_every_other_run_has_a_folder_of_its_own(
    settings: Settings, home: Path, changes: dict[str, Any], profile: str
) -> None:
    found = root_or_workspace(settings, RUN.model_copy(update=changes), profile)
    assert not found.is_home
    assert found.root == home / "workspaces" / found.run.instrument.name
    assert found.run.source == "source/bars.csv"
    assert not found.root.exists()


def test_state_elsewhere_leaves_the_root_alone(settings: Settings, tmp_path: Path) -> None:
    found = root_or_workspace(settings.model_copy(update={"state": tmp_path / "state"}), RUN)
    assert found.root == tmp_path / "state" / "workspaces" / "BTC-USD-1h"


def test_a_made_workspace_has_code_by_link_and_params_of_its_own(settings: Settings, home: Path) -> None:
    found = other(settings, "full", as_of=MOMENT)
    prepare(found)
    for name in LINKS:
        assert (found.root / name).readlink() == home / name
    assert read_params(found.root / "params.yaml") == read_params(home / "params.yaml", profile="full")
    assert read_run(found.root / "run.yaml") == found.run
    # Unquoted, YAML would read a time, which DVC cannot store.
    assert yaml.safe_load((found.root / "run.yaml").read_text())["as_of"] == "2019-06-01T00:00:00+00:00"
    assert (found.root / ".dvcignore").read_text() == "__pycache__\n"


def test_dvc_takes_it_for_a_repository_with_the_roots_cache_and_remotes(settings: Settings, home: Path) -> None:
    found = other(settings)
    prepare(found)
    listed = subprocess.run(
        [sys.executable, "-m", "dvc", "config", "--list", "--project"],
        cwd=found.root,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.splitlines()
    assert set(listed) >= {
        "core.no_scm=true",
        "core.analytics=false",
        f"cache.dir={home / '.dvc' / 'cache'}",
        f"remote.here.url={home.parent / 'store'}",
    }


def test_state_elsewhere_has_a_cache_elsewhere(settings: Settings, tmp_path: Path) -> None:
    found = root_or_workspace(settings.model_copy(update={"state": tmp_path / "state"}), RUN)
    prepare(found)
    assert f"dir = {tmp_path / 'state' / 'workspaces' / '.cache'}" in (found.root / ".dvc" / "config").read_text()


def test_making_it_again_writes_nothing(settings: Settings) -> None:
    found = other(settings)
    prepare(found)
    before = {path: path.lstat().st_mtime_ns for path in found.root.rglob("*")}
    prepare(found)
    assert {path: path.lstat().st_mtime_ns for path in found.root.rglob("*")} == before


def test_another_profile_renders_the_params_anew(settings: Settings) -> None:
    prepare(other(settings))
    prepare(full := other(settings, "full"))
    assert read_params(full.root / "params.yaml").tune.splits == 5


def test_a_kill_in_the_middle_of_making_is_made_good(settings: Settings, home: Path) -> None:
    found = other(settings)
    found.root.mkdir(parents=True)
    (found.root / "trading").symlink_to(home / "gone")
    (found.root / ".dvc").mkdir()
    (found.root / ".params.yaml.0123abcd.tmp").write_text("seed: 1")
    heal(found)
    prepare(found)
    assert (found.root / "trading").readlink() == home / "trading"
    assert not list(found.root.glob(".*.tmp"))


def test_the_root_needs_no_making_but_its_params_are_checked(settings: Settings, home: Path) -> None:
    before = sorted(home.rglob("*"))
    prepare(root_or_workspace(settings, RUN))
    assert sorted(home.rglob("*")) == before
    (home / "params.yaml").write_text("seed: 7\nsede: 8\n")
    with pytest.raises(ParamsError, match="sede"):
        prepare(root_or_workspace(settings, RUN))


def test_a_state_folder_that_cannot_be_written_is_said(settings: Settings, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    found = root_or_workspace(settings.model_copy(update={"state": tmp_path / "file" / "state"}), RUN)
    with pytest.raises(WorkspaceError, match="cannot write"), locked(found):
        pytest.fail("locked")
    with pytest.raises(WorkspaceError, match="cannot write"):
        prepare(found)


def test_params_that_are_no_mapping_are_refused(settings: Settings, home: Path) -> None:
    (home / "params.yaml").write_text("[1, 2]\n")
    with pytest.raises(ParamsError):
        prepare(other(settings))


HOLD = """
import sys, time
from pathlib import Path
from pipelines.params import read_run
from pipelines.settings import Settings
from pipelines.workspace import locked, root_or_workspace
home = Path(sys.argv[1])
with locked(root_or_workspace(Settings(home=home, state=home), read_run(home / "run.yaml"))):
    print("held", flush=True)
    time.sleep(60)
"""


def test_a_second_run_is_refused_until_the_first_is_gone(settings: Settings, home: Path) -> None:
    found = root_or_workspace(settings, RUN)
    root = Path(__file__).resolve().parents[2]
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(home)],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(root)},
    )
    try:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(WorkspaceError, match=f"process {holder.pid}"), locked(found):
            pytest.fail("both")
        with locked(other(settings)), locked(found, "schedule"):
            pass
    finally:
        holder.kill()
        holder.wait()
    with locked(found):
        assert (home / "state" / "locks" / "home-run.lock").read_text() == f"{os.getpid()}\n"


def test_a_source_is_copied_only_where_its_content_differs(settings: Settings, tmp_path: Path) -> None:
    file = tmp_path / "bars.csv"
    file.write_text("1\n")
    found = other(settings, source=str(file))
    assert sync_source(found, file)
    copy = found.root / "source" / "bars.csv"
    before = copy.stat().st_mtime_ns
    file.write_text("1\n")
    assert not sync_source(found, file)
    assert copy.stat().st_mtime_ns == before
    file.write_text("1\n2\n")
    assert sync_source(found, file)
    assert copy.read_text() == "1\n2\n"
    file.write_text("1\n3\n")
    assert sync_source(found, file)
    assert copy.read_text() == "1\n3\n"
    assert [path.name for path in copy.parent.iterdir()] == ["bars.csv"]


def test_a_folder_grows_and_shrinks_with_its_source(settings: Settings, tmp_path: Path) -> None:
    folder = tmp_path / "exports"
    folder.mkdir()
    for name in ("a.csv", "b.CSV", ".hidden.csv", "notes.md"):
        (folder / name).write_text(name)
    found = other(settings, source=str(folder))
    assert found.run.source == "source"
    assert sync_source(found, folder)
    assert sorted(path.name for path in (found.root / "source").iterdir()) == ["a.csv", "b.CSV"]
    assert not sync_source(found, folder)
    (folder / "a.csv").unlink()
    (folder / "c.parquet").write_text("c")
    assert sync_source(found, folder)
    assert sorted(path.name for path in (found.root / "source").iterdir()) == ["b.CSV", "c.parquet"]


def test_a_source_that_is_not_there_is_said(settings: Settings, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(BarError, match="holds no file of bars"):
        sync_source(other(settings), tmp_path / "empty")
    with pytest.raises(BarError, match="does not exist"):
        sync_source(other(settings), tmp_path / "gone.csv")


def test_the_root_reads_the_sample_where_it_lies(settings: Settings, home: Path) -> None:
    assert not sync_source(root_or_workspace(settings, RUN), home / "data" / "sample" / "bars.csv")
    assert not (home / "source").exists()


def test_a_source_that_cannot_be_copied_is_said(settings: Settings, tmp_path: Path) -> None:
    file = tmp_path / "bars.csv"
    file.write_text("1\n")
    found = other(settings, source=str(file))
    found.root.parent.mkdir(parents=True)
    found.root.write_text("in the way")
    with pytest.raises(WorkspaceError, match="cannot write"):
        sync_source(found, file)


@pytest.fixture
def ended() -> int:
    """Number of a process that is no more."""
    process = subprocess.Popen(["true"])
    process.wait()
    return process.pid


@pytest.fixture
def root(settings: Settings, home: Path) -> Workspace:
    (home / ".dvc" / "tmp").mkdir()
    return root_or_workspace(settings, RUN)


@pytest.mark.parametrize("content", ["", "{", "[]", '"text"'])
def test_a_torn_rwlock_is_removed(root: Workspace, content: str) -> None:
    (root.root / ".dvc" / "tmp" / "rwlock").write_text(content)
    assert heal(root) == [".dvc/tmp/rwlock"]
    assert heal(root) == []


def test_a_rwlock_is_removed_when_its_holders_are_gone(root: Workspace, ended: int) -> None:
    lock = root.root / ".dvc" / "tmp" / "rwlock"
    mine, gone = {"pid": os.getpid(), "cmd": "repro"}, {"pid": ended, "cmd": "repro"}
    lock.write_text(json.dumps({"write": {"a": gone}, "read": {"b": [mine]}}))
    assert heal(root) == []
    lock.write_text(json.dumps({"write": {"a": gone}, "read": {"b": [gone]}}))
    assert heal(root) == [".dvc/tmp/rwlock"]
    # A process that is younger than the lock file has the number of one that is gone.
    lock.write_text(json.dumps({"write": {"a": mine}, "read": {}}))
    os.utime(lock, (0, 0))
    assert heal(root) == [".dvc/tmp/rwlock"]
    lock.write_text(json.dumps({"write": {}, "read": {}}))
    assert heal(root) == []


@pytest.mark.parametrize("content", ["", "stages: [", "- a\n", "\x00\x00"])
def test_a_torn_dvc_lock_is_removed(root: Workspace, content: str) -> None:
    (root.root / "dvc.lock").write_text(content)
    assert heal(root) == ["dvc.lock"]


def test_what_is_whole_stays(root: Workspace) -> None:
    (root.root / "dvc.lock").write_text("schema: '2.0'\nstages: {}\n")
    (root.root / "data" / "tmp").mkdir()
    assert heal(root) == []


def test_unfinished_writes_are_removed(root: Workspace) -> None:
    for name in ("data/raw/.bars.parquet.12345678.tmp", "source/.a.csv.12345678.tmp", ".run.yaml.12345678.tmp"):
        (root.root / name).parent.mkdir(exist_ok=True)
        (root.root / name).write_text("half")
    (folder := root.root / "data" / "train" / ".1h.12345678.tmp").mkdir(parents=True)
    (folder / "a.onnx").write_text("half")
    assert len(heal(root)) == 4
    assert not list(root.root.rglob("*.tmp"))
