"""Child processes that do not outlive the run that started them, not even one that is killed."""

import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import psutil

from pipelines.artifacts import Artifacts
from pipelines.settings import TETHER

_GRACE = 5.0
# Runs between fork and exec, in the child: asking for the signal in a forked copy of this process could deadlock on a
# lock that another thread held. The wish survives the exec. The parent may have died before it was stated.
_TIE = f"""
import ctypes, os, signal, sys
if sys.platform == "linux":
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)
if os.getppid() != int(sys.argv[1]):
    os._exit(2)
os.environ[{TETHER!r}] = str(os.getpid())
os.execv(sys.argv[2], sys.argv[2:])
"""


def tethered(command: Sequence[str]) -> list[str]:
    """A command that the kernel ends when the thread that starts it ends (Linux; elsewhere see :func:`end_recorded`).

    Parameters
    ----------
    command
        Begins with the absolute path of an executable.
    """
    return [sys.executable, "-I", "-S", "-c", _TIE, str(os.getpid()), *command]


def record(path: Path, process: subprocess.Popen[str]) -> None:
    """Write down a child, so that a later run can end it where the kernel did not."""
    try:
        created = psutil.Process(process.pid).create_time()
    except psutil.NoSuchProcess:
        return
    Artifacts(path.parent).write_json(path.name, {"pid": process.pid, "created": created})


def end_recorded(path: Path) -> bool:
    """End the recorded process and all that it started, if they still live; forget the record.

    A process is told by its number and the moment it was created: numbers are given out again.
    """
    files = Artifacts(path.parent)
    if not path.exists():
        return False
    try:
        found = files.read_json(path.name)
        process = psutil.Process(found["pid"])
        alive = abs(process.create_time() - found["created"]) < 0.05 and process.status() != psutil.STATUS_ZOMBIE
    except (psutil.NoSuchProcess, ValueError, KeyError):
        alive = False
    if alive:
        psutil.wait_procs(_kill_tree(process), timeout=_GRACE)
    path.unlink(missing_ok=True)
    return alive


def end(process: subprocess.Popen[str], kind: signal.Signals = signal.SIGTERM) -> None:
    """Ask a child to end, and end it with all that it started if it does not."""
    if process.poll() is not None:
        return
    process.send_signal(kind)
    try:
        process.wait(_GRACE)
    except subprocess.TimeoutExpired:
        # Only Popen may wait for it: a child's exit code can be fetched once.
        _kill_tree(psutil.Process(process.pid))
        process.wait(_GRACE)


def _kill_tree(process: psutil.Process) -> list[psutil.Process]:
    family = [*process.children(recursive=True), process]
    for member in family:
        try:
            member.kill()
        except psutil.NoSuchProcess:
            continue
    return family
