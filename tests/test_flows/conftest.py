"""The miniature home, a Prefect server for all tests, and runs that can be killed."""

import os
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from functools import partial
from pathlib import Path

import pytest

from pipelines.settings import Settings
from tests.test_flows import miniature

Start = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A miniature of the repository; its stages find the real packages."""
    monkeypatch.setenv("PYTHONPATH", str(miniature.ROOT))
    miniature.make(tmp_path / "home")
    return tmp_path / "home"


@pytest.fixture
def settings(home: Path) -> Settings:
    return Settings(home=home, state=home, workers=1)


@pytest.fixture(scope="session")
def prefect_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the server of all tests keeps its database."""
    return tmp_path_factory.mktemp("prefect") / "home"


@pytest.fixture(scope="session")
def prefect_address(prefect_home: Path) -> Iterator[str]:
    """A Prefect server for all tests: starting one takes ten seconds."""
    from flows.api import prefect_api

    state = prefect_home.parent
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PREFECT_HOME", str(prefect_home))
        patch.delenv("PREFECT_API_URL", raising=False)
        with prefect_api(Settings(home=state, state=state), state / "server.json"):
            from prefect.settings import PREFECT_API_URL

            yield str(PREFECT_API_URL.value())


def begin(home: Path, **variables: str) -> "subprocess.Popen[str]":
    """Start a run of the miniature in a process group of its own."""
    own = {"ENGINE_HOME": str(home), "ENGINE_STATE": str(home), "ENGINE_WORKERS": "1"}
    return subprocess.Popen(
        [sys.executable, "-m", "tests.test_flows.miniature"],
        cwd=miniature.ROOT,
        env={**os.environ, **own, **variables},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


@pytest.fixture
def start(home: Path, prefect_address: str) -> Start:
    """Start a run against the tests' Prefect server."""
    return partial(begin, home, PREFECT_API_URL=prefect_address)


@pytest.fixture
def start_alone(home: Path, tmp_path: Path, prefect_home: Path, prefect_address: str) -> Start:
    """Start a run that brings its own Prefect server; making the tables of a new database takes seconds."""
    own = tmp_path / "prefect"
    own.mkdir()
    source, copy = (sqlite3.connect(folder / "prefect.db") for folder in (prefect_home, own))
    with closing(source), closing(copy):
        source.backup(copy)
    return partial(begin, home, PREFECT_HOME=str(own))
