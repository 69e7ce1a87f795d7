"""The ``map`` on a Dask cluster: of processes on this machine, or of whoever listens to a scheduler elsewhere.

A cluster runs what it is sent: its scheduler belongs where only friends can reach it, or behind TLS (``tls://``).
"""

import pickle
import time
from collections.abc import Callable, Iterable, Iterator, MutableMapping
from contextlib import ExitStack, contextmanager, suppress
from functools import cache, cached_property
from itertools import islice
from typing import TYPE_CHECKING, Any

from pipelines.context import Map
from pipelines.provenance import code_digest
from pipelines.settings import ROOT, quiet_environment
from pipelines.workers import WorkerError

if TYPE_CHECKING:
    from distributed import Client, Future

LOCAL = "local"
PATIENCE = 60.0
"""Seconds to wait for a scheduler that does not answer, and for a cluster without a worker."""
_PULSE = 5.0
_AHEAD = 2


def local_cluster(workers: int) -> dict[str, Any]:
    """Options of ``distributed.LocalCluster``: processes of one thread, with all memory, on the loopback address."""
    return {
        "n_workers": workers,
        "threads_per_worker": 1,
        "processes": True,
        "memory_limit": 0,
        "dashboard_address": "127.0.0.1:0",
    }


@contextmanager
def dask_map(address: str, workers: int) -> Iterator[Map]:
    """A ``map`` over the workers of a cluster, which it first connects to when it is first called.

    Results come in the order of the items, whatever the workers. No more is sent than keeps the workers busy. A task
    whose worker dies is given to another one, as often as the scheduler allows.

    Parameters
    ----------
    address
        Of a scheduler, such as ``tcp://10.0.0.5:8786``; ``local`` starts a cluster on this machine.
    workers
        Processes of a cluster on this machine.

    Raises
    ------
    WorkerError
        From the ``map``, if no scheduler answers, no worker is there, a worker has several threads or other code, or a
        task costs too many workers.
    """
    with ExitStack() as stack:
        yield _Cluster(address, workers, stack).map


@contextmanager
def reaching(address: str) -> Iterator[None]:
    """Say of what cannot be reached, or is not installed, what it is.

    Raises
    ------
    WorkerError
        Instead of an ImportError or an OSError.
    """
    try:
        yield
    except ImportError as error:
        raise WorkerError(
            f"ENGINE_DASK is {address}, and Dask is not installed",
            where=str(error),
            remedy="install the extra: pip install 'ai-trading-engine[dask]'; or unset ENGINE_DASK",
        ) from error
    except OSError as error:  # what is not answered in time too
        raise WorkerError(
            "no Dask scheduler answers",
            where=address,
            rule=f"within {PATIENCE:.0f} seconds",
            remedy="start one there (dask scheduler), or mend or unset ENGINE_DASK",
        ) from error


class _Cluster:
    """A connection that is made when it is needed, and ends with the stack."""

    def __init__(self, address: str, workers: int, stack: ExitStack) -> None:
        self.address = address
        self.workers = workers
        self.stack = stack
        self.code = code_digest(ROOT)

    @cached_property
    def client(self) -> "Client":
        with reaching(self.address):
            import dask
            from distributed import Client, LocalCluster

            # Tasks bring their data along: what is kept on a worker would die with it.
            self.stack.enter_context(dask.config.set({"distributed.admin.large-graph-warning-threshold": "1 TB"}))
            address = self.address
            if address == LOCAL:
                address = self.stack.enter_context(LocalCluster(**local_cluster(self.workers))).scheduler_address
            return self.stack.enter_context(Client(address, timeout=PATIENCE, set_as_default=False))

    def map(self, function: Callable[[Any], Any], items: Iterable[Any], /) -> Iterator[Any]:
        """Send the first tasks now; more, and the results, follow as they are asked for."""
        numbered = enumerate(items)
        return self._results(function, numbered, self._sent(function, numbered, 0))

    def _sent(
        self, function: Callable[[Any], Any], numbered: Iterator[tuple[int, Any]], running: int
    ) -> dict["Future", int]:
        client = self.client
        with _explained(function, 0, self.address):
            room = max(_AHEAD * sum(client.nthreads().values()), 1) - running
        return {
            # Packed, or the scheduler would unpack it too. Pure tasks would be answered from the results of equal ones.
            client.submit(_call, self.code, pickle.dumps((function, item)), pure=False): number
            for number, item in islice(numbered, max(room, 0))
        }

    def _results(
        self,
        function: Callable[[Any], Any],
        numbered: Iterator[tuple[int, Any]],
        running: MutableMapping["Future", int],
    ) -> Iterator[Any]:
        finished: dict[int, Future] = {}
        wanted = 0
        while running:
            for future in self._done(function, running):
                finished[running.pop(future)] = future
            running.update(self._sent(function, numbered, len(running)))
            while wanted in finished:
                with _explained(function, wanted, self.address):
                    result = finished.pop(wanted).result()
                yield result
                wanted += 1

    def _done(self, function: Callable[[Any], Any], running: MutableMapping["Future", int]) -> list["Future"]:
        """Tasks that have ended, as soon as there are some."""
        from distributed import wait

        seen = time.monotonic()
        with self.client.as_current(), _explained(function, min(running.values()), self.address):
            while True:
                with suppress(TimeoutError):
                    return list(wait(list(running), timeout=_PULSE, return_when="FIRST_COMPLETED").done)
                if self.client.nthreads():
                    seen = time.monotonic()
                elif time.monotonic() - seen > PATIENCE:
                    raise WorkerError(
                        "the Dask cluster has no worker",
                        where=self.address,
                        rule=f"one joins within {PATIENCE:.0f} seconds",
                        remedy="start one: dask worker ADDRESS --nthreads 1",
                    )


@contextmanager
def _explained(function: Callable[[Any], Any], number: int, address: str) -> Iterator[None]:
    """Say which task it was that the cluster could not finish."""
    from concurrent.futures import CancelledError

    from distributed import KilledWorker
    from distributed.comm import CommClosedError

    task = f"{function.__name__}, task {number + 1}"
    try:
        yield
    except KilledWorker as error:
        raise WorkerError(
            f"{task} cost {error.allowed_failures + 1} workers their life",
            where=f"last {error.last_worker.address}",
            rule=f"a task whose worker dies is given to another, {error.allowed_failures} times",
            remedy="the workers' logs say what ended them; if memory was short, start fewer a machine",
        ) from error
    except (CancelledError, CommClosedError) as error:
        raise WorkerError(
            "the Dask scheduler was lost",
            where=f"{address}, at {task}",
            rule="the scheduler outlives the run",
            remedy="start it again, then the run, which begins with this stage",
        ) from error


def _call(code: str, packed: bytes) -> Any:
    """On a worker: run a task, if it comes to the same there."""
    from distributed import get_worker

    quiet_environment()
    worker = get_worker()
    if worker.state.nthreads != 1:
        raise WorkerError(
            f"a Dask worker has {worker.state.nthreads} threads",
            where=worker.address,
            rule="one a process: what is seeded in a thread would be drawn from in another",
            remedy="start it with --nthreads 1 (and --nworkers for more)",
        )
    if _own_code() != code:
        raise WorkerError(
            "a Dask worker runs other code",
            where=f"{ROOT} at {worker.address}",
            rule="trading/, models/ and pipelines/ are those of the run",
            remedy="bring it to the same commit and start the worker again",
        )
    function, item = pickle.loads(packed)
    return function(item)


@cache
def _own_code() -> str:
    """Digest of the code as it was when this worker first ran some of it."""
    return code_digest(ROOT)
