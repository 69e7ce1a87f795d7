"""What a result was made from, besides its data: commit, lock file, interpreter."""

import hashlib
import platform
import subprocess
from pathlib import Path
from typing import Any

from pipelines.artifacts import digest


def provenance(home: Path) -> dict[str, Any]:
    """Commit and state of the code, digest of the lock file, version of Python.

    Parameters
    ----------
    home
        Folder of the code. Outside a git checkout ``commit`` and ``dirty`` are None: unknown is not clean.
    """
    commit = _git(home, "rev-parse", "HEAD")
    changed = None if commit is None else bool(_git(home, "status", "--porcelain", "--untracked-files=no"))
    lock = home / "requirements.lock"
    return {
        "commit": commit,
        "dirty": changed,
        "lock_sha256": digest(lock) if lock.exists() else None,
        "python": platform.python_version(),
    }


def code_digest(home: Path) -> str:
    """Digest of the source files that results depend on, whether committed or not."""
    total = hashlib.sha256()
    for folder in ("trading", "models", "pipelines"):
        for file in sorted((home / folder).rglob("*.py")):
            total.update(f"{file.relative_to(home).as_posix()}\0{digest(file)}\0".encode())
    return total.hexdigest()


def _git(home: Path, *words: str) -> str | None:
    try:
        answer = subprocess.run(
            ["git", "-C", str(home), *words], capture_output=True, text=True, timeout=30, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return answer.stdout.strip()
