"""Children end with the run that started them: by the kernel where it can, by the next run elsewhere."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from flows.processes import end, end_recorded, record, tethered

ROOT = Path(__file__).resolve().parents[2]
SLEEP = [sys.executable, "-c", "import time; print('up', flush=True); time.sleep(60)"]
PARENT = """
import subprocess, sys, time
from flows.processes import tethered
child = subprocess.Popen(tethered([sys.executable, "-c", "import time; time.sleep(60)"]))
print(child.pid, flush=True)
time.sleep(60)
"""


def sleeper(*, deaf: bool = False) -> "subprocess.Popen[str]":
    deafness = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); " if deaf else ""
    command = [sys.executable, "-c", deafness + SLEEP[2]]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "up\n"
    return process


def gone(pid: int, patience: float = 10.0) -> bool:
    until = time.monotonic() + patience
    while time.monotonic() < until:
        try:
            if psutil.Process(pid).status() == psutil.STATUS_ZOMBIE:
                return True
        except psutil.NoSuchProcess:
            return True
        time.sleep(0.05)
    return False


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux announces a parent's death")
def test_a_tethered_child_dies_with_its_parent() -> None:
    parent = subprocess.Popen(
        [sys.executable, "-c", PARENT], stdout=subprocess.PIPE, text=True, env={**os.environ, "PYTHONPATH": str(ROOT)}
    )
    assert parent.stdout is not None
    child = int(parent.stdout.readline())
    assert psutil.pid_exists(child)
    parent.kill()
    parent.wait()
    assert gone(child)


def test_a_child_whose_parent_is_gone_already_does_not_start() -> None:
    command = tethered([sys.executable, "-c", "print('ran')"])
    assert subprocess.run(command, capture_output=True, text=True, check=False).stdout == "ran\n"
    command[command.index(str(os.getpid()))] = "1"
    late = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (late.returncode, late.stdout) == (2, "")


def test_the_next_run_ends_what_the_kernel_did_not(tmp_path: Path) -> None:
    process = sleeper()
    record(tmp_path / "child.json", process)
    assert end_recorded(tmp_path / "child.json")
    assert gone(process.pid)
    process.wait()
    assert not (tmp_path / "child.json").exists()
    assert not end_recorded(tmp_path / "child.json")


def test_another_process_with_the_same_number_is_left_alone(tmp_path: Path) -> None:
    process = sleeper()
    created = psutil.Process(process.pid).create_time()
    for text in (f'{{"pid": {process.pid}, "created": {created - 100}}}', '{"pid": 1', "{}"):
        (tmp_path / "child.json").write_text(text)
        assert not end_recorded(tmp_path / "child.json")
        assert not (tmp_path / "child.json").exists()
    assert process.poll() is None
    process.kill()
    process.wait()
    record(tmp_path / "child.json", process)
    assert not (tmp_path / "child.json").exists()


@pytest.mark.parametrize("deaf", [False, True])
def test_a_child_is_asked_and_then_ended(deaf: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("flows.processes._GRACE", 1.0)
    process = sleeper(deaf=deaf)
    end(process)
    assert process.returncode == (-signal.SIGKILL if deaf else -signal.SIGTERM)
    end(process)
