"""The map that stages are handed keeps order, carries errors home, and leaves no orphans."""

import os
import signal
import time
from pathlib import Path

import numpy as np
import pytest

from pipelines.workers import ALLOWED_LOSSES, WorkerError, process_map
from trading.errors import BarError


def square(x: int) -> int:
    time.sleep(0.05 * (x % 2))
    return x * x


def where(_: int) -> int:
    return os.getpid()


def fail(x: int) -> int:
    raise BarError(f"bar {x}", where="row 3", rule="r", remedy="m")


@pytest.mark.parametrize("workers", [1, 2])
def test_results_come_in_the_order_of_the_items(workers: int) -> None:
    with process_map(workers) as mapped:
        assert list(mapped(square, range(6))) == [0, 1, 4, 9, 16, 25]


def test_one_worker_is_this_process_and_two_are_not() -> None:
    with process_map(1) as mapped:
        assert set(mapped(where, range(3))) == {os.getpid()}
    with process_map(2) as mapped:
        assert os.getpid() not in set(mapped(where, range(3)))


@pytest.mark.parametrize("workers", [1, 2])
def test_a_users_error_crosses_the_process_with_all_it_says(workers: int) -> None:
    with pytest.raises(BarError) as caught, process_map(workers) as mapped:
        list(mapped(fail, [7]))
    error = caught.value
    assert (error.what, error.where, error.rule, error.remedy) == ("bar 7", "row 3", "r", "m")
    assert str(error).splitlines() == ["bar 7", "  where: row 3", "  rule: r", "  what to do: m"]


def once_deadly(item: tuple[Path, int, np.ndarray]) -> float:
    """Kills its process the first time that it is asked for task 1."""
    folder, number, data = item
    with (folder / f"{number}").open("a") as log:
        log.write("begun\n")
    if number == 1 and len((folder / "1").read_text().splitlines()) == 1:
        time.sleep(0.2)
        os.kill(os.getpid(), signal.SIGKILL)
    time.sleep(0.1)
    return float(data.sum()) + number


def deadly(x: int) -> int:
    os.kill(os.getpid(), signal.SIGKILL)
    return x


def test_a_killed_process_costs_a_retry_of_what_was_not_finished(tmp_path: Path) -> None:
    # More data than a pipe holds, so that the pool dies in the middle of handing it out.
    items = [(tmp_path, number, np.full(200_000, 0.5)) for number in range(8)]
    with process_map(2) as mapped:
        first, second = mapped(once_deadly, items), mapped(square, range(6))
        assert list(first) == [100_000.0 + number for number in range(8)]
        # Another map over the same processes lost its tasks too.
        assert list(second) == [0, 1, 4, 9, 16, 25]
        assert list(mapped(square, [])) == []
    assert (tmp_path / "1").read_text() == "begun\n" * 2


def test_a_map_that_comes_after_a_death_has_processes_too(tmp_path: Path) -> None:
    with process_map(2) as mapped:
        first = mapped(once_deadly, [(tmp_path, number, np.ones(2)) for number in range(3)])
        until = time.monotonic() + 60
        while not (tmp_path / "1").exists():
            assert time.monotonic() < until
            time.sleep(0.05)
        time.sleep(1.0)  # the process is dead by now, and the pool knows
        assert list(mapped(square, range(3))) == [0, 1, 4]
        assert list(first) == [2.0, 3.0, 4.0]


def test_a_task_that_ends_every_process_is_named() -> None:
    often = f"worker processes died {ALLOWED_LOSSES + 1} times"
    with pytest.raises(WorkerError, match=often) as caught, process_map(2) as mapped:
        list(mapped(deadly, [3]))
    assert caught.value.where.startswith("deadly, at task 1 of 1")
