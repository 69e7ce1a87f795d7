"""What every stage is handed: params, the identity of the run, files, workers, and a way to say how far it is."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol

from pipelines.artifacts import Artifacts
from pipelines.params import Params, RunIdentity
from pipelines.settings import Settings


class Map(Protocol):
    """``map`` over pure functions, in order; in this process, in worker processes or on a cluster."""

    def __call__(self, function: Callable[[Any], Any], items: Iterable[Any], /) -> Iterator[Any]:
        """Yield the result of each item, in the order of the items."""


class Progress(Protocol):
    """Told after each finished piece of work."""

    def __call__(self, done: int, total: int, note: str) -> None:
        """Say that ``done`` of ``total`` pieces are finished, and what is being done."""


def silent(done: int, total: int, note: str) -> None:
    """Progress for callers who do not watch."""


def utc_now() -> datetime:
    """The wall clock, in UTC."""
    return datetime.now(UTC)


@dataclass(frozen=True)
class Context:
    """Everything a stage may use besides its own code."""

    params: Params
    run: RunIdentity
    files: Artifacts
    settings: Settings
    map: Map = map
    progress: Progress = silent
    clock: Callable[[], datetime] = utc_now

    def checkpoints(self, stage: str) -> Path:
        """Folder in which a stage's long fits keep what a killed run goes on from; the stage removes it at its end.

        It lies beside what DVC knows: an output of a stage is removed before the stage runs again.
        """
        return self.files.path(f"state/checkpoints/{stage}")
