"""Programs under way: the base bars', and one for each length of longer bars behind them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import groupby

import numpy as np
import pandas as pd

from pipelines.features.kernels import Array
from pipelines.features.longer_bars import START, complete
from pipelines.features.program import PIECE, Program
from trading.bars import COLUMNS
from trading.instrument import duration

# What a longer bar has, in the order in which `complete` writes it; and what the clock adds to the columns of bars.
_LONGER = (*COLUMNS, "known_at")
_CLOCK = ("known_at", "place")


class Execution:
    """Takes bars in order, as many at once as one likes, and gives the wanted values at the close of each.

    Everything it remembers is in :attr:`memory`; how the bars were cut into pieces leaves no trace.

    Parameters
    ----------
    program
        Of the base bars.
    bar
        Their length.
    columns
        Names of what the bars have, beginning with open, high, low, close and volume.
    """

    def __init__(self, program: Program, bar: pd.Timedelta, columns: Sequence[str] = COLUMNS) -> None:
        self._base = _Clock(program, [*columns, *_CLOCK])
        self._bar = bar.total_seconds()
        self._longer = []
        first = len(program.columns)
        for name, group in groupby(program.held, key=lambda one: one.clock):
            wanted = [one.inputs[0] for one in group]
            held = slice(first, first + len(wanted))
            self._longer.append(_LongerClock(Program.compile(wanted), duration(name).total_seconds(), held))
            first = held.stop

    @property
    def done(self) -> int:
        """Number of bars taken."""
        return self._base.done

    @property
    def memory(self) -> dict[str, Array]:
        """All that is remembered; a copy."""
        found = {"base": self._base.state, "done": np.array([float(self._base.done)])}
        for number, clock in enumerate(self._longer):
            found |= {f"{number}.{name}": values for name, values in clock.memory.items()}
        return {name: values.copy() for name, values in found.items()}

    def restore(self, memory: Mapping[str, Array]) -> None:
        """Go on from what :attr:`memory` was."""
        self._base.state[:] = memory["base"]
        self._base.done = int(memory["done"][0])
        for number, clock in enumerate(self._longer):
            clock.restore({name: memory[f"{number}.{name}"] for name in clock.memory})

    def advance(self, opened: Array, values: Array) -> Array:
        """Values at the next bars.

        Parameters
        ----------
        opened
            Stamps of n bars, seconds since 1970.
        values
            What the bars have: one row for each column, n values each.

        Returns
        -------
        ndarray
            One row for each wanted expression, n values each. Before a warm-up has passed they mean nothing.
        """
        if len(opened) <= PIECE:
            return self._piece(opened, values)
        out = np.empty((len(self._base.program.places), len(opened)))
        for begin in range(0, len(opened), PIECE):
            piece = slice(begin, begin + PIECE)
            out[:, piece] = self._piece(opened[piece], values[:, piece])
        return out

    def _piece(self, opened: Array, values: Array) -> Array:
        base, count = self._base, len(opened)
        rows = base.room(count)
        for clock in self._longer:
            rows[clock.held, :count] = clock.follow(opened, values, self._bar)
        given = np.empty((len(values) + len(_CLOCK), count))
        given[: len(values)] = values
        np.add(opened, self._bar, out=given[-2])
        np.divide(opened, self._bar, out=given[-1])
        return base.run(given)


class _Clock:
    """A program, what it remembers, and room for its rows."""

    def __init__(self, program: Program, columns: Sequence[str]) -> None:
        self.program = program
        self.state = program.start.copy()
        # Finite everywhere: what a kernel has not written yet is never read, but would be copied.
        self._many = np.zeros((program.size, PIECE + 1))
        # One row in a room of its own: in the large one its values would lie a page apart from each other.
        self._one = np.zeros((program.size, 1))
        self.done = 0
        self._given = np.array([columns.index(name) for name in program.columns], dtype=np.intp)

    def room(self, count: int) -> Array:
        """Where the next rows are computed."""
        return self._one if count == 1 else self._many

    def run(self, given: Array) -> Array:
        """Values at the next rows, from all columns of them."""
        count = given.shape[1]
        rows = self.room(count)
        rows[: len(self._given), :count] = given[self._given]
        self.program.run(self.state, rows, self.done, count)
        self.done += count
        wanted: Array = rows[self.program.places, :count]
        return wanted


class _LongerClock(_Clock):
    """Longer bars behind the base bars, and the values they hold."""

    def __init__(self, program: Program, length: float, held: slice) -> None:
        super().__init__(program, _LONGER)
        self.held = held
        self._length = length
        self._under_way = START.copy()
        self._last = np.zeros((held.stop - held.start, 1))
        self._out = np.empty((len(_LONGER), PIECE + 1))
        self._seen = np.empty(PIECE, dtype=np.int64)

    @property
    def memory(self) -> dict[str, Array]:
        return {"state": self.state, "bar": self._under_way, "last": self._last, "done": np.array([float(self.done)])}

    def restore(self, memory: Mapping[str, Array]) -> None:
        self.state[:], self._under_way[:], self._last[:] = memory["state"], memory["bar"], memory["last"]
        self.done = int(memory["done"][0])

    def follow(self, opened: Array, values: Array, bar: float) -> Array:
        """Values that hold at each of the base bars' closes: shape (held, n), or (held, 1) where nothing changed."""
        count = complete(opened, values, bar, self._length, self._under_way, self._out, self._seen)
        if not count:
            return self._last
        found = np.hstack([self._last, self.run(self._out[:, :count])])
        self._last = found[:, -1:].copy()
        held: Array = found[:, self._seen[: len(opened)]]
        return held
