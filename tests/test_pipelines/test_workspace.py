"""Workspaces: whose is which, made again without harm, one run at a time, sources that grow, kills that left things."""

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import yaml

from pipelines.healing import heal
from pipelines.params import RunIdentity, read_params, read_run
from pipelines.sentiment.errors import SeriesError
from pipelines.settings import Settings
from pipelines.store.bar_store import BarStore, Series
from pipelines.store.errors import UnknownSeriesError
from pipelines.workspace import LINKS, Workspace, locked, prepare, root_or_workspace, sync_context, sync_source
from trading.errors import BarError, ParamsError, WorkspaceError

RUN = RunIdentity(symbol="BTC/USD", timeframe="1h", source="data/sample/bars.csv", context="data/context", as_of=None)
MOMENT = datetime(2019, 6, 1, tzinfo=UTC)
KRAKEN = Series("kraken", "BTC/USD", "1h")


@pytest.fixture
def home(tmp_path: Path, raw_params: Mapping[str, Any]) -> Path:
    home = tmp_path / "home"
    for name in ("trading", "models", "pipelines", ".dvc", "data/sample", "data/context"):
        (home / name).mkdir(parents=True)
    (home / "dvc.yaml").write_text("stages: {}\n")
    (home / ".dvcignore").write_text("__pycache__\n")
    (home / ".dvc" / "config").write_text("[core]\n    analytics = false\n['remote \"here\"']\n    url = ../../store\n")
    (home / "params.yaml").write_text(yaml.safe_dump(dict(raw_params)))
    (home / "run.yaml").write_text(
        "symbol: BTC/USD\ntimeframe: 1h\nsource: data/sample/bars.csv\ncontext: data/context\nas_of: null\n"
    )
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


def exchange(settings: Settings, **changes: object) -> Workspace:
    return root_or_workspace(settings, RUN.model_copy(update={"source": "exchange:kraken", **changes}))


def test_an_exchange_has_a_folder_of_its_own_even_if_it_is_committed(settings: Settings, home: Path) -> None:
    committed = (home / "run.yaml").read_text()
    (home / "run.yaml").write_text(committed.replace("data/sample/bars.csv", "exchange:kraken"))
    found = exchange(settings)
    assert found.root == home / "workspaces" / "BTC-USD-1h"
    assert found.series == KRAKEN
    assert found.source == home / "data" / "store" / KRAKEN.folder
    assert found.given == "kraken BTC/USD 1h"
    prepare(found)
    assert read_run(found.root / "run.yaml").source == "source/kraken_BTC-USD_1h.parquet"
    perpetual = exchange(settings, symbol="BTC/USD:BTC")
    assert perpetual.run.source == "source/kraken_BTC-USD_BTC_1h.parquet"


