import signal
import socket
import sys
import time
from pathlib import Path

import psutil
import pytest

from flows import ui
from flows.ui import LOOPBACK, Server, ensure_free, mlflow_server, prefect_server, serve_ui, started
from pipelines.settings import Settings
from trading.errors import ServingError, WorkspaceError

ANSWERING = """
import http.server, subprocess, sys
class Yes(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200); self.end_headers()
    def log_message(self, *_): pass
subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
http.server.HTTPServer(("127.0.0.1", int(sys.argv[1])), Yes).serve_forever()
"""


@pytest.fixture
def port() -> int:
    with socket.socket() as probe:
        probe.bind((LOOPBACK, 0))
        found: int = probe.getsockname()[1]
        return found


@pytest.fixture
def other_port() -> int:
    with socket.socket() as probe:
        probe.bind((LOOPBACK, 0))
        found: int = probe.getsockname()[1]
        return found


def _answering(name: str, port: int) -> Server:
    return Server(name, [sys.executable, "-c", ANSWERING, str(port)], port, "/health")


def test_a_server_and_its_children_end_with_the_block(port: int) -> None:
    with started(_answering("Demo", port)) as one:
        one.wait(60)
        family = [psutil.Process(one.process.pid), *psutil.Process(one.process.pid).children(recursive=True)]
        assert len(family) == 2
        one.check()
    _, alive = psutil.wait_procs(family, timeout=10)
    assert not [process for process in alive if process.status() != psutil.STATUS_ZOMBIE]


def test_one_that_ends_by_itself_is_quoted(port: int) -> None:
    broken = Server("Demo", [sys.executable, "-c", "raise SystemExit('the database is locked')"], port, "/")
    with started(broken) as one, pytest.raises(ServingError, match="Demo ended by itself with code 1") as caught:
        one.wait(60)
    assert "the database is locked" in caught.value.rule


def test_one_that_never_answers_is_given_up(port: int) -> None:
    silent = Server("Demo", [sys.executable, "-c", "import time; time.sleep(600)"], port, "/")
    with started(silent) as one, pytest.raises(ServingError, match="did not answer within 0 seconds"):
        one.wait(0.4)


def test_one_that_ignores_the_request_to_end_is_ended(
    port: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ui, "_GRACE", 0.2)
    ready = tmp_path / "ready"
    stubborn = (
        "import pathlib, signal, sys, time; signal.signal(signal.SIGTERM, signal.SIG_IGN);"
        "pathlib.Path(sys.argv[1]).touch(); time.sleep(600)"
    )
    with started(Server("Demo", [sys.executable, "-c", stubborn, str(ready)], port, "/")) as one:
        while not ready.exists():
            time.sleep(0.05)
    assert one.process.poll() == -signal.SIGKILL


def test_a_taken_port_is_refused_at_once(port: int, tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind((LOOPBACK, port))
        taken.listen()
        with pytest.raises(ServingError, match=f"port {port} is in use"):
            ensure_free(_answering("Demo", port))
        with pytest.raises(ServingError, match="in use"):
            serve_ui(Settings(state=tmp_path), port, port + 1, print)


def test_both_are_served_and_named(port: int, other_port: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PREFECT_API_URL", raising=False)
    monkeypatch.setattr(ui, "mlflow_server", lambda _, port: _answering("MLflow", port))
    monkeypatch.setattr(ui, "prefect_server", lambda _, port: _answering("Prefect", port))
    said: list[str] = []
    serve_ui(Settings(state=tmp_path), port, other_port, said.append, once=True)
    assert said == [f"MLflow   http://127.0.0.1:{port}", f"Prefect  http://127.0.0.1:{other_port}"]


def test_servers_of_the_users_own_are_only_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PREFECT_API_URL", "http://prefect.example/api")
    said: list[str] = []
    serve_ui(Settings(state=tmp_path, mlflow_tracking_uri="http://mlflow.example"), 1, 2, said.append)
    assert said == ["MLflow   http://mlflow.example", "Prefect  http://prefect.example"]


def test_it_watches_until_one_ends(port: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PREFECT_API_URL", "http://prefect.example/api")
    once = ANSWERING.replace("serve_forever()", "handle_request()").replace("subprocess.Popen", "id")
    monkeypatch.setattr(
        ui, "mlflow_server", lambda _, port: Server("MLflow", [sys.executable, "-c", once, str(port)], port, "/")
    )
    with pytest.raises(ServingError, match="MLflow ended by itself with code 0"):
        serve_ui(Settings(state=tmp_path), port, 1, lambda _: None)


def test_what_is_started_listens_on_this_machine_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PREFECT_HOME", raising=False)
    settings = Settings(state=tmp_path)
    mlflow, prefect = mlflow_server(settings, 5000), prefect_server(settings, 4200)
    for server in (mlflow, prefect):
        command = list(server.command)
        assert command[command.index("--host") + 1] == LOOPBACK
        assert command[command.index("--port") + 1] == str(server.port)
    assert list(mlflow.command).count(settings.tracking_uri) == 2
    assert prefect.environment["PREFECT_HOME"] == str(tmp_path / "state" / "prefect")
    monkeypatch.setenv("PREFECT_HOME", "/own")
    assert "PREFECT_HOME" not in prefect_server(settings, 4200).environment


def test_a_state_folder_that_is_none(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(WorkspaceError, match="cannot write"):
        serve_ui(Settings(state=tmp_path / "file"), 1, 2, print)
