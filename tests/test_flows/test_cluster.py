"""A run on Prefect's Dask runner: the tasks of its stages go to the runner's workers, or to a cluster that is there."""

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from flows.cluster import on_cluster, runner_options
from pipelines.cluster import LOCAL, local_cluster
from pipelines.settings import Settings
from pipelines.workers import WorkerError
from tests.test_flows.conftest import Start
from tests.test_flows.miniature import STAGES, retrain
from tests.test_flows.test_retrain import wait_for, wait_gone

distributed = pytest.importorskip("distributed", reason="the extra `dask` is not installed")
pytest.importorskip("prefect_dask", reason="the extra `dask` is not installed")
pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("prefect_address")]

# Appended to a stage: which processes its tasks ran in. A worker finds the function where the stage does.
_TASKS = """
def pid(number):
    time.sleep(0.1)
    return os.getpid()

alone = run

def run(context):
    alone(context)
    Path("pids.txt").write_text(" ".join(map(str, context.map(pid, range(8)))))
    Path("address.txt").write_text(context.settings.dask)
"""


@pytest.fixture
def home_with_tasks(home: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    with (home / "mini" / "two.py").open("a") as stage:
        stage.write(_TASKS)
    # Workers look for code where the process that starts them does; so do the stages, for Dask wherever it is.
    monkeypatch.setattr(sys, "path", [*sys.path, str(home)])
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([os.environ["PYTHONPATH"], *sys.path[1:]]))
    return home


def pids(home: Path) -> set[int]:
    return {int(word) for word in (home / "pids.txt").read_text().split()}


def gone(pid: int) -> bool:
    return not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE


def test_the_runner_starts_workers_and_ends_them(home_with_tasks: Path) -> None:
    settings = Settings(home=home_with_tasks, state=home_with_tasks, workers=2, dask=LOCAL)
    assert retrain(settings).ran == STAGES
    address = (home_with_tasks / "address.txt").read_text()
    assert address.startswith("tcp://127.0.0.1:")
    assert len(pids(home_with_tasks)) == 2
    assert all(gone(pid) for pid in pids(home_with_tasks))
    # What ran on a cluster is as up to date as what did not.
    assert retrain(Settings(home=home_with_tasks, state=home_with_tasks, workers=1)).ran == ()


@pytest.fixture
def theirs(home_with_tasks: Path) -> Iterator[Any]:
    with distributed.LocalCluster(**local_cluster(2)) as cluster:
        yield cluster


def test_runs_of_two_symbols_share_a_cluster_that_outlives_them(
    home_with_tasks: Path, theirs: Any, start: Start
) -> None:
    root = home_with_tasks / "workspaces" / "ETH-USD-1h"
    root.mkdir(parents=True)
    for name in ("mini", "evidence.example"):
        (root / name).symlink_to(home_with_tasks / name)
    # Other bars: runs that make the very same things at the same time would meet in DVC's run cache.
    (home_with_tasks / "data" / "sample" / "other.csv").write_text("bar 2\n")
    address = theirs.scheduler_address
    other = start(ENGINE_DASK=address)
    settings = Settings(home=home_with_tasks, state=home_with_tasks, workers=1, dask=address)
    assert retrain(settings, symbol="ETH/USD", source="data/sample/other.csv").ran == STAGES
    assert other.wait() == 0, other.communicate()[1]
    workers = {worker.process.pid for worker in theirs.workers.values()}
    for folder in (root, home_with_tasks):
        assert (folder / "address.txt").read_text() == address
        assert pids(folder) <= workers
    assert not any(gone(pid) for pid in workers)


def test_a_scheduler_that_is_not_there_is_named(home: Path) -> None:
    import dask

    settings = Settings(home=home, state=home, workers=1, dask="tcp://127.0.0.1:9")
    quickly = dask.config.set({"distributed.comm.timeouts.connect": "500ms"})
    with quickly, pytest.raises(WorkerError, match="no Dask scheduler answers") as caught:
        retrain(settings)
    assert caught.value.where == "tcp://127.0.0.1:9"
    assert not (home / "ran.log").exists()


def test_without_the_extra_the_run_says_so(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "prefect_dask", None)
    with pytest.raises(WorkerError, match="Dask is not installed"):
        runner_options(Settings(home=home, state=home, dask=LOCAL))


def test_without_the_setting_nothing_changes(home: Path) -> None:
    settings = Settings(home=home, state=home)
    assert runner_options(settings) == {}
    assert on_cluster(settings) is settings


def test_workers_do_not_outlive_a_run_that_is_killed(home_with_tasks: Path, start: Start) -> None:
    stage = home_with_tasks / "mini" / "two.py"
    pid_file = f"{home_with_tasks}/hanging{{number}}.pid"
    hanging = f'    Path(f"{pid_file}").write_text(str(os.getpid()))\n    time.sleep(120)\n'
    stage.write_text(stage.read_text().replace("    time.sleep(0.1)\n", hanging))
    process = start(ENGINE_DASK="local", ENGINE_WORKERS="2")
    workers = [wait_for(home_with_tasks / f"hanging{number}.pid", process) for number in range(2)]
    process.kill()
    process.wait()
    for pid in workers:
        wait_gone(pid)
