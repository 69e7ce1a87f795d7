"""The one guarded entry of all stages: ``python -m pipelines.<stage>`` in the folder of a workspace.

DVC writes down a stage's hashes after its command has ended. Params or code that were edited meanwhile would be locked
as if they had been used, so a stage whose inputs moved under it fails instead.
"""

import json
import os
import re
import sys
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import yaml

from pipelines.artifacts import Artifacts, digest
from pipelines.cluster import dask_map
from pipelines.context import Context, Map, Progress, silent
from pipelines.params import read_params, read_run
from pipelines.settings import PROGRESS_FORMAT, TETHER, Settings, quiet_environment
from pipelines.workers import die_with_parent, process_map
from trading.errors import EngineError, StageError

PROGRESS = "::progress "
ERROR = "::error "
_REFERENCE = re.compile(r"\$\{([^}]+)\}")


def main(stage: str, run: Callable[[Context], None]) -> None:
    """Run a stage in the current folder, and end the process with 2 if its user can mend what went wrong.

    Parameters
    ----------
    stage
        Name in ``dvc.yaml``, and below ``pipelines``.
    run
        The stage.

    Notes
    -----
    With ``ENGINE_PROGRESS=json`` progress and errors are printed to stdout as lines that :mod:`flows.stages` reads;
    otherwise progress is a line on stderr. A bug keeps its traceback, and Python's exit code 1.
    """
    quiet_environment()
    die_with_parent()
    if (parent := os.environ.get(TETHER)) and int(parent) != os.getppid():
        # Set by whoever starts DVC, inherited through DVC. The parent died before its death could be announced.
        sys.exit(2)
    try:
        _run(stage, run)
    except EngineError as error:
        print(f"{stage}: {error}", file=sys.stderr)
        if _machine_reads():
            print(ERROR + json.dumps(error_fields(error)), flush=True)
        sys.exit(2)
    except KeyboardInterrupt:
        print(f"{stage}: interrupted; the next run begins with this stage again", file=sys.stderr)
        sys.exit(2)


def open_context(workspace: Path, settings: Settings, *, map: Map = map, progress: Progress = silent) -> Context:  # noqa: A002
    """What a stage is handed, read from the files of a workspace."""
    return Context(
        params=read_params(workspace / "params.yaml"),
        run=read_run(workspace / "run.yaml"),
        files=Artifacts(workspace),
        settings=settings,
        map=map,
        progress=progress,
    )


def worker_map(settings: Settings) -> AbstractContextManager[Map]:
    """The ``map`` that settings ask for: over processes of this machine, or on a Dask cluster."""
    return dask_map(settings.dask, settings.workers) if settings.dask else process_map(settings.workers)


def fingerprint(workspace: Path, stage: str) -> dict[str, str]:
    """Digests of what a stage depends on and no stage makes: params, identity of the run, code, source.

    Parameters
    ----------
    workspace
        Folder of ``dvc.yaml``.
    stage
        One that ``dvc.yaml`` lacks depends on ``params.yaml`` and ``run.yaml`` alone.

    Returns
    -------
    dict
        Digest of each path; ``absent`` where there is none. Bytecode and other caches of Python do not count.
    """
    names = ["params.yaml", "run.yaml"]
    if (workspace / "dvc.yaml").exists():
        stages = yaml.safe_load((workspace / "dvc.yaml").read_text(encoding="utf-8"))["stages"]
        made = {name for one in stages.values() for name in _paths(one.get("outs"))}
        found = [name for name in _paths(stages.get(stage, {}).get("deps")) if name not in made]
        if any(_REFERENCE.search(name) for name in found):
            known = yaml.safe_load((workspace / "run.yaml").read_text(encoding="utf-8"))
            found = [_REFERENCE.sub(lambda match: str(known[match[1].strip()]), name) for name in found]
        names += found
    return {name: _digest(workspace / name) for name in names}


def error_fields(error: EngineError) -> dict[str, str]:
    """An error as JSON can carry it."""
    return {
        "kind": type(error).__name__,
        "what": error.what,
        "where": error.where,
        "rule": error.rule,
        "remedy": error.remedy,
    }


def _run(stage: str, run: Callable[[Context], None]) -> None:
    workspace, settings = Path.cwd(), Settings()
    before = fingerprint(workspace, stage)
    with worker_map(settings) as mapped:
        run(open_context(workspace, settings, map=mapped, progress=_progress(stage)))
    after = fingerprint(workspace, stage)
    if changed := [name for name in after if before.get(name) != after[name]]:
        raise StageError(
            f"{', '.join(changed)} changed while {stage} ran",
            where=str(workspace),
            rule="what a stage makes belongs to one version of its params and code",
            remedy="run it again",
        )


def _progress(stage: str) -> Progress:
    def as_json(done: int, total: int, note: str) -> None:
        print(PROGRESS + json.dumps({"stage": stage, "done": done, "total": total, "note": note}), flush=True)

    def as_text(done: int, total: int, note: str) -> None:
        print(f"{stage}  {done}/{total}  {note}", file=sys.stderr, flush=True)

    return as_json if _machine_reads() else as_text


def _machine_reads() -> bool:
    return os.environ.get(PROGRESS_FORMAT) == "json"


def _paths(entries: list[str | Mapping[str, Any]] | None) -> list[str]:
    """Paths of DVC's entries, which are text, or a mapping from the path to its settings."""
    return [name for entry in entries or [] for name in ([entry] if isinstance(entry, str) else entry)]


def _digest(path: Path) -> str:
    if not path.is_dir():
        return digest(path) if path.exists() else "absent"
    files = (p for p in path.rglob("*") if "__pycache__" not in p.parts and p.suffix != ".pyc")
    return "\n".join(f"{file.relative_to(path).as_posix()} {digest(file)}" for file in sorted(files) if file.is_file())
