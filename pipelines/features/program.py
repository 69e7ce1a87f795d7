"""Expressions turned into a list of instructions that the kernels run, and what they remember between two runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipelines.features.expression import HELD, INPUT, Expression
from pipelines.features.kernels import COMOMENTS, LATEST, MOMENTS, PATH, SHAPE, Array, execute

# Rows that are run at once. All series of a piece stay in the processor's cache.
PIECE = 512

_OUTPUTS: Mapping[int, int] = {MOMENTS: 2, SHAPE: 2, COMOMENTS: 2, LATEST: 2, PATH: 4}


@dataclass(frozen=True)
class Program:
    """Instructions in an order in which every input comes before what needs it.

    Attributes
    ----------
    code, params
        As :func:`pipelines.features.kernels.execute` takes them.
    start
        State before the first row.
    places
        Where the value of each wanted expression stands in the rows.
    columns
        Names of the columns that go into the first places.
    held
        Longer bars' values that go into the places after them, those of one length together.
    size
        Number of places.
    """

    code: NDArray[np.int64]
    params: Array
    start: Array
    places: NDArray[np.int64]
    columns: tuple[str, ...]
    held: tuple[Expression, ...]
    size: int

    @classmethod
    def compile(cls, wanted: Sequence[Expression]) -> Program:
        """Order what the wanted expressions need; what several need is there once."""
        needed: dict[str, Expression] = {}
        for expression in wanted:
            _collect(expression, needed)
        columns = sorted({one.column for one in needed.values() if one.opcode == INPUT})
        held = sorted((one for one in needed.values() if one.opcode == HELD), key=lambda one: one.clock)
        place = {one.instruction: columns.index(one.column) for one in needed.values() if one.opcode == INPUT}
        place |= {one.instruction: len(columns) + number for number, one in enumerate(held)}
        size, offset = len(columns) + len(held), 0
        code, params, state = [], [], []
        for one in needed.values():
            if one.opcode in (INPUT, HELD):
                continue
            inputs = [place[given.instruction] + given.output for given in one.inputs]
            inputs += inputs[:1] * (3 - len(inputs))
            code.append([one.opcode, size, *inputs, offset, one.known])
            params.append([*one.params, 0.0, 0.0][:2])
            place[one.instruction] = size
            size += _OUTPUTS.get(one.opcode, 1)
            if one.state is not None:
                state.append(one.state())
                offset += len(state[-1])
        return cls(
            code=np.array(code, dtype=np.int64).reshape(-1, 7),
            params=np.array(params, dtype=np.float64).reshape(-1, 2),
            start=np.concatenate([*state, np.zeros(1)]),
            places=np.array([place[one.instruction] + one.output for one in wanted], dtype=np.int64),
            columns=tuple(columns),
            held=tuple(held),
            size=size,
        )

    def run(self, state: Array, rows: Array, done: int, count: int) -> None:
        """Compute the next rows, from inputs that stand in their places.

        Parameters
        ----------
        state
            What the rows before left behind; changed.
        rows
            Of shape (size, at least count).
        done
            How many rows came before.
        count
            How many come now.
        """
        execute(self.code, self.params, state, rows, done, count)


def _collect(expression: Expression, needed: dict[str, Expression]) -> None:
    # Of equal expressions that wait for inputs of different memory, the one that begins first serves all.
    have = needed.get(expression.instruction)
    if have is not None and have.known <= expression.known:
        return
    if expression.opcode != HELD:
        for one in expression.inputs:
            _collect(one, needed)
    needed[expression.instruction] = expression
