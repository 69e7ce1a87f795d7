"""Starting: what is checked before, and what the service is started with."""

import os
import socket

import pytest

from pipelines.settings import Settings
from serving import run
from serving.run import command, environment, require_free, serve
from trading.errors import ServingError


@pytest.fixture
def taken():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        yield listener.getsockname()[1]


def test_a_taken_port_is_named(taken):
    with pytest.raises(ServingError, match=f"port {taken}") as caught:
        serve(Settings(port=taken))
    assert "ENGINE_PORT" in caught.value.remedy


def test_a_port_is_free_again_after_its_owner(taken):
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    require_free("127.0.0.1", port)


def test_an_address_of_another_machine():
    with pytest.raises(ServingError, match="cannot listen"):
        require_free("192.0.2.1", 3000)
    require_free("::1", 0)


def test_nothing_to_serve_is_said_before_anything_starts(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "execve", lambda *args: pytest.fail("started"))
    with pytest.raises(ServingError, match="engine run"):
        serve(Settings(state=tmp_path, mlflow_tracking_uri="", port=free()))


def test_the_process_becomes_the_service(tmp_path, monkeypatch):
    started = []
    monkeypatch.setattr(os, "execve", lambda *args: started.append(args))
    monkeypatch.setattr(run, "open_catalog", lambda settings: None)
    settings = Settings(state=tmp_path, port=free())
    serve(settings)
    ((program, arguments, env),) = started
    assert arguments == command(settings, "127.0.0.1", settings.port)
    assert program == arguments[0]
    assert env["ENGINE_STATE"] == str(tmp_path)
    assert env["BENTOML_HOME"].startswith(str(tmp_path))


def test_the_service_sees_the_same_settings(tmp_path, monkeypatch):
    settings = Settings(state=tmp_path, optuna_storage="sqlite:///other.db", workers=3)
    for name, value in environment(settings).items():
        monkeypatch.setenv(name, value)
    assert Settings() == settings


def free():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]
