"""The map on a Dask cluster keeps order and errors, survives its workers, and refuses those that are not like us."""

import os
import signal
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import psutil
import pytest

from pipelines import cluster
from pipelines.cluster import LOCAL, dask_map, local_cluster
from pipelines.runner import worker_map
from pipelines.settings import Settings
from pipelines.workers import WorkerError
from tests.test_pipelines.test_workers import deadly, fail, square, where
from trading.errors import BarError

distributed = pytest.importorskip("distributed", reason="the extra `dask` is not installed")


@pytest.fixture(scope="module")
def two() -> Iterator[Any]:
    """Two worker processes that live as long as the tests here."""
    with distributed.LocalCluster(**local_cluster(2)) as found:
        yield found


def threads(_: int) -> dict[str, str | None]:
    return {name: os.environ.get(name) for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "TF_ENABLE_ONEDNN_OPTS")}


def slow(item: tuple[Path, int]) -> int:
    """Says which process is at it, and takes its time."""
    folder, number = item
    with (folder / f"{number}").open("a") as log:
        log.write(f"{os.getpid()}\n")
    time.sleep(0.4)
    return number * number


def begun(folder: Path, number: int, patience: float = 30.0) -> list[int]:
    """Processes that began with a task."""
    until = time.monotonic() + patience
    while time.monotonic() < until:
        if (folder / f"{number}").exists() and (text := (folder / f"{number}").read_text()):
            return [int(line) for line in text.splitlines()]
        time.sleep(0.02)
    pytest.fail(f"task {number} did not begin")


def test_results_come_in_order_from_processes_of_one_thread(two: Any) -> None:
    with dask_map(two.scheduler_address, 1) as mapped:
        assert list(mapped(square, range(12))) == [x * x for x in range(12)]
        assert list(mapped(square, [])) == []
        pids = set(mapped(where, range(8)))
        assert len(pids) == 2
        assert os.getpid() not in pids
        said = {name for found in mapped(threads, range(2)) for name in found.items()}
        assert said == {("OMP_NUM_THREADS", "1"), ("OPENBLAS_NUM_THREADS", "1"), ("TF_ENABLE_ONEDNN_OPTS", "0")}


def test_two_maps_at_once_share_the_workers(two: Any, tmp_path: Path) -> None:
    with dask_map(two.scheduler_address, 1) as mapped:
        first, second = mapped(square, range(5)), mapped(slow, [(tmp_path, number) for number in range(2)])
        assert begun(tmp_path, 0)  # nobody has asked for a result yet
        assert list(second) == [0, 1]
        assert list(first) == [0, 1, 4, 9, 16]


def test_no_more_is_sent_than_keeps_the_workers_busy(two: Any) -> None:
    taken = []

    def items() -> Iterator[int]:
        for number in range(20):
            taken.append(number)
            yield number

    with dask_map(two.scheduler_address, 1) as mapped:
        results = mapped(square, items())
        assert len(taken) == 4
        assert next(results) == 0
        assert len(taken) < 12
        assert list(results) == [x * x for x in range(1, 20)]


