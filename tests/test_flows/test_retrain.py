"""The whole flow on the miniature: once, again, after edits and errors, beside another run, and after kills."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest

from flows.stages import StageCrashedError
from pipelines.settings import Settings
from tests.test_flows.miniature import STAGES, retrain
from trading.errors import BarError, ParamsError, StageError, WorkspaceError

Start = Callable[..., "subprocess.Popen[str]"]
pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("prefect_address")]
TEXT = "bar 1\none 7\ntwo 7\nthree 7\n"


def ran(home: Path) -> list[str]:
    return (home / "ran.log").read_text().split()


def wait_for(path: Path, process: "subprocess.Popen[str]", patience: float = 150.0) -> int:
    """The number that a hanging stage writes down."""
    until = time.monotonic() + patience
    while time.monotonic() < until:
        if path.exists() and (text := path.read_text()):
            return int(text)
        if process.poll() is not None:
            pytest.fail(f"ended with {process.returncode}: {process.communicate()[1]}")
        time.sleep(0.05)
    pytest.fail(f"{path.name} did not appear")


def wait_gone(pid: int, patience: float = 15.0) -> None:
    until = time.monotonic() + patience
    while psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE:
        assert time.monotonic() < until, f"{psutil.Process(pid).cmdline()} lives on"
        time.sleep(0.05)


def dvc(root: Path, *words: str) -> str:
    done = subprocess.run([sys.executable, "-m", "dvc", *words], cwd=root, capture_output=True, text=True, check=True)
    return done.stdout


def table(key: str) -> list[dict[str, Any]]:
    """The newest table that Prefect shows under a key."""
    from prefect.artifacts import Artifact

    found = Artifact.get(key)
    assert found is not None
    rows: list[dict[str, Any]] = json.loads(found.data)
    return rows


def test_runs_one_after_another(home: Path, settings: Settings, tmp_path: Path) -> None:
    told: list[tuple[str, int, int, str]] = []
    first = retrain(settings, told)
    assert first.ran == STAGES
    assert first.workspace == home
    assert first.signal == ({"horizon": "1h"},)
    assert first.report == home / "data" / "report" / "report.html"
    assert first.registered["horizons"]["1h"]["version"] == "1"
    begun = [stage for stage, _, total, _ in told if total == 0]
    assert begun == ["ingest", *STAGES, "gate", "report", "register", "serve_check"]
    assert ("two", 0, 2, "half way") in told
    assert json.loads(dvc(home, "status", "--json")) == {}
    assert "Running" not in dvc(home, "repro", "--dry")
    drawn = (home / "drawn.log").read_text()
    assert {row["reason"] for row in table("gate-btc-usd-1h")} == {"None to be seen."}

    # Nothing changed: nothing runs, nothing is drawn.
    told.clear()
    second = retrain(settings, told)
    assert second.ran == ()
    assert second.news.startswith("no new bar since ")
    assert ("one", 1, 1, "unchanged") in told
    assert ran(home) == list(STAGES)
    assert (home / "drawn.log").read_text() == drawn

    # A kill tore the lock file: the cache restores what had been done.
    (home / "dvc.lock").write_text("")
    assert retrain(settings).ran == ()
    assert ran(home) == list(STAGES)
    assert json.loads(dvc(home, "status", "--json")) == {}

    # The source grew: everything after it runs.
    (home / "data" / "sample" / "bars.csv").write_text("bar 1\nbar 2\n")
    third = retrain(settings)
    assert third.ran == STAGES
    assert third.news.endswith("ran one, two, three")
    assert (home / "data" / "evidence" / "text").read_text() == TEXT.replace("bar 1\n", "bar 1\nbar 2\n")

    # DVC's cache goes to a remote, and comes back from it.
    dvc(home, "remote", "add", "--default", "store", str(tmp_path / "store"))
    dvc(home, "push")
    for folder in (home / "data" / "evidence", home / ".dvc" / "cache"):
        subprocess.run(["rm", "-r", str(folder)], check=True)
    dvc(home, "pull")
    assert (home / "data" / "evidence" / "text").exists()


def test_another_instrument_leaves_the_first_clean(home: Path, settings: Settings) -> None:
    retrain(settings)
    before = {path: path.stat().st_mtime_ns for path in (home / "data").rglob("*")}
    root = home / "workspaces" / "ETH-USD-1h"
    root.mkdir(parents=True)
    for name in ("mini", "evidence.example"):
        (root / name).symlink_to(home / name)
    assert retrain(settings, symbol="ETH/USD").workspace == root
    assert {path: path.stat().st_mtime_ns for path in (home / "data").rglob("*")} == before
    assert json.loads(dvc(home, "status", "--json")) == {}
    assert json.loads(dvc(root, "status", "--json")) == {}


def test_what_time_may_mend_is_tried_again_and_what_the_user_must_mend_is_not(
    home: Path, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("flows.tasks.RETRY_SECONDS", 0.1)
    (home / "trouble.one").write_text("once")
    dvc_yaml = (home / "dvc.yaml").read_text()
    # A stage of that name may be tried again.
    (home / "dvc.yaml").write_text(dvc_yaml.replace("  one:\n", "  ingest:\n"))
    (home / "trouble.two").write_text("mend")
    with pytest.raises(BarError, match="bad bars"):
        retrain(settings)
    assert ran(home) == ["one", "one", "two"]
    (home / "trouble.two").write_text("bug")
    with pytest.raises(StageCrashedError, match="ZeroDivisionError: a bug"):
        retrain(settings)
    assert ran(home) == ["one", "one", "two", "two"]


def test_params_edited_during_a_stage_fail_it_and_the_next_run_uses_them(home: Path, settings: Settings) -> None:
    (home / "trouble.two").write_text("edit")
    with pytest.raises(StageError, match=r"params.yaml changed while two ran"):
        retrain(settings)
    (home / "trouble.two").unlink()
    assert retrain(settings).ran == ("two", "three")


def test_a_missing_source_and_bad_params_are_said_before_anything_starts(home: Path, settings: Settings) -> None:
    with pytest.raises(BarError, match=r"gone.csv does not exist"):
        retrain(settings, source="gone.csv")
    scenarios = (home / "stress.yaml").read_text()
    (home / "stress.yaml").write_text(scenarios.replace("scenarios:", "scenarioz:"))
    with pytest.raises(ParamsError, match="scenarioz"):
        retrain(settings)
    (home / "stress.yaml").write_text(scenarios)
    (home / "params.yaml").write_text((home / "params.yaml").read_text() + "sede: 7\n")
    with pytest.raises(ParamsError, match="sede: unknown key"):
        retrain(settings)
    assert not (home / "ran.log").exists()


@pytest.mark.parametrize(("stage", "whole_group"), [("one", False), ("three", True)])
def test_a_killed_run_is_continued_and_ends_the_same(
    home: Path, settings: Settings, start: Start, stage: str, whole_group: bool
) -> None:
    (home / f"trouble.{stage}").write_text("hang")
    killed = start()
    hanging = wait_for(home / "hanging.pid", killed)
    with pytest.raises(WorkspaceError, match=f"process {killed.pid}"):
        retrain(settings)
    if whole_group:
        os.killpg(killed.pid, signal.SIGKILL)
    else:
        killed.kill()
    killed.communicate()
    if sys.platform == "linux":
        wait_gone(hanging)
    (home / f"trouble.{stage}").unlink()
    # A state that only a kill in the middle of a write leaves.
    (home / ".dvc" / "tmp" / "rwlock").write_text("")
    after = retrain(settings)
    wait_gone(hanging)
    assert after.ran == STAGES[STAGES.index(stage) :]
    assert (home / "data" / "evidence" / "text").read_text() == TEXT
    assert json.loads(dvc(home, "status", "--json")) == {}


@pytest.mark.parametrize("kind", [signal.SIGKILL, signal.SIGINT])
def test_a_run_takes_its_stage_and_its_prefect_server_with_it(
    home: Path, start_alone: Start, kind: signal.Signals
) -> None:
    if kind == signal.SIGKILL and sys.platform != "linux":
        pytest.skip("only Linux announces a parent's death; elsewhere the next run ends them")
    (home / "trouble.one").write_text("hang")
    stopped = start_alone()
    hanging = wait_for(home / "hanging.pid", stopped)
    server = json.loads((home / "state" / "running" / "home-prefect.json").read_text())["pid"]
    assert "create_app" in " ".join(psutil.Process(server).cmdline())
    if kind == signal.SIGINT:
        # Ctrl-C reaches the whole group, in which the server is not: it must still hear how the flow ended.
        os.killpg(stopped.pid, kind)
    else:
        stopped.kill()
    # Prefect tells its server how the flow ended, and SQLite may keep that waiting for a minute, more than once.
    _, err = stopped.communicate(timeout=270)
    assert stopped.returncode != 0
    assert ("KeyboardInterrupt" in err) == (kind == signal.SIGINT), err
    wait_gone(server)
    wait_gone(hanging)
    assert not (home / "data" / "one").exists()
