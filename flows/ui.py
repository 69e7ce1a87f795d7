"""MLflow's and Prefect's own pages, side by side on this machine until Ctrl-C."""

import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from flows.processes import tethered
from pipelines.settings import Settings, quiet_environment
from trading.errors import ServingError, WorkspaceError

LOOPBACK = "127.0.0.1"
_PATIENCE = 240.0
_TAIL = 6
_GRACE = 10.0


@dataclass(frozen=True)
class Server:
    """A server that somebody else wrote.

    Parameters
    ----------
    name
        As the user knows it.
    command
        What starts it.
    port
        Where it listens, on the loopback address.
    health
        Path that answers once it is up.
    environment
        Variables on top of this process's.
    """

    name: str
    command: Sequence[str]
    port: int
    health: str
    environment: Mapping[str, str] = field(default_factory=dict)

    @property
    def address(self) -> str:
        """What to type into a browser."""
        return f"http://{LOOPBACK}:{self.port}"


def mlflow_server(settings: Settings, port: int) -> Server:
    """MLflow on the tracking store with its registry; artifacts are read from where each experiment put them."""
    uri = settings.tracking_uri
    command = [sys.executable, "-m", "mlflow", "server", "--backend-store-uri", uri, "--registry-store-uri", uri]
    command += ["--default-artifact-root", settings.artifact_root, "--host", LOOPBACK, "--port", str(port)]
    return Server("MLflow", [*command, "--workers", "1"], port, "/health")


def prefect_server(settings: Settings, port: int) -> Server:
    """Prefect, on the database that flows without a server write to; see :mod:`flows.api`."""
    command = [sys.executable, "-m", "prefect", "server", "start", "--host", LOOPBACK, "--port", str(port)]
    # The page asks the API that it came from, whatever profile is active.
    environment = {"PREFECT_UI_API_URL": f"http://{LOOPBACK}:{port}/api"}
    if "PREFECT_HOME" not in os.environ:
        environment["PREFECT_HOME"] = str(settings.state / "state" / "prefect")
    return Server("Prefect", command, port, "/api/health", environment)


def ensure_free(server: Server) -> None:
    """Refuse a port that somebody listens on.

    Raises
    ------
    ServingError
        If it is taken.
    """
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, server.port))
        except OSError as error:
            raise ServingError(
                f"port {server.port} is in use",
                where=server.address,
                rule=f"{server.name} needs a port of its own",
                remedy="end what listens there, or choose another port; `engine ui --help` shows the options",
            ) from error


@contextmanager
def started(server: Server) -> Iterator["Running"]:
    """Start a server; it and its children end with the block, or with this process.

    Raises
    ------
    ServingError
        If its port is taken.
    """
    ensure_free(server)
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen(
            tethered(server.command),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            env={**os.environ, **server.environment},
            start_new_session=True,
        )
        try:
            yield Running(server, process, log)
        finally:
            _end(process)


@dataclass(frozen=True)
class Running:
    """A server that has been started; it may still be busy with starting."""

    server: Server
    process: subprocess.Popen[bytes]
    log: IO[bytes]

    def wait(self, patience: float = _PATIENCE) -> None:
        """Return when it answers.

        Raises
        ------
        ServingError
            If it ends, or does not answer in time.
        """
        begun = time.monotonic()
        while not _answers(self.server):
            self.check()
            if time.monotonic() - begun > patience:
                raise self._failed(f"did not answer within {patience:.0f} seconds")
            time.sleep(0.2)

    def check(self) -> None:
        """Raise if it has ended by itself."""
        if self.process.poll() is not None:
            raise self._failed(f"ended by itself with code {self.process.returncode}")

    def _failed(self, how: str) -> ServingError:
        self.log.seek(0)
        said = self.log.read().decode(errors="replace").strip().splitlines()[-_TAIL:]
        return ServingError(
            f"{self.server.name} {how}",
            where=self.server.address,
            rule=" | ".join(line.strip() for line in said),
            remedy="mend what it says, then start again",
        )


def serve_ui(
    settings: Settings, mlflow_port: int, prefect_port: int, say: Callable[[str], None], *, once: bool = False
) -> None:
    """Serve both pages until Ctrl-C, or until one of them ends. Servers that the user has configured are only named.

    Parameters
    ----------
    settings
        Where the stores are.
    mlflow_port, prefect_port
        Ports on the loopback address.
    say
        Told each address when it answers.
    once
        Return as soon as all have answered.

    Raises
    ------
    ServingError
        If a port is taken, or a server does not start or ends by itself.
    """
    quiet_environment()
    servers: list[Server] = []
    if settings.tracking_uri.startswith("http"):
        say(f"MLflow   {settings.tracking_uri}")
    else:
        _make(settings.state / "mlflow")
        servers.append(mlflow_server(settings, mlflow_port))
    if address := os.environ.get("PREFECT_API_URL"):
        say(f"Prefect  {address.removesuffix('/').removesuffix('/api')}")
    else:
        _make(settings.state / "state" / "prefect")
        servers.append(prefect_server(settings, prefect_port))
    with ExitStack() as stack:
        running = [stack.enter_context(started(server)) for server in servers]
        for one in running:
            one.wait()
            say(f"{one.server.name:8} {one.server.address}")
        while running and not once:
            for one in running:
                one.check()
            time.sleep(0.5)


def _make(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise WorkspaceError(
            f"cannot write: {error.strerror}",
            where=str(folder),
            remedy="choose a folder you may write to with ENGINE_STATE",
        ) from error


def _answers(server: Server) -> bool:
    with suppress(OSError), urllib.request.urlopen(f"{server.address}{server.health}", timeout=2) as answer:
        return bool(answer.status == 200)
    return False


def _end(process: subprocess.Popen[bytes]) -> None:
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGTERM)
    try:
        process.wait(_GRACE)
    except subprocess.TimeoutExpired:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
