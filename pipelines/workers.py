"""The ``map`` that stages are handed: one process, or several with one thread each."""

import ctypes
import multiprocessing
import signal
import sys
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from typing import Any

from pipelines.context import Map
from pipelines.settings import quiet_environment

_PR_SET_PDEATHSIG = 1


def die_with_parent() -> None:
    """Have the kernel end this process when its parent dies (Linux; elsewhere nothing happens)."""
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def _start_worker() -> None:
    die_with_parent()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    quiet_environment()


@contextmanager
def process_map(workers: int) -> Iterator[Map]:
    """A ``map`` over ``workers`` processes; the built-in one for a single worker.

    Results come in the order of the items, whatever the number of workers.
    """
    if workers == 1:
        yield map
        return
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(workers, mp_context=context, initializer=_start_worker) as pool:

        def mapped(function: Callable[[Any], Any], items: Iterable[Any], /) -> Iterator[Any]:
            return pool.map(function, items)

        try:
            yield mapped
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
