"""Other columns of the same file that tell the time, held against the one that is read."""

from collections.abc import Callable

import numpy as np
import pandas as pd

from pipelines.diagnosis.clock import Clock, read_clock
from pipelines.diagnosis.fault import NAT, Fault, Finding, Ints, found_rows, spoken
from pipelines.diagnosis.source import Source
from pipelines.ingest.columns import key

_TELLING = ("time", "date", "unix", "epoch", "mts", "stamp")
_CLOSING = ("close", "end")
_QUARTER = 15 * 60_000_000
_EPOCHS = ("s", "ms", "us", "ns")
# Share of rows in which two clocks must differ by one and the same amount.
_MOST = 0.5


def compare_clocks(source: Source, clock: Clock) -> tuple[Finding, Ints | None]:
    """``local_time`` or ``close_stamped`` where another column of the file contradicts the stamps that are read.

    Returns
    -------
    tuple of Finding and array or None
        The finding, and the right stamps where an epoch gives them.
    """
    number = np.arange(len(clock.at))
    notes: list[str] = []
    for name in source.extra:
        column = source.frame[name]
        words = key(name)
        if not any(part in words for part in _TELLING) or (column.dtype.kind == "f" and "time" not in words):
            continue
        other = read_clock(column)
        both = (clock.at != NAT) & (other.at != NAT)
        if both.mean() < _MOST:
            continue
        differences, counts = np.unique((clock.at - other.at)[both], return_counts=True)
        usual = int(differences[counts.argmax()])
        closing = any(part in words for part in _CLOSING)
        if closing:
            if usual == 0 and counts.max() > _MOST * both.sum():
                return Finding((_stamped_at_close(clock, number, str(name)),)), None
            continue
        shifts = [int(d) for d, c in zip(differences, counts, strict=True) if d % _QUARTER == 0 and d and c > 1]
        shifted = both & np.isin(clock.at - other.at, shifts)
        if shifted.sum() <= _MOST * both.sum():
            continue
        said = " and ".join(spoken(shift) for shift in sorted(shifts)[:2])
        if other.written in _EPOCHS and clock.written not in _EPOCHS:
            # An epoch counts from a moment, so it is UTC whatever the text says.
            fault = found_rows(
                "local_time",
                number,
                clock.at,
                _distance(clock, other, name, column),
                f"use {name!r}, an epoch and so UTC, as the time: the stamps read are {said} off it",
                where=shifted,
                safe_fix=True,
            )
            return Finding((fault,), tuple(notes)), np.where(other.at == NAT, clock.at, other.at)
        notes.append(f"{name!r} differs from the stamps that are read by {said}: the time of another zone")
    return Finding(notes=tuple(notes)), None


def _distance(clock: Clock, other: Clock, name: object, column: pd.Series) -> Callable[[int], str]:
    """What to say of a row in which two clocks differ."""
    return lambda place: f"{spoken(int(clock.at[place] - other.at[place]))} from {name}={column.iloc[place]}"


def _stamped_at_close(clock: Clock, number: Ints, name: str) -> Fault:
    return found_rows(
        "close_stamped",
        number,
        clock.at,
        lambda place: f"the stamp is that of {name}",
        "stamp each bar with its open: the stamps read are the times at which the bars close",
        where=clock.at != NAT,
    )


def zone_faults(clock: Clock, number: Ints) -> list[Fault]:
    """``mixed_offsets``, ``epoch_unit`` and ``local_time`` that the spelling of the stamps tells by itself."""
    faults = []
    if clock.other_unit.any():
        faults.append(
            found_rows(
                "epoch_unit",
                number,
                clock.at,
                lambda place: clock.unit_text,
                f"write all stamps in one unit: {clock.unit_text}",
                where=clock.other_unit,
                safe_fix=True,
            )
        )
    if clock.zone is not None:
        faults.append(
            found_rows(
                "local_time",
                number,
                clock.at,
                lambda place: f"the stamp names the zone {clock.zone}",
                "write the stamps in UTC, or with their offset",
                where=clock.at != NAT,
                safe_fix=True,
            )
        )
    return faults + _mixed_offsets(clock, number)


def _mixed_offsets(clock: Clock, number: Ints) -> list[Fault]:
    naive = clock.naive if len(clock.naive) == len(number) else np.zeros(len(number), dtype=np.bool_)
    known = clock.at != NAT
    offset = clock.offset if clock.offset is not None else np.zeros(len(number), dtype=np.int64)
    aware = known & ~naive & ~clock.other_unit
    values, counts = np.unique(offset[aware], return_counts=True)
    half_naive = clock.offset is not None and bool((naive & known).any()) and bool(aware.any())
    if len(values) < 2 and not half_naive:
        return []
    usual = int(values[counts.argmax()])
    odd = (aware & (offset != usual)) | (naive & known if half_naive else np.zeros(len(number), dtype=np.bool_))
    said = ", ".join(f"{int(c)} rows at {_spelt(int(v))}" for v, c in zip(values, counts, strict=True))
    said += f", {int((naive & known).sum())} without an offset" if half_naive else ""
    return [
        found_rows(
            "mixed_offsets",
            number,
            clock.at,
            lambda place: "no offset" if naive[place] else f"offset {_spelt(int(offset[place]))}",
            f"write all stamps in UTC ({said})"
            + ("; those without an offset were taken as UTC, which nothing proves" if half_naive else ""),
            where=odd,
            safe_fix=not half_naive,
        )
    ]


def _spelt(minutes: int) -> str:
    sign = "-" if minutes < 0 else "+"
    return f"{sign}{abs(minutes) // 60:02d}:{abs(minutes) % 60:02d}"


def flags_of(column: pd.Series) -> list[str]:
    """Cells of a column of flags in lower case."""
    return [str(cell).strip().lower() for cell in column]
