"""The ``map`` that stages are handed: one process, or several with one thread each."""

import ctypes
import multiprocessing
import signal
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from typing import Any

from pipelines.context import Map
from pipelines.settings import quiet_environment
from trading.errors import EngineError

# Dask's schedulers give a task up after as many.
ALLOWED_LOSSES = 3
_PR_SET_PDEATHSIG = 1


class WorkerError(EngineError):
    """Workers that cannot be reached, run something else, or die over and over."""


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

    Results come in the order of the items, whatever the number of workers. What a process was doing when it died is
    done again by others.

    Raises
    ------
    WorkerError
        From the ``map``, if processes die more than ``ALLOWED_LOSSES`` times before its last result is there.
    """
    if workers == 1:
        yield map
        return
    processes = _Processes(workers)
    try:
        yield processes.map
    except BaseException:
        processes.pool.shutdown(wait=False, cancel_futures=True)
        raise
    processes.pool.shutdown()


class _Processes:
    """A pool of processes, and another one when one of its processes has died: a pool does not outlive that."""

    def __init__(self, workers: int) -> None:
        self.workers = workers
        self.pool = self._started()

    def map(self, function: Callable[[Any], Any], items: Iterable[Any], /) -> Iterator[Any]:
        """Hand everything out now; the results come as they are asked for."""
        todo = list(items)
        return self._results(function, todo, [self._submitted(function, item) for item in todo])

    def _results(
        self,
        function: Callable[[Any], Any],
        items: Sequence[Any],
        given: list[tuple[ProcessPoolExecutor, "Future[Any]"]],
    ) -> Iterator[Any]:
        losses = 0
        for position in range(len(items)):
            while True:
                pool, future = given[position]
                try:
                    result = future.result()
                    break
                except BrokenProcessPool as error:
                    losses += 1
                    if losses > ALLOWED_LOSSES:
                        raise WorkerError(
                            f"worker processes died {losses} times",
                            where=f"{function.__name__}, at task {position + 1} of {len(items)} or one beside it",
                            rule=f"what a dead process was doing is done again, {ALLOWED_LOSSES} times",
                            remedy="the system's log says what ended them; if memory was short, lower ENGINE_WORKERS",
                        ) from error
                    if pool is self.pool:
                        self.pool = self._started()
                    for later in range(position, len(items)):
                        if _lost(*given[later], self.pool):
                            given[later] = self._submitted(function, items[later])
            yield result

    def _submitted(self, function: Callable[[Any], Any], item: Any) -> tuple[ProcessPoolExecutor, "Future[Any]"]:
        try:
            return self.pool, self.pool.submit(function, item)
        except BrokenProcessPool:
            self.pool = self._started()
            return self.pool, self.pool.submit(function, item)

    def _started(self) -> ProcessPoolExecutor:
        context = multiprocessing.get_context("spawn")
        return ProcessPoolExecutor(self.workers, mp_context=context, initializer=_start_worker)


def _lost(pool: ProcessPoolExecutor, future: "Future[Any]", living: ProcessPoolExecutor) -> bool:
    """Whether nobody will ever finish this; what a broken pool did not answer yet it never will."""
    if pool is living:
        return False
    return not future.done() or isinstance(future.exception(), BrokenProcessPool)
