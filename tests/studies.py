"""Studies for tests, of features of which one says something: on SQLite, or a PostgreSQL server of the test's own."""

import os
import pwd
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from multiprocessing.queues import Queue
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from pipelines.dataset import Dataset
from pipelines.params import overlay, parse_params
from pipelines.tune import search
from pipelines.tune.database import Database
from pipelines.tune.search import run_study
from pipelines.tune.study import StudyTask
from trading.instrument import Instrument

TRIALS = 6
ROWS = 800


def sqlite(folder: Path, name: str = "a") -> Database:
    """A database in a file."""
    return Database(f"sqlite:///{folder / name}.db", patience=5.0, grace=2)


def study_task(raw_params: Mapping[str, Any], bars: pd.DataFrame, database: Database, **tune: Any) -> StudyTask:
    """A study of XGBoost's ``min_child_weight``."""
    weights = {"low": 1.0, "high": 20.0, "log": True}
    changes = {"trials": {"xgboost": TRIALS}, "startup_trials": 2, "search": {"xgboost": {"min_child_weight": weights}}}
    instrument, bars = Instrument("BTC/USD", "1h"), bars.iloc[:ROWS]
    rng = np.random.default_rng(0)
    label = pd.Series((rng.random(ROWS) < 0.5).astype(float), index=bars.index)
    X = pd.DataFrame(rng.normal(size=(ROWS, 3)), index=bars.index, columns=["a", "b", "volatility_24"])
    X["a"] += label
    X["volatility_24"] = 0.01
    t_end = (bars.index + 2 * instrument.bar).to_series(index=bars.index)
    data = Dataset(X, label, (label - 0.5) / 50, t_end)
    params = parse_params(overlay(raw_params, {"tune": {**changes, **tune}}))
    return StudyTask("xgboost", "1h", instrument, data, bars, params, database, "code")


def work_and_tell(task: StudyTask, begun: "Queue[int]", hang_in: int | None, pause: float) -> None:
    """A worker process that says which trials it begins; it never comes back from the one numbered ``hang_in``."""
    honest, mine = search.objective, 0

    def told(trial: Any, *rest: Any) -> tuple[float, ...]:
        nonlocal mine
        mine += 1
        begun.put(trial.number)
        time.sleep(3600 if mine == hang_in else pause)
        return honest(trial, *rest)

    search.objective = told
    run_study(task)


class Server:
    """A PostgreSQL server in a folder of its own, with a password."""

    def __init__(self, bin_folder: Path, folder: Path) -> None:
        self.bin_folder, self.folder = bin_folder, folder
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        password = folder / "password"
        password.write_text("s3cret")
        self._own(folder)
        self._run("initdb", "-U", "engine", "--auth=scram-sha-256", f"--pwfile={password}", "--no-sync", "-E", "UTF8")

    @property
    def url(self) -> str:
        return f"postgresql://engine:s3cret@127.0.0.1:{self.port}/postgres"

    def start(self) -> None:
        options = f"-p {self.port} -c listen_addresses=127.0.0.1 -c fsync=off -c unix_socket_directories={self.folder}"
        self._run("pg_ctl", "-w", "-l", str(self.folder / "log"), "-o", options, "start")

    def stop(self) -> None:
        self._run("pg_ctl", "-w", "-m", "immediate", "stop")

    def _own(self, folder: Path) -> None:
        if os.geteuid() == 0:
            user = pwd.getpwnam("nobody")
            for path in (folder, *folder.rglob("*")):
                os.chown(path, user.pw_uid, user.pw_gid)

    def _run(self, program: str, *words: str) -> None:
        command = [str(self.bin_folder / program), "-D", str(self.folder / "data"), *words]
        user = {"user": "nobody", "group": pwd.getpwnam("nobody").pw_gid, "extra_groups": []}
        # The server refuses to be root's.
        subprocess.run(
            command,
            check=True,
            cwd=self.folder,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            timeout=60,
            **(user if os.geteuid() == 0 else {}),
        )


def server_programs() -> Path | None:
    """Folder of PostgreSQL's programs, or None."""
    if found := shutil.which("initdb"):
        return Path(found).parent
    return max(Path("/usr/lib/postgresql").glob("*/bin"), default=None, key=lambda path: int(path.parent.name))


@contextmanager
def postgres(bin_folder: Path) -> Iterator[Server]:
    """A running server, stopped and removed at the end."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as scratch:
        server = Server(bin_folder, Path(scratch))
        server.start()
        try:
            yield server
        finally:
            server.stop()
