"""The map that stages are handed keeps order, carries errors home, and leaves no orphans."""

import os
import time

import pytest

from pipelines.workers import process_map
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
