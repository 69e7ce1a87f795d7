"""A database of studies that does not answer is asked again for a while, then named without its password."""

import socket
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import optuna
import pytest

from pipelines.tune import search
from pipelines.tune.database import Database
from pipelines.tune.errors import StudyError
from pipelines.tune.search import open_study, run_study
from pipelines.tune.study import StudyTask
from tests.studies import TRIALS, Server, sqlite


def _unused_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def test_who_does_not_answer_is_named_without_the_password() -> None:
    database = Database(f"postgresql://engine:s3cret@127.0.0.1:{_unused_port()}/studies", patience=1.0, grace=60)
    begin = time.monotonic()
    with pytest.raises(StudyError, match="does not answer") as caught:
        database.open()
    assert 0.5 < time.monotonic() - begin < 10
    told = str(caught.value)
    assert "s3cret" not in told
    assert "engine:***@127.0.0.1" in told
    assert "ENGINE_OPTUNA_PATIENCE = 1 seconds" in told


def test_a_server_that_starts_late_is_waited_for(server: Server) -> None:
    server.stop()
    late = threading.Timer(1.0, server.start)
    late.start()
    try:
        storage = Database(server.url, patience=30.0, grace=60).open()
    finally:
        late.join()
    assert storage.engine.dialect.name == "postgresql"


def test_a_refusal_is_not_waited_for(server: Server, tmp_path: Path) -> None:
    begin = time.monotonic()
    for wrong in (server.url.replace("s3cret", "wr0ng"), server.url.replace("/postgres", "/nowhere")):
        with pytest.raises(StudyError, match="refuses") as caught:
            Database(wrong, patience=60.0, grace=60).open()
        assert "wr0ng" not in str(caught.value)
    with pytest.raises(StudyError, match="unable to open database file"):
        sqlite(tmp_path / "absent").open()
    assert time.monotonic() - begin < 20


@pytest.mark.parametrize(
    "url", ["", "studies", "mysql://engine:s3cret@host/studies", "postgresql://engine:s3cret@host"]
)
def test_an_address_that_is_none_is_refused(url: str) -> None:
    with pytest.raises(StudyError, match="cannot be used") as caught:
        Database(url, patience=60.0, grace=60).open()
    assert "s3cret" not in str(caught.value)
    assert "postgresql://<user>" in str(caught.value)


def test_a_missing_driver_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "psycopg", None)
    with pytest.raises(StudyError, match=r"no driver for postgresql\+psycopg"):
        Database("postgresql://engine@127.0.0.1/studies", patience=60.0, grace=60).open()


def test_a_connection_that_breaks_in_a_transaction_costs_no_trial(
    task: StudyTask, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    undisturbed = run_study(task)
    broken = replace(task, database=sqlite(tmp_path, "b"))
    honest, calls = search.objective, 0

    def cut(trial: Any, *rest: Any) -> tuple[float, ...]:
        nonlocal calls
        calls += 1
        if calls in (2, 3):
            raise optuna.exceptions.StorageInternalError("cut")
        return honest(trial, *rest)

    monkeypatch.setattr(search, "objective", cut)
    assert run_study(broken) == undisturbed
    assert calls == TRIALS + 2


def test_one_that_fails_again_and_again_is_given_up(task: StudyTask, monkeypatch: pytest.MonkeyPatch) -> None:
    def cut(*_: Any) -> float:
        raise optuna.exceptions.StorageInternalError("disk full")

    monkeypatch.setattr(search, "objective", cut)
    with pytest.raises(StudyError, match="3 times in a row: disk full"):
        run_study(task)


def test_a_study_of_something_else_is_refused(task: StudyTask) -> None:
    with pytest.raises(StudyError, match="no study of xgboost over 1h is under way"):
        open_study(task, join=True)
    study = open_study(task)
    assert open_study(task, join=True).study_name == study.study_name
    other = replace(task, data=replace(task.data, y=1 - task.data.y))
    with pytest.raises(StudyError, match=r"belongs to other data and params: data .* there, .* here"):
        open_study(other, join=True)
    with pytest.raises(StudyError, match="belongs to other code:"):
        open_study(replace(task, code="newer"), join=True)
    # Under the very name, as after someone has edited the database.
    study.set_user_attr("identity", other.parts)
    with pytest.raises(StudyError, match="belongs to other data and params"):
        run_study(task)
