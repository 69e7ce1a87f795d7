"""What a killed run leaves in a workspace, and DVC cannot start beside.

DVC writes its lock files in place. Killed in the middle of that, it leaves an empty ``.dvc/tmp/rwlock`` or
``dvc.lock``, which it then refuses to read.
"""

import json
import shutil
from pathlib import Path
from typing import Any

import psutil
import yaml

from pipelines.workspace import SOURCE, Workspace


def heal(workspace: Workspace) -> list[str]:
    """Remove what a killed run left; call it while :func:`~pipelines.workspace.locked` holds the workspace.

    Returns
    -------
    list of str
        What was removed, relative to the workspace.
    """
    root = workspace.root
    removed = []
    if _abandoned(lock := root / ".dvc" / "tmp" / "rwlock"):
        lock.unlink()
        removed.append(lock)
    if (lock := root / "dvc.lock").exists() and not isinstance(_yaml(lock), dict):
        # Nothing is lost with it: DVC's run cache restores every stage whose inputs are the same.
        lock.unlink()
        removed.append(lock)
    places = [*root.glob(".*.tmp"), *(root / ".dvc").glob(".*.tmp")]
    places += [found for name in ("data", SOURCE) for found in (root / name).rglob(".*.tmp")]
    for stray in places:
        if stray.is_dir() and not stray.is_symlink():
            shutil.rmtree(stray)
        else:
            stray.unlink(missing_ok=True)
        removed.append(stray)
    return [path.relative_to(root).as_posix() for path in removed]


def _abandoned(rwlock: Path) -> bool:
    """Whether nobody who is named in DVC's lock file lives; the file of a kill in the middle of a write is empty."""
    try:
        content = json.loads(rwlock.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return False
    except ValueError:
        return True
    if not isinstance(content, dict):
        return True
    # A reader's entry is a list of holders, a writer's is one.
    entries = [*content.get("read", {}).values(), *content.get("write", {}).values()]
    holders = [holder for entry in entries for holder in (entry if isinstance(entry, list) else [entry])]
    return bool(holders) and not any(_lived_then(holder["pid"], rwlock.stat().st_mtime) for holder in holders)


def _lived_then(pid: int, moment: float) -> bool:
    """Whether the process lives and is as old as that: after a restart its number may be another's."""
    try:
        # Clocks of processes and of files differ by a few ticks.
        return bool(psutil.Process(pid).create_time() <= moment + 1)
    except psutil.Error:
        return False


def _yaml(path: Path) -> Any:
    try:
        return yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError):
        return None