def test_a_store_elsewhere_is_the_same_one_from_everywhere(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    found = exchange(settings.model_copy(update={"store": Path("elsewhere")}))
    assert found.settings.store == tmp_path / "elsewhere"
    assert found.source == tmp_path / "elsewhere" / KRAKEN.folder


def test_stored_bars_are_written_only_where_they_differ(settings: Settings, tmp_path: Path, bars: pd.DataFrame) -> None:
    store, moment = BarStore(settings.store_folder), pd.Timestamp("2020-01-01", tz="UTC")
    found = exchange(settings)
    with pytest.raises(UnknownSeriesError, match="no bars of kraken BTC/USD 1h"):
        sync_source(found, found.source)
    store.append(KRAKEN, bars.iloc[:10], moment)
    assert sync_source(found, found.source)
    copy = found.root / found.run.source
    pd.testing.assert_frame_equal(pd.read_parquet(copy), bars.iloc[:10], check_freq=False)
    before = copy.stat().st_mtime_ns
    assert not sync_source(found, found.source)
    assert copy.stat().st_mtime_ns == before
    store.append(KRAKEN, bars.iloc[:12], moment)
    assert sync_source(found, found.source)
    assert len(pd.read_parquet(copy)) == 12


def test_nothing_that_closed_later_is_written(settings: Settings, bars: pd.DataFrame) -> None:
    BarStore(settings.store_folder).append(KRAKEN, bars.iloc[:10], pd.Timestamp("2020-01-01", tz="UTC"))
    found = exchange(settings, as_of=bars.index[4].to_pydatetime())
    assert sync_source(found, found.source)
    pd.testing.assert_frame_equal(pd.read_parquet(found.root / found.run.source), bars.iloc[:4], check_freq=False)


def test_a_file_and_an_exchange_take_turns(settings: Settings, tmp_path: Path, bars: pd.DataFrame) -> None:
    BarStore(settings.store_folder).append(KRAKEN, bars.iloc[:10], pd.Timestamp("2020-01-01", tz="UTC"))
    (file := tmp_path / "bars.csv").write_text("1\n")
    stored, given = exchange(settings), exchange(settings, source=str(file))
    assert stored.root == given.root
    for found, name in ((stored, "kraken_BTC-USD_1h.parquet"), (given, "bars.csv"), (stored, stored.run.source[7:])):
        assert sync_source(found, found.source)
        assert [path.name for path in (found.root / "source").iterdir()] == [name]


def test_stored_bars_that_cannot_be_written_are_said(settings: Settings, bars: pd.DataFrame) -> None:
    BarStore(settings.store_folder).append(KRAKEN, bars.iloc[:10], pd.Timestamp("2020-01-01", tz="UTC"))
    found = exchange(settings)
    found.root.parent.mkdir(parents=True)
    found.root.write_text("in the way")
    with pytest.raises(WorkspaceError, match="cannot write"):
        sync_source(found, found.source)


def test_another_context_is_another_run(settings: Settings, home: Path, tmp_path: Path) -> None:
    beside = tmp_path / "beside"
    beside.mkdir()
    found = root_or_workspace(settings, RUN.model_copy(update={"context": str(beside)}))
    assert not found.is_home
    assert (found.context, found.run.context) == (beside, "data/context")
    prepare(found)
    assert read_run(found.root / "run.yaml") == found.run
    # However the committed one is spelt.
    assert root_or_workspace(settings, RUN.model_copy(update={"context": str(home / "data/../data/context")})).is_home


def test_a_context_is_mirrored_under_its_own_names(settings: Settings, tmp_path: Path) -> None:
    beside = tmp_path / "beside"
    beside.mkdir()
    for name in ("kraken_ETH-USD_1h.csv", "fear_greed.json", "README.md", ".hidden"):
        (beside / name).write_text(name)
    found = other(settings, context=str(beside))
    mirrored = found.root / "data" / "context"
    assert sync_context(found)
    assert sorted(path.name for path in mirrored.iterdir()) == ["fear_greed.json", "kraken_ETH-USD_1h.csv"]
    assert not sync_context(found)
    (beside / "fear_greed.json").write_text("another")
    (beside / "kraken_ETH-USD_1h.csv").unlink()
    assert sync_context(found)
    assert [path.read_text() for path in mirrored.iterdir()] == ["another"]


def test_an_empty_context_is_a_folder_all_the_same(settings: Settings, home: Path) -> None:
    found = other(settings)
    assert found.context == home / "data" / "context"
    assert not sync_context(found)
    # DVC depends on it.
    assert (found.root / "data" / "context").is_dir()


def test_a_context_that_cannot_be_read_is_said_of_the_users_folder(settings: Settings, tmp_path: Path) -> None:
    with pytest.raises(ParamsError, match="gone is not there"):
        sync_context(other(settings, context=str(tmp_path / "gone")))
    (tmp_path / "beside").mkdir()
    (tmp_path / "beside" / "vix.csv").touch()
    with pytest.raises(SeriesError, match=r"vix\.csv is not understood") as caught:
        sync_context(other(settings, context=str(tmp_path / "beside")))
    assert caught.value.where == str(tmp_path / "beside" / "vix.csv")


def test_the_root_reads_its_context_where_it_lies(settings: Settings, home: Path) -> None:
    root = root_or_workspace(settings, RUN)
    (home / "data" / "context" / "ETH-USD.csv").touch()
    assert not sync_context(root)
    (home / "data" / "context" / "vix.csv").touch()
    with pytest.raises(SeriesError, match="is not understood"):
        sync_context(root)


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