def test_a_task_that_takes_its_time_is_waited_for(two: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with dask_map(two.scheduler_address, 1) as mapped:
        results = mapped(slow, [(tmp_path, 3)])
        monkeypatch.setattr(cluster, "_PULSE", 0.1)
        monkeypatch.setattr(cluster, "PATIENCE", 0.2)
        assert list(results) == [9]


def test_a_users_error_comes_home_with_all_it_says(two: Any) -> None:
    with pytest.raises(BarError) as caught, dask_map(two.scheduler_address, 1) as mapped:
        list(mapped(fail, [7]))
    error = caught.value
    assert (error.what, error.where, error.rule, error.remedy) == ("bar 7", "row 3", "r", "m")


def test_a_worker_killed_in_mid_task_costs_a_retry(two: Any, tmp_path: Path) -> None:
    with dask_map(two.scheduler_address, 1) as mapped:
        results = mapped(slow, [(tmp_path, number) for number in range(6)])
        victim = begun(tmp_path, 0)[0]
        os.kill(victim, signal.SIGKILL)
        assert list(results) == [0, 1, 4, 9, 16, 25]
    again = begun(tmp_path, 0)
    assert len(again) == 2
    assert again[1] != victim
    assert not psutil.pid_exists(victim) or psutil.Process(victim).status() == psutil.STATUS_ZOMBIE


def test_a_task_that_kills_every_worker_is_named(two: Any) -> None:
    with dask_map(two.scheduler_address, 1) as mapped:
        with pytest.raises(WorkerError, match="deadly, task 1 cost 4 workers their life") as caught:
            list(mapped(deadly, [3]))
        assert "3 times" in caught.value.rule
        # The cluster is as good as new.
        assert list(mapped(square, range(3))) == [0, 1, 4]


def test_a_cluster_of_its_own_ends_with_the_block() -> None:
    with worker_map(Settings(dask=LOCAL, workers=2)) as mapped:
        pids = set(mapped(where, range(8)))
    assert len(pids) == 2
    for pid in pids:
        assert not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE


def test_a_worker_of_several_threads_is_refused() -> None:
    with ExitStack() as stack:
        options = local_cluster(1) | {"threads_per_worker": 2, "processes": False}
        many = stack.enter_context(distributed.LocalCluster(**options))
        mapped = stack.enter_context(dask_map(many.scheduler_address, 1))
        with pytest.raises(WorkerError, match="has 2 threads") as caught:
            list(mapped(square, [1]))
    assert "--nthreads 1" in caught.value.remedy


def test_a_worker_of_other_code_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    with ExitStack() as stack:
        here = stack.enter_context(distributed.LocalCluster(**local_cluster(1) | {"processes": False}))
        mapped = stack.enter_context(dask_map(here.scheduler_address, 1))
        assert list(mapped(square, [3])) == [9]
        # The worker knows what it runs since its first task.
        monkeypatch.setattr(cluster, "code_digest", lambda home: "edited")
        edited = stack.enter_context(dask_map(here.scheduler_address, 1))
        with pytest.raises(WorkerError, match="runs other code"):
            list(edited(square, [1]))


def test_who_does_not_answer_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cluster, "PATIENCE", 0.5)
    with pytest.raises(WorkerError, match="no Dask scheduler answers") as caught, dask_map("tcp://127.0.0.1:9", 1) as m:
        m(square, [1])
    assert caught.value.where == "tcp://127.0.0.1:9"


def test_a_cluster_without_workers_is_not_waited_for_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    with ExitStack() as stack:
        empty = stack.enter_context(distributed.LocalCluster(**local_cluster(0)))
        mapped = stack.enter_context(dask_map(empty.scheduler_address, 1))
        results = mapped(square, [1])
        monkeypatch.setattr(cluster, "_PULSE", 0.1)
        monkeypatch.setattr(cluster, "PATIENCE", 0.2)
        with pytest.raises(WorkerError, match="no worker"):
            list(results)


def test_a_scheduler_that_ends_takes_the_run_with_it(tmp_path: Path) -> None:
    with ExitStack() as stack:
        ending = stack.enter_context(distributed.LocalCluster(**local_cluster(1)))
        mapped = stack.enter_context(dask_map(ending.scheduler_address, 1))
        results = mapped(slow, [(tmp_path, number) for number in range(3)])
        assert begun(tmp_path, 0)
        ending.close()
        with pytest.raises(WorkerError, match="the Dask scheduler was lost"):
            list(results)


def test_without_dask_the_remedy_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "dask", None)
    with pytest.raises(WorkerError, match="Dask is not installed"), dask_map("tcp://127.0.0.1:9", 1) as mapped:
        mapped(square, [1])


@pytest.mark.parametrize("address", ["localhost", "http://there:8786", "tcp://there"])
def test_an_address_names_its_protocol_and_port(address: str) -> None:
    with pytest.raises(ValueError, match="dask"):
        Settings(dask=address)
    assert Settings(dask="tls://there:8786").dask == "tls://there:8786"
