"""Two answers of one step, compared cell by cell as far as they were known at a moment."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pipelines.audit.answer import Answer, Array
from pipelines.audit.known import NEVER, Known, Times
from pipelines.audit.worlds import Moment


@dataclass(frozen=True)
class Difference:
    """What differs in one column between two answers, of what was known at a moment; ``column`` None: whole rows.

    Attributes
    ----------
    rows
        Number of rows that differ.
    row, known_at
        The one that was known first, and when.
    before, after
        Its value under the true future and under the other one.
    largest
        Largest difference of numbers; None where something appeared, disappeared, or is no number.
    """

    column: Any
    rows: int
    row: Any
    known_at: int
    before: Any
    after: Any
    largest: float | None


@dataclass
class Tally:
    """How much was compared: cells that hold a value, by column."""

    cells: dict[Any, int] = field(default_factory=dict)

    def add(self, column: Any, count: int) -> None:
        """Count cells of a column."""
        self.cells[column] = self.cells.get(column, 0) + count


def compare(true: Answer, other: Answer, moment: Moment, bar: pd.Timedelta, tally: Tally) -> Iterator[Difference]:
    """Differences between an answer and one under another future, as far as their cells were known at the moment.

    A cell is looked at if either answer claims to know it. A row that only one of them has is a difference of its own
    if it says anything; a column that only one has differs where it says more than blanks and zeros.

    Yields
    ------
    Difference
        One for each column that differs, and then one for the rows that do.
    """
    known = [
        [_known_by(group, moment, bar.as_unit("ns").value) for _, group in answer.groups] for answer in (true, other)
    ]
    rows, places = _lined_up(true, other, known)
    present = [np.ones(len(rows), dtype=bool) if isinstance(at, slice) else at >= 0 for at in places]
    lost: dict[int, int] = {}
    for names, columns, groups in _together(true, other):
        claimed, times = np.zeros(len(rows), dtype=bool), np.full(len(rows), NEVER)
        for side, answer in enumerate((true, other)):
            if (group := groups[side]) is not None:
                claimed |= present[side] & _taken(known[side][group], places[side])
                own = np.where(present[side], _taken(answer.groups[group][1].times, places[side]), NEVER)
                times = np.minimum(times, own)
        cells = [_cells(answer, places[side], columns[side], len(claimed)) for side, answer in enumerate((true, other))]
        if None in groups:
            seen = claimed & present[groups.index(None) - 1]
        else:
            seen = claimed & present[0] & present[1]
            for side in (0, 1):
                alone = np.flatnonzero(claimed & present[side] & ~present[1 - side])
                for row in alone[~np.isnan(cells[side][alone]).all(axis=1)]:
                    lost[int(row)] = min(int(times[row]), lost.get(int(row), NEVER))
        coded = next(a.coded[at] for a, at in zip((true, other), columns, strict=True) if at is not None)
        yield from _differences(names, coded, cells, rows, times, seen, None in groups, tally)
    if lost:
        first = min(lost, key=lambda row: (lost[row], row))
        words = ("there", "missing") if present[0][first] else ("missing", "there")
        yield Difference(None, len(lost), rows[first], lost[first], *words, None)


_Places = slice | NDArray[np.intp]
_Columns = tuple[NDArray[np.intp] | None, NDArray[np.intp] | None]


def _known_by(known: Known, moment: Moment, length: int) -> NDArray[np.bool_]:
    """Rows that the moment's future must not touch."""
    by = known.times <= moment.at
    if not moment.opened:
        # This future replaces whole bars: a row that knows the open of one of them is left out.
        by &= ~known.opened | (known.times <= moment.at - length)
    return by


def _lined_up(
    true: Answer, other: Answer, known: list[list[NDArray[np.bool_]]]
) -> tuple[pd.Index, tuple[_Places, _Places]]:
    """Rows that either answer claims to know, and where they stand in each; -1: nowhere."""
    claimed = [
        np.flatnonzero(np.logical_or.reduce([np.zeros(len(answer.rows), dtype=bool), *masks]))
        for answer, masks in zip((true, other), known, strict=True)
    ]
    rows = [answer.rows[at] for answer, at in zip((true, other), claimed, strict=True)]
    if rows[0].equals(rows[1]):
        return rows[0], (_as_slice(claimed[0]), _as_slice(claimed[1]))
    # In order of time for both, so that the first row to differ is the earliest.
    both = rows[0].union(rows[1], sort=False)
    return both, (true.rows.get_indexer(both), other.rows.get_indexer(both))


def _taken(values: np.ndarray, places: _Places) -> np.ndarray:
    """Values in common rows; those of rows at -1 are any."""
    return values[places] if len(values) else np.zeros(_count(places), dtype=values.dtype)


def _count(places: _Places) -> int:
    return places.stop if isinstance(places, slice) else len(places)


def _as_slice(places: NDArray[np.intp]) -> _Places:
    """The first rows as a slice, which costs no copy."""
    return slice(0, len(places)) if not len(places) or places[-1] == len(places) - 1 else places


def _together(true: Answer, other: Answer) -> Iterator[tuple[list[Any], _Columns, tuple[int | None, int | None]]]:
    """Columns that are known together in both answers, where they stand in each, and their groups; None: not there."""
    where = [_group_of(answer) for answer in (true, other)]
    found: dict[tuple[int | None, int | None], list[Any]] = {}
    for name in dict.fromkeys([*true.columns, *other.columns]):
        key = (where[0].get(name), where[1].get(name))
        found.setdefault(key, []).append(name)
    for groups, names in found.items():
        index = pd.Index(names, tupleize_cols=False)
        places = [
            None if group is None else answer.columns.get_indexer(index)
            for group, answer in zip(groups, (true, other), strict=True)
        ]
        yield names, (places[0], places[1]), groups


def _group_of(answer: Answer) -> dict[Any, int]:
    return {answer.columns[place]: number for number, (places, _) in enumerate(answer.groups) for place in places}


def _cells(answer: Answer, rows: _Places, columns: NDArray[np.intp] | None, count: int) -> Array:
    """Cells of an answer in common rows; blanks where it has none. Rows at -1 hold anything."""
    if columns is None or not len(answer.rows):
        return np.full((count, 1 if columns is None else len(columns)), np.nan)
    whole = len(columns) == len(answer.columns)
    return answer.values[rows] if whole else answer.values[rows][:, columns]


def _differences(
    names: list[Any],
    coded: NDArray[np.bool_],
    cells: list[Array],
    rows: pd.Index,
    times: Times,
    seen: NDArray[np.bool_],
    lacking: bool,
    tally: Tally,
) -> Iterator[Difference]:
    """Differences of some columns in the rows ``seen``."""
    left, right = cells
    blank = np.isnan(left) & np.isnan(right)
    different = (left != right) & ~blank & seen[:, None]
    if lacking:
        different &= ~((np.nan_to_num(left) == 0) & (np.nan_to_num(right) == 0))
    for name, count in zip(names, np.count_nonzero(~blank & seen[:, None], axis=0), strict=True):
        tally.add(name, int(count))
    left, right = (np.broadcast_to(one, different.shape) for one in (left, right))
    for place in np.flatnonzero(different.any(axis=0)):
        at = np.flatnonzero(different[:, place])
        first = at[int(times[at].argmin())]
        with np.errstate(invalid="ignore"):
            size = np.abs(left[at, place] - right[at, place])
        yield Difference(
            names[place],
            len(at),
            rows[first],
            int(times[first]),
            None if coded[place] else float(left[first, place]),
            None if coded[place] else float(right[first, place]),
            None if coded[place] or not np.isfinite(size).all() else float(size.max()),
        )
