"""The walk-forward and the combinatorial splits come to the same bits on any number of any workers."""

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil
import pytest

from pipelines.cluster import dask_map, local_cluster
from pipelines.context import Context, Map
from pipelines.params import overlay
from pipelines.workers import process_map
from tests.workspace import make_context, run_stages, with_registry

pytestmark = pytest.mark.slow
CHANGES = {
    "labels": {"horizons": ["1h"]},
    "models": {"random_forest": {"crosses": 0}, "lstm": {"crosses": 0}},
    "importance": {"rows": 50, "repeats": 1, "resamples": 20},
    "backtest": {"refits": "30d", "train_window": "40d", "combinatorial": {"groups": 3, "test_groups": 2}},
}


@pytest.fixture(scope="module")
def prepared(raw_params: dict[str, Any], source_file: Path, tmp_path_factory: pytest.TempPathFactory) -> Context:
    """A workspace that has come as far as tuning, which found nothing better."""
    raw = overlay(raw_params, CHANGES)
    raw["models"] = raw["models"] | {"voting": {"random_forest": 1.0, "lstm": 1.0}}
    context = make_context(with_registry(tmp_path_factory.mktemp("workers")), raw, source_file)
    run_stages(context, ["ingest", "validate", "features", "labels"])
    context.files.write_json("data/tune/best.json", {"1h": [{}]})
    return context


def made(context: Context, mapped: Map) -> dict[str, bytes]:
    """What the backtest makes, by file."""
    run_stages(replace(context, map=mapped), ["backtest"])
    folder = context.files.path("data/backtest")
    files = sorted(file for file in folder.rglob("*") if file.is_file())
    return {file.relative_to(folder).as_posix(): file.read_bytes() for file in files}


@pytest.fixture(scope="module")
def alone(prepared: Context) -> dict[str, bytes]:
    """What this process makes by itself."""
    return made(prepared, map)


def test_paths_and_folds_are_as_they_were_asked_for(prepared: Context, alone: dict[str, bytes]) -> None:
    assert "1h/metrics.json" in alone
    found = prepared.files.read_json("data/backtest/1h/metrics.json")
    assert len(found["combinatorial"]["paths"]) == 2
    assert found["combinatorial"]["splits"] == 3
    assert {fold["train_rows"] for fold in found["folds"]} == {40 * 24}
    assert max(fold["test_rows"] for fold in found["folds"]) <= 30 * 24


def test_two_processes_make_the_same_bits(prepared: Context, alone: dict[str, bytes]) -> None:
    with process_map(2) as mapped:
        assert_same(made(prepared, mapped), alone)


@contextmanager
def assassin(cluster: Any) -> Iterator[list[int]]:
    """Kill the first worker process that is at work, once."""
    killed: list[int] = []
    over = threading.Event()

    def watch() -> None:
        while not over.wait(0.05):
            for worker in cluster.workers.values():
                pid = worker.process.pid if worker.process else None
                if pid and psutil.pid_exists(pid) and psutil.Process(pid).cpu_times().user > 3:
                    os.kill(pid, signal.SIGKILL)
                    killed.append(pid)
                    return

    watching = threading.Thread(target=watch)
    watching.start()
    try:
        yield killed
    finally:
        over.set()
        watching.join()


def test_a_dask_cluster_that_loses_a_worker_makes_the_same_bits(prepared: Context, alone: dict[str, bytes]) -> None:
    distributed = pytest.importorskip("distributed", reason="the extra `dask` is not installed")
    with ExitStack() as stack:
        cluster = stack.enter_context(distributed.LocalCluster(**local_cluster(2)))
        mapped = stack.enter_context(dask_map(cluster.scheduler_address, 1))
        killed = stack.enter_context(assassin(cluster))
        found = made(prepared, mapped)
    assert len(killed) == 1
    assert_same(found, alone)


def assert_same(found: dict[str, bytes], expected: dict[str, bytes]) -> None:
    assert list(found) == list(expected)
    assert [name for name in expected if found[name] != expected[name]] == []
