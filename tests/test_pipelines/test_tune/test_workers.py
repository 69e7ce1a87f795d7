"""Several workers fill the places of one study, and one of them is killed."""

import multiprocessing
import os
import signal
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import optuna
import pandas as pd
import psutil
import pytest

from pipelines.settings import Settings
from pipelines.tracking import Tracker, Trial
from pipelines.tune import search
from pipelines.tune.database import Database
from pipelines.tune.places import decided, places
from pipelines.tune.search import run_study, work
from pipelines.tune.study import StudyTask
from pipelines.tune.worker import WORKER, is_gone, this_worker
from tests.studies import TRIALS, Server, opened, sqlite, study_task, work_and_tell
from tests.workspace import with_registry

SPAWN = multiprocessing.get_context("spawn")


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Database:
    """Both kinds."""
    if request.param == "sqlite":
        return sqlite(tmp_path)
    server: Server = request.getfixturevalue("server")
    return Database(server.url, patience=20.0, grace=30)


def test_a_killed_worker_costs_no_trial_and_adds_none(
    database: Database, raw_params: dict[str, Any], sample_bars: pd.DataFrame, tmp_path: Path
) -> None:
    task = study_task(raw_params, sample_bars, database)
    opened(task)
    begun: Any = SPAWN.Queue()
    others: Any = SPAWN.Queue()
    # The first hangs in its second trial, the other one works on beside it.
    victim = SPAWN.Process(target=work_and_tell, args=(task, begun, 2, 0.0), daemon=True)
    victim.start()
    numbers = [begun.get(timeout=60), begun.get(timeout=60)]
    other = SPAWN.Process(target=work_and_tell, args=(task, others, None, 0.1), daemon=True)
    other.start()
    study = opened(task)
    while len(decided(study.get_trials(deepcopy=False), TRIALS)) < 3:
        assert other.is_alive()
        time.sleep(0.1)
    hung = study.trials[numbers[1]]
    assert hung.state.name == "RUNNING", "a live worker's trial was touched"
    os.kill(victim.pid, signal.SIGKILL)
    victim.join()
    result = run_study(task)
    other.join(timeout=60)
    assert other.exitcode == 0

    trials = study.trials
    ends = [trial for trial in trials if trial.state.name in ("COMPLETE", "PRUNED")]
    by_place = Counter(place for place, trial in zip(places(trials), trials, strict=True) if trial in ends)
    assert by_place == dict.fromkeys(range(TRIALS), 1)
    assert len(result.trials) == TRIALS
    assert trials[hung.number].state.name == "FAIL"
    again = [t for p, t in zip(places(trials), trials, strict=True) if p == places(trials)[hung.number] and t in ends]
    assert [trial.params for trial in again] == [hung.params] if hung.params else len(again) == 1
    # Nobody else's trial was failed, but for those that were not needed.
    failed = [t for t in trials if t.state.name == "FAIL" and t.number != hung.number]
    assert all("metrics" not in trial.user_attrs and not trial.params for trial in failed)

    tracker = Tracker(Settings(state=with_registry(tmp_path)), task.instrument)
    for _ in range(2):
        tracker.log_study("1h", "xgboost", result.study_hash, [Trial(**trial) for trial in result.trials])
    assert sorted(one.trial_hash for one in tracker.ledger("1h")) == sorted({t["trial_hash"] for t in result.trials})
    assert len(tracker.ledger("1h")) == TRIALS


def test_a_server_that_is_restarted_loses_no_trial(
    server: Server, task: StudyTask, raw_params: dict[str, Any], sample_bars: pd.DataFrame
) -> None:
    # Another number of splits is another study than that of the other test.
    undisturbed = run_study(_with_splits(task, 3))
    restarted = _with_splits(replace(task, database=Database(server.url, patience=30.0, grace=60)), 3)
    opened(restarted)
    begun: Any = SPAWN.Queue()
    worker = SPAWN.Process(target=work_and_tell, args=(restarted, begun, None, 0.3), daemon=True)
    worker.start()
    for _ in range(3):
        begun.get(timeout=60)
    server.stop()
    # In the middle of the pause, then of what follows it: it asks for an answer and there is none.
    worker.join(timeout=1.5)
    assert worker.is_alive()
    server.start()
    worker.join(timeout=60)
    assert worker.exitcode == 0
    study = opened(restarted)
    assert [trial.state.name for trial in study.trials if trial.state.name == "FAIL"] == []
    assert run_study(restarted) == undisturbed


def test_the_silent_worker_of_another_machine_is_failed_and_the_other_is_not(task: StudyTask) -> None:
    study = opened(task)
    silent, alive = (_claimed_elsewhere(study) for _ in range(2))
    heartbeat: Any = study._storage
    heartbeat.record_heartbeat(silent._trial_id)
    stop = _beat(heartbeat, alive._trial_id)
    try:
        # It takes what there is to take, and the silent one's place once its grace is over.
        deadline = _later(30)
        while len(decided(study.trials, TRIALS)) < TRIALS - 1 and not deadline():
            work(study, task, wait=False)
    finally:
        stop()
    trials = study.trials
    assert [trials[one.number].state.name for one in (silent, alive)] == ["FAIL", "RUNNING"]
    assert sorted(decided(trials, TRIALS)) == [place for place in range(TRIALS) if place != alive.number]


def test_who_was_taken_for_dead_goes_on_with_what_is_left(task: StudyTask, monkeypatch: pytest.MonkeyPatch) -> None:
    honest, robbed = search.objective, []

    def overtaken(trial: Any, *rest: Any) -> tuple[float, ...]:
        if not robbed:
            robbed.append(trial.number)
            opened(task).tell(trial.number, state=optuna.trial.TrialState.FAIL)
        return honest(trial, *rest)

    monkeypatch.setattr(search, "objective", overtaken)
    result = run_study(task)
    assert robbed == [0]
    assert len(result.trials) == TRIALS


def test_a_mistake_in_the_objective_is_no_overtaking(task: StudyTask, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: Any) -> float:
        raise ValueError("a bug")

    monkeypatch.setattr(search, "objective", broken)
    with pytest.raises(ValueError, match="a bug"):
        run_study(task)


def test_a_process_is_known_by_its_start() -> None:
    mine = this_worker()
    machine, number, start = mine.rsplit(" ", 2)
    assert machine.startswith(socket.gethostname())
    assert not is_gone(mine)
    assert is_gone(f"{machine} {number} {float(start) - 60:.2f}"), "the number was given to another process"
    free = next(pid for pid in range(2**21, 2**22) if not psutil.pid_exists(pid))
    assert is_gone(f"{machine} {free} {start}")
    assert not is_gone(f"elsewhere 0 {free} {start}")


def _with_splits(task: StudyTask, splits: int) -> StudyTask:
    params = task.params.model_copy(update={"tune": task.params.tune.model_copy(update={"splits": splits})})
    return replace(task, params=params)


def _claimed_elsewhere(study: optuna.Study) -> optuna.Trial:
    trial = study.ask()
    trial.set_user_attr(WORKER, "elsewhere 0 1 1.00")
    return trial


def _later(seconds: float) -> Callable[[], bool]:
    end = time.monotonic() + seconds
    return lambda: time.monotonic() > end


def _beat(storage: Any, trial_id: int) -> Callable[[], None]:
    over = threading.Event()

    def beat() -> None:
        while not over.wait(0.3):
            storage.record_heartbeat(trial_id)

    thread = threading.Thread(target=beat)
    thread.start()

    def stop() -> None:
        over.set()
        thread.join()

    return stop
