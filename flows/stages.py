"""DVC's stages as subprocesses, one ``dvc repro -s <stage>`` each: safe in threads and for runs side by side."""

import json
import os
import signal
import subprocess
import sys
from collections import deque
from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from typing import Any

import yaml

import trading.errors
from flows.processes import end, record, tethered
from pipelines.runner import ERROR, PROGRESS
from pipelines.settings import PROGRESS_FORMAT, Settings
from trading.errors import EngineError

Line = Callable[[str], None]
Progress = Callable[[str, int, int, str], None]
_TAIL = 60


class StageCrashedError(RuntimeError):
    """A stage that ended with a traceback, or that DVC could not start; the last lines of its output say which."""


def stage_names(root: Path) -> list[str]:
    """Names in ``dvc.yaml``, in reading order, which is an order in which they can run."""
    return list(yaml.safe_load((root / "dvc.yaml").read_text(encoding="utf-8"))["stages"])


def settings_variables(settings: Settings) -> dict[str, str]:
    """Variables from which a child reads the same settings."""
    return {f"ENGINE_{name.upper()}": str(value) for name, value in settings.model_dump().items() if value is not None}


def environment(settings: Settings) -> dict[str, str]:
    """Variables of a child: this process's settings, this interpreter first, and lines that can be read one by one."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', os.defpath)}"
    return {
        **os.environ,
        **settings_variables(settings),
        "PATH": path,
        "PYTHONUNBUFFERED": "1",
        PROGRESS_FORMAT: "json",
    }


def stale_stages(root: Path, settings: Settings) -> set[str]:
    """Stages whose inputs, command or outputs are not those of ``dvc.lock``; what follows from them is not included.

    Raises
    ------
    StageCrashedError
        If DVC cannot tell.
    """
    command = [sys.executable, "-m", "dvc", "status", "--json"]
    done = subprocess.run(
        tethered(command), cwd=root, env=environment(settings), capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise StageCrashedError(f"dvc status failed in {root}:\n{done.stdout}{done.stderr}")
    found: dict[str, Any] = json.loads(done.stdout[done.stdout.index("{") :])
    return {name.removeprefix("dvc.yaml:") for name in found}


def from_first(names: Sequence[str], stale: Collection[str]) -> list[str]:
    """The first stale stage and all after it: whether those are stale is known only when it has run."""
    first = next((position for position, name in enumerate(names) if name in stale), len(names))
    return list(names[first:])


def reproduce(root: Path, stage: str, settings: Settings, *, on_line: Line, on_progress: Progress, child: Path) -> bool:
    """Run one stage if it is stale.

    Parameters
    ----------
    root
        Folder of the workspace.
    on_line, on_progress
        Told what the stage prints, line by line, and how far it is.
    child
        Where the process is recorded while it lives.

    Returns
    -------
    bool
        Whether the stage ran; false if it was up to date, or if DVC restored its outputs from the cache.

    Raises
    ------
    EngineError
        What the stage raised.
    StageCrashedError
        If it ended otherwise.
    """
    ran, failure = False, None
    tail: deque[str] = deque(maxlen=_TAIL)
    process = subprocess.Popen(
        tethered([sys.executable, "-m", "dvc", "repro", "--single-item", stage]),
        cwd=root,
        env=environment(settings),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
    )
    record(child, process)
    try:
        assert process.stdout is not None
        for raw in process.stdout:
            line = raw.rstrip()
            if line.startswith(PROGRESS):
                told = json.loads(line.removeprefix(PROGRESS))
                on_progress(told["stage"], told["done"], told["total"], told["note"])
            elif line.startswith(ERROR):
                failure = rebuilt(json.loads(line.removeprefix(ERROR)))
            elif line:
                ran = ran or line.startswith(f"Running stage '{stage}'")
                tail.append(line)
                on_line(line)
        code = process.wait()
    finally:
        end(process, signal.SIGINT)
        child.unlink(missing_ok=True)
    if failure is not None:
        raise failure
    if code:
        raise StageCrashedError(f"stage {stage} ended with {code}:\n" + "\n".join(tail))
    return ran


def rebuilt(fields: dict[str, str]) -> EngineError:
    """The error that a stage printed, as the class that it was."""
    kind = getattr(trading.errors, fields["kind"], EngineError)
    kind = kind if isinstance(kind, type) and issubclass(kind, EngineError) else EngineError
    return kind(fields["what"], where=fields["where"], rule=fields["rule"], remedy=fields["remedy"])
