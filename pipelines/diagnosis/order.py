"""Rows out of time order, and several rows for one stamp."""

import numpy as np

from pipelines.diagnosis.fault import NAT, Fault, Mask, found_rows, number_text, spoken, stamp
from pipelines.diagnosis.rows import Rows

# Two exports of one bar agree if they differ by less: single precision differs by 6e-8.
_SAME = 1e-6


def find_disorder(rows: Rows, excused: Mask) -> list[Fault]:
    """``order_descending`` or ``order_mixed``.

    Parameters
    ----------
    rows
        Rows in the order of the file.
    excused
        Rows whose step back in time is explained by something else: an hour that a change of the clock doubled.
    """
    timed = np.flatnonzero(rows.at != NAT)
    at = rows.at[timed]
    steps = np.diff(at)
    back = np.flatnonzero(steps < 0) + 1
    back = back[~excused[timed[back]]]
    if not len(back):
        return []
    if not ((steps > 0) & ~excused[timed[1:]]).any():
        return [
            found_rows(
                "order_descending",
                rows.number,
                rows.at,
                lambda place: (
                    f"{stamp(int(rows.at[place]))} stands above {stamp(int(rows.at[min(place + 1, len(rows) - 1)]))}"
                ),
                "sort by time, oldest first: the file is newest first throughout",
                where=timed,
                safe_fix=True,
            )
        ]

    def say(place: int) -> str:
        previous = int(at[np.searchsorted(timed, place) - 1])
        return f"{spoken(previous - int(rows.at[place]))} before the row above it ({stamp(previous)})"

    return [
        found_rows(
            "order_mixed",
            rows.number,
            rows.at,
            say,
            f"sort by time: it goes back at {len(back)} place(s), as where exports were joined",
            where=timed[back],
            safe_fix=True,
        )
    ]


def find_duplicates(rows: Rows, excused: Mask) -> list[Fault]:
    """``duplicates_agreeing`` (more rows that say the same) and ``duplicates_conflicting`` (that do not)."""
    agreeing, conflicting = judge_duplicates(rows)
    conflicting &= ~excused
    agreeing &= ~excused
    faults = []
    if agreeing.any():
        faults.append(
            found_rows(
                "duplicates_agreeing",
                rows.number,
                rows.at,
                lambda place: "the same prices and volume as an earlier row of this time",
                "keep one row of each time",
                where=agreeing,
                safe_fix=True,
            )
        )
    if conflicting.any():
        first = _first_of(rows)

        def say(place: int) -> str:
            one, other = int(first[place]), place
            parts = [
                f"{name} {number_text(cell[one])} and {number_text(cell[other])}"
                for name, cell in rows.cells.items()
                if not _close(cell[one : one + 1], cell[other : other + 1])[0]
            ]
            return f"rows {int(rows.number[one])} and {int(rows.number[other])} disagree: {', '.join(parts)}"

        faults.append(
            found_rows(
                "duplicates_conflicting",
                rows.number,
                rows.at,
                say,
                "find out which row is right (a later correction, another venue) and keep it; none is chosen here",
                where=conflicting,
            )
        )
    return faults


def judge_duplicates(rows: Rows) -> tuple[Mask, Mask]:
    """Rows that repeat an earlier row of their stamp, and rows that contradict the first row of it."""
    agreeing, conflicting = np.zeros(len(rows), dtype=np.bool_), np.zeros(len(rows), dtype=np.bool_)
    first = _first_of(rows)
    later = np.flatnonzero((first != np.arange(len(rows))) & (rows.at != NAT))
    if not len(later):
        return agreeing, conflicting
    same = np.ones(len(later), dtype=np.bool_)
    for cell in rows.cells.values():
        same &= _close(cell[later], cell[first[later]])
    agreeing[later[same]] = True
    conflicting[later[~same]] = True
    return agreeing, conflicting


def _first_of(rows: Rows) -> np.ndarray:
    """For each row the first row of the file with its stamp."""
    own = np.arange(len(rows))
    if (np.diff(rows.at) > 0).all():
        return own
    order = np.argsort(rows.at, kind="stable")
    at = rows.at[order]
    fresh = np.append(True, at[1:] != at[:-1])
    first = np.empty(len(rows), dtype=np.int64)
    first[order] = order[np.flatnonzero(fresh)[np.cumsum(fresh) - 1]]
    return first


def _close(one: np.ndarray, other: np.ndarray) -> Mask:
    with np.errstate(invalid="ignore"):
        near = np.abs(one - other) <= _SAME * np.maximum(np.abs(one), np.abs(other))
    return np.asarray(near | (one == other) | (np.isnan(one) & np.isnan(other)), dtype=np.bool_)
