"""The rows of one series as they stand in the file, and the bars that can be made out of them."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from pipelines.diagnosis.fault import NAT, Floats, Ints, Mask

PRICES = ("open", "high", "low", "close")


@dataclass(frozen=True)
class Rows:
    """Rows of one series in the order of the file.

    Parameters
    ----------
    number
        Position of each row in the file, from 0.
    at
        Stamp in µs since 1970 (UTC), :data:`pipelines.diagnosis.fault.NAT` where it is no time.
    cells
        ``open high low close volume``, and ``quote_volume`` where the file has it; float64, NaN where no number stands.
    """

    number: Ints
    at: Ints
    cells: Mapping[str, Floats]

    def take(self, places: Ints | Mask) -> "Rows":
        """Some of the rows."""
        return Rows(self.number[places], self.at[places], {name: cell[places] for name, cell in self.cells.items()})

    def __len__(self) -> int:
        return len(self.at)


@dataclass(frozen=True)
class Bars:
    """One bar for each stamp, in time order; what the looks at prices and volumes go by.

    Parameters
    ----------
    number, at
        As in :class:`Rows`; ``at`` strictly increasing, on the grid where stamps lie near it.
    steps
        Distance from the bar before in whole bars; 1 for the first.
    length
        Length of a bar in µs.
    cells
        As in :class:`Rows`. High and low are exchanged where they were, so that one fault does not pose as another.
    """

    number: Ints
    at: Ints
    steps: Ints
    length: int
    cells: Mapping[str, Floats]

    def __len__(self) -> int:
        return len(self.at)

    def take(self, places: Ints | Mask) -> "Bars":
        """Some of the bars, their distances counted anew."""
        at = self.at[places]
        return Bars(
            self.number[places],
            at,
            distances(at, self.length),
            self.length,
            {name: cell[places] for name, cell in self.cells.items()},
        )

    def priced(self) -> "Bars":
        """The bars whose four prices are positive numbers."""
        good = np.logical_and.reduce([np.isfinite(self.cells[name]) & (self.cells[name] > 0) for name in PRICES])
        return self if good.all() else self.take(good)


def distances(at: Ints, length: int) -> Ints:
    """Distance of each stamp from the one before in whole bars, at least 1."""
    if not len(at):
        return np.zeros(0, dtype=np.int64)
    steps = np.rint(np.diff(at, prepend=at[0] - length) / length).astype(np.int64)
    return np.maximum(steps, 1)


def on_grid(rows: Rows, written: Ints, meant: Ints) -> Rows:
    """Rows with the places of the grid that their stamps mean; ``written`` is sorted and holds all stamps."""
    if not len(written) or (written == meant).all():
        return rows
    place = np.clip(np.searchsorted(written, rows.at), 0, len(written) - 1)
    return Rows(rows.number, np.where(rows.at == NAT, NAT, meant[place]), rows.cells)


def first_of_each(rows: Rows) -> Rows:
    """Rows with a time in time order, the first one found of each stamp."""
    timed = np.flatnonzero(rows.at != NAT)
    if len(timed) > 1 and not (np.diff(rows.at[timed]) > 0).all():
        timed = timed[np.argsort(rows.at[timed], kind="stable")]
        at = rows.at[timed]
        timed = timed[np.append(True, at[1:] != at[:-1])]
    elif len(timed) == len(rows):
        return rows
    return rows.take(timed)
