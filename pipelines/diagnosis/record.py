"""A diagnosis, and what a mended copy is made from."""

from dataclasses import dataclass
from typing import Any

from pipelines.diagnosis.fault import Fault, Ints
from pipelines.diagnosis.reading import Reading


@dataclass(frozen=True)
class Mending:
    """What the looks found out that a mended copy is made from.

    Parameters
    ----------
    reading
        The cells.
    at
        Stamps of all rows (µs since 1970, UTC).
    series
        Positions of the rows of each series.
    moved
        Stamps as read and the opens that they mean, sorted, where the grid tells.
    unfinished
        Positions of last bars that had not closed.
    leaking
        Columns that hold what comes later.
    """

    reading: Reading
    at: Ints
    series: tuple[Ints, ...]
    moved: tuple[Ints, Ints]
    unfinished: tuple[int, ...]
    leaking: tuple[str, ...]


@dataclass(frozen=True)
class Diagnosis:
    """What is wrong with a file.

    Parameters
    ----------
    file
        Its path as given.
    rows
        Rows in it.
    faults
        At most one of each kind, in the order of :data:`pipelines.diagnosis.fault.KINDS`.
    notes
        What is worth knowing and stops nobody.
    mending
        What :mod:`pipelines.diagnosis.mend` needs; ``None`` for a table with one row for each price.
    """

    file: str
    rows: int
    faults: tuple[Fault, ...]
    notes: tuple[str, ...]
    mending: Mending | None = None

    def as_object(self) -> dict[str, Any]:
        """The diagnosis as JSON has it."""
        return {
            "file": self.file,
            "rows": self.rows,
            "faults": [fault.as_object() for fault in self.faults],
            "notes": list(self.notes),
        }
