"""Prefect's API for one process: the user's server where there is one, else one of our own that ends with us."""

import logging
import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from filelock import FileLock

from flows.processes import end, record, tethered
from pipelines.settings import Settings
from trading.errors import WorkspaceError

_PATIENCE = 120.0
_DRAIN = 10.0


def configured() -> bool:
    """Whether the user's environment or Prefect profile names a server.

    Without Prefect in this process only the environment can: its home is then a folder of ours, without profiles.
    """
    if os.environ.get("PREFECT_API_URL"):
        return True
    if "prefect" not in sys.modules and "PREFECT_HOME" not in os.environ:
        return False
    from prefect.settings import PREFECT_API_URL

    return bool(PREFECT_API_URL.value())


@contextmanager
def prefect_api(settings: Settings, child: Path, *, scheduler: bool = False) -> Iterator[None]:
    """Have Prefect's client talk to a server while the block runs.

    Prefect would start such a server by itself, but one that a kill leaves behind.

    Parameters
    ----------
    settings
        The server's database lies in ``<state>/state/prefect`` unless ``PREFECT_HOME`` says otherwise.
    child
        Where the server is recorded while it lives.
    scheduler
        Whether it also fires schedules.
    """
    if configured():
        with _client_settings(None):
            yield
        return
    home = Path(os.environ.setdefault("PREFECT_HOME", str(settings.state / "state" / "prefect")))
    home.mkdir(parents=True, exist_ok=True)
    log = settings.state / "state" / "logs" / "prefect-server.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    port = _free_port()
    with ExitStack() as starting:
        # One at a time: servers that start together on a new database would each make its tables.
        starting.enter_context(FileLock(home / ".starting.lock"))
        with log.open("a", encoding="utf-8") as output:
            server = _start(port, output.fileno(), scheduler)
        record(child, server)
        try:
            # Both take seconds: the client is imported while the server starts.
            with _client_settings(f"http://127.0.0.1:{port}/api"):
                _wait_for(server, port, log)
                starting.close()
                try:
                    yield
                finally:
                    _drain()
        finally:
            end(server)
            child.unlink(missing_ok=True)


@contextmanager
def logs_to(path: Path) -> Iterator[None]:
    """Send what Prefect would print to a file."""
    from prefect.logging.handlers import PrefectConsoleHandler

    path.parent.mkdir(parents=True, exist_ok=True)
    to_file = logging.FileHandler(path, encoding="utf-8", delay=True)
    to_file.setFormatter(logging.Formatter("%(asctime)s %(levelname)-7s %(name)s %(message)s"))
    root = logging.getLogger()
    quiet = [handler for handler in root.handlers if isinstance(handler, PrefectConsoleHandler)]
    for handler in quiet:
        root.removeHandler(handler)
    root.addHandler(to_file)
    try:
        yield
    finally:
        root.removeHandler(to_file)
        to_file.close()
        for handler in quiet:
            root.addHandler(handler)


@contextmanager
def _client_settings(address: str | None) -> Iterator[None]:
    from prefect.settings import PREFECT_API_URL, PREFECT_FLOWS_HEARTBEAT_FREQUENCY, temporary_settings

    named = {} if address is None else {PREFECT_API_URL: address}
    # A heartbeat costs each flow a second when it ends.
    with temporary_settings({**named, PREFECT_FLOWS_HEARTBEAT_FREQUENCY: None}):
        yield


def _start(port: int, output: int, scheduler: bool) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "uvicorn", "--factory", "prefect.server.api.server:create_app"]
    command += ["--host", "127.0.0.1", "--port", str(port), "--log-level", "error", "--lifespan", "on"]
    # As Prefect starts its temporary servers: without pages, and without the services that only deployments need.
    temporary = {"PREFECT_UI_ENABLED": "0", "PREFECT__SERVER_FINAL": "1", "PREFECT__SERVER_EPHEMERAL": "1"}
    # Nobody reacts to events here, and each service less is one less that may hold SQLite's only write lock.
    temporary |= {f"PREFECT_SERVER_SERVICES_{name}_ENABLED": "false" for name in ("EVENT_PERSISTER", "TRIGGERS")}
    # Block types are for pages and deployments; registering them all takes seconds at every start.
    temporary["PREFECT_API_BLOCKS_REGISTER_ON_START"] = "false"
    own = {} if scheduler else temporary
    # A session of its own: Ctrl-C is for the flow, which still has to tell the server how it ended.
    return subprocess.Popen(
        tethered(command),
        env={**os.environ, **own},
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=output,
        start_new_session=True,
        text=True,
    )


def _wait_for(server: subprocess.Popen[str], port: int, log: Path) -> None:
    patience = time.monotonic() + _PATIENCE
    while server.poll() is None and time.monotonic() < patience:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/api/health", timeout=5) as answer:
                if answer.status == 200:
                    return
        except (urllib.error.URLError, OSError):
            time.sleep(0.1)
    raise WorkspaceError(
        "Prefect's server did not start",
        where=str(log),
        rule=f"ready within {_PATIENCE:.0f} seconds",
        remedy="read the log; if its database is damaged, move the folder state/prefect away",
    )


def _drain() -> None:
    """Send what is queued: left to the end of the process, it would be sent to a server that is gone, over and over."""
    from prefect.events.worker import EventsWorker
    from prefect.logging.handlers import APILogWorker

    for worker in (EventsWorker, APILogWorker):
        worker.drain_all(timeout=_DRAIN, at_exit=False)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
