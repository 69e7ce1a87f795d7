"""A store, a series and bars for every test of the store."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pipelines.store.bar_store import BarStore
from tests.workspace import ROOT


@pytest.fixture
def store(tmp_path: Path) -> BarStore:
    return BarStore(tmp_path / "store")


@pytest.fixture
def killed() -> Callable[..., Any]:
    """Run a mode of ``killed.py`` in a process of its own, and return what it printed."""

    def run(*words: object) -> Any:
        command = [sys.executable, "-m", "tests.test_pipelines.test_store.killed", *map(str, words)]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=120)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    return run
