"""A file's cells as times and numbers, before anything is judged."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from pipelines.diagnosis.cells import Numbers, read_numbers
from pipelines.diagnosis.clock import Clock, read_clock
from pipelines.diagnosis.fault import NAT, Floats, Ints, Mask
from pipelines.diagnosis.rows import PRICES, Rows
from pipelines.diagnosis.source import Source, read_source
from trading.errors import BarError


@dataclass(frozen=True)
class Reading:
    """A file of bars, read.

    Parameters
    ----------
    source
        Table and columns.
    clock
        Its stamps.
    numbers
        Its prices and volumes by canonical name.
    """

    source: Source
    clock: Clock
    numbers: Mapping[str, Numbers]

    def rows(self, at: Ints | None = None) -> Rows:
        """All rows in the order of the file, with other stamps where given."""
        cells: dict[str, Floats] = {name: number.values for name, number in self.numbers.items()}
        if "volume" not in cells:
            cells["volume"] = np.full(len(self.clock.at), np.nan)
        return Rows(np.arange(len(self.clock.at)), self.clock.at if at is None else at, cells)

    def unread(self) -> Mask:
        """Rows in which a number is text that says none."""
        return np.asarray(np.logical_or.reduce([number.unreadable for number in self.numbers.values()]), dtype=np.bool_)

    def raw(self) -> dict[str, pd.Series]:
        """Columns as found, by canonical name."""
        return {name: self.source.frame[self.source.columns[name]] for name in self.numbers}


def read_file(path: Path) -> Reading:
    """Read a file whatever is wrong with its cells.

    Raises
    ------
    BarError
        If it cannot be read at all, or holds no bars.
    """
    return read_cells(read_source(path), path)


def read_cells(source: Source, path: Path) -> Reading:
    """Times and numbers of a table; raises as :func:`read_file`."""
    parsed = source.format.startswith("csv")
    clock = read_clock(source.frame[source.columns["timestamp"]])
    numbers = {
        name: read_numbers(source.frame[own], parsed=parsed)
        for name, own in source.columns.items()
        if name != "timestamp"
    }
    if (clock.at == NAT).all():
        raise BarError(
            f"no stamp of column {source.columns['timestamp']!r} is a time, the first is "
            f"{str(source.frame[source.columns['timestamp']].iloc[0])!r}",
            where=str(path),
            rule="ISO 8601 (2024-01-31 13:00:00+00:00), or an epoch in s, ms, µs or ns",
            remedy="export the time in one of these forms",
        )
    if not np.logical_and.reduce([np.isfinite(numbers[name].values) for name in PRICES]).any():
        raise BarError(
            "no row has an open, a high, a low and a close that are numbers",
            where=str(path),
            rule="a time, open, high, low and close prices, and the volume",
            remedy="look at the columns: perhaps they are named wrongly",
        )
    return Reading(source, clock, numbers)
