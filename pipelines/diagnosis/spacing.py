"""The length of a bar, stamps off its grid, and stretches at another length."""

import re
from dataclasses import dataclass, replace

import numpy as np

from pipelines.diagnosis.fault import Fault, Finding, Ints, Kind, Mask, found_rows, spoken
from pipelines.diagnosis.rows import Bars, Rows, distances

_SECOND = 1_000_000
_MINUTE = 60 * _SECOND
_HOUR = 60 * _MINUTE
_DAY = 24 * _HOUR
# A Monday at midnight, where the bars of every length start.
_ORIGIN = 4 * _DAY
_UNITS = {"s": _SECOND, "m": _MINUTE, "h": _HOUR, "d": _DAY, "w": 7 * _DAY}
_COMMON = tuple(
    count * _UNITS[unit]
    for unit, counts in (("m", (1, 3, 5, 10, 15, 30)), ("h", (1, 2, 3, 4, 6, 8, 12)), ("d", (1, 3)), ("w", (1,)))
    for count in counts
)
_CLAIM = re.compile(
    r"(?<![a-z0-9])(?:(\d{1,3})[ _-]?(m|min|mins|minute|minutes|h|hr|hour|hours|d|day|days|w|week|weeks)|"
    r"(hourly|daily|weekly|minutely))(?![a-z0-9])",
    re.IGNORECASE,
)
_WORDS = {"hourly": _HOUR, "daily": _DAY, "weekly": 7 * _DAY, "minutely": _MINUTE}
# Recorders that stamp a bar when it arrives are off by a fraction of it.
_NEAR = 0.25
# A distance as far from a common length as this is no jittered one.
_LOOSE = 0.3
# A stamp this close before the next bar's open is the bar's close.
_JUST_BEFORE = _SECOND
# This many equal distances in a row are a stretch at another length, if chance would hardly make them.
_STRETCH = 8
_CHANCE = 1e-6


@dataclass(frozen=True)
class Spacing:
    """How stamps lie on the grid of a bar length.

    Parameters
    ----------
    bars
        Bars on the grid, or as stamped where no grid is found.
    regular
        Whether a bar length was found at all.
    foreign
        Bars at another distance than the length, as a stretch; they are no gaps.
    finding
        What is odd.
    written, meant
        Stamps as written, sorted, and the places of the grid that they mean.
    last_off_grid
        The last stamp alone is off the grid, as that of a bar still forming is.
    """

    bars: Bars
    written: Ints
    meant: Ints
    regular: bool
    foreign: Mask
    finding: Finding
    last_off_grid: bool = False


def claimed_length(name: str) -> int | None:
    """Bar length in µs that a file's name claims: ``BTC-USD_30m.csv``, ``Hourly.csv``; ``None`` if it says nothing."""
    lengths = set()
    for count, unit, word in _CLAIM.findall(name):
        if unit == "M":
            continue  # months
        lengths.add(_WORDS[word.lower()] if word else int(count) * _UNITS[unit[0].lower()])
    return lengths.pop() if len(lengths) == 1 else None


def common_distance(at: Ints) -> int | None:
    """Most frequent distance of stamps in time order, jitter allowed for; ``None`` if they have none."""
    gaps = np.diff(at)
    gaps = gaps[gaps > 0]
    if not len(gaps):
        return None
    lengths, counts = np.unique(gaps, return_counts=True)
    most = int(lengths[counts.argmax()])
    if counts.max() >= 0.2 * len(gaps) and (most >= _MINUTE or most in _COMMON):
        return most
    near = np.array([(np.abs(gaps - length) <= _LOOSE * length).mean() for length in _COMMON])
    best = int(near.argmax())
    if near[best] >= 0.4:
        return _COMMON[best]
    return most if counts.max() >= 0.1 * len(gaps) and most >= _MINUTE else None


def look_at_spacing(rows: Rows, claims: dict[str, int]) -> Spacing:
    """Find the bar length, put the stamps on its grid, and say what does not fit.

    Parameters
    ----------
    rows
        One row for each stamp, in time order.
    claims
        Bar lengths (µs) that somebody states, by who does.
    """
    length = common_distance(rows.at)
    if length is None:
        bars = Bars(rows.number, rows.at, distances(rows.at, _MINUTE), _MINUTE, rows.cells)
        faults: tuple[Fault, ...] = ()
        if len(rows) > 2:
            typical = spoken(int(np.median(np.diff(rows.at))))
            faults = (
                found_rows(
                    "wrong_timeframe",
                    rows.number,
                    rows.at,
                    lambda place: f"{spoken(int(rows.at[place] - rows.at[max(place - 1, 0)]))} after the row before",
                    f"give bars of one length: no distance is common here, the median is {typical} (trades, or bars by "
                    "volume?)",
                    where=np.arange(len(rows)),
                ),
            )
        return Spacing(bars, rows.at, rows.at, False, np.zeros(len(rows), dtype=np.bool_), Finding(faults))
    found: list[Fault] = []
    notes: list[str] = []
    wrong = {who: claim for who, claim in claims.items() if claim != length}
    if wrong:
        found.append(_wrong_claim(rows, length, wrong))
    spaced = Bars(rows.number, rows.at, distances(rows.at, length), length, rows.cells)
    finer = _stretches(np.diff(rows.at, prepend=rows.at[0] - length), length, finer=True)
    gridded, off, last_alone = _on_grid(spaced, finer)
    found += off.faults
    notes += off.notes
    coarser = _stretches(gridded.steps * length, length, finer=False)
    # Stamps that moved onto one another were finer bars.
    kept = np.append(True, np.diff(gridded.at) > 0)
    if (foreign := finer | coarser).any():
        distance = np.diff(rows.at, prepend=rows.at[0] - length)
        found.append(
            found_rows(
                "wrong_timeframe",
                rows.number,
                rows.at,
                lambda place: f"{spoken(int(distance[place]))} after the row before, in a stretch of such rows",
                f"keep bars of one length in one file: most are {spoken(length)} apart; resample the finer part",
                where=foreign,
            )
        )
    bars = gridded if kept.all() else gridded.take(kept)
    return Spacing(bars, rows.at, gridded.at, True, foreign[kept], Finding(tuple(found), tuple(notes)), last_alone)


def _wrong_claim(rows: Rows, length: int, wrong: dict[str, int]) -> Fault:
    said = " and ".join(f"{who} says {spoken(claim)}" for who, claim in wrong.items())
    return found_rows(
        "wrong_timeframe",
        rows.number,
        rows.at,
        lambda place: f"{said}; rows are {spoken(length)} apart",
        f"use it as bars of {spoken(length)}, and name it so",
        where=np.arange(len(rows)),
    )


def _stretches(distance: Ints, length: int, *, finer: bool) -> Mask:
    """Rows in long runs of one other distance: a divisor of the bar length, or a multiple of it."""
    count = len(distance)
    inside = np.zeros(count, dtype=np.bool_)
    if finer:
        other = (distance > 0) & (distance < length) & (distance >= _MINUTE)
        other &= length % np.where(other, distance, 1) == 0
    else:
        other = (distance > length) & (distance % length == 0)
    if not other.any():
        return inside
    change = np.flatnonzero(np.append(True, distance[1:] != distance[:-1]))
    runs = np.diff(np.append(change, count))
    for start, run in _longest(change, runs):
        if not other[start]:
            continue
        # How often the distance occurs elsewhere says how long a run chance would make.
        elsewhere = max((int((distance == distance[start]).sum()) - run) / count, 1 / count)
        if count * elsewhere**run < _CHANCE:
            inside[start : start + run] = True
    return inside


def _longest(change: Ints, runs: Ints) -> list[tuple[int, int]]:
    return [(int(change[at]), int(runs[at])) for at in np.flatnonzero(runs >= _STRETCH)]


def _on_grid(bars: Bars, exempt: Mask) -> tuple[Bars, Finding, bool]:
    """Put stamps on the grid, and name what was off it: jitter, a constant shift, stamps at the close."""
    length = bars.length
    if _DAY % length and length % _DAY:
        return bars, Finding(), False
    phase = (bars.at - _ORIGIN) % length
    off = (phase != 0) & ~exempt
    if not off.any():
        return bars, Finding(), False
    if off.sum() == 1 and off[-1]:
        return _moved(bars, off, bars.at - phase), Finding(), True
    values, counts = np.unique(phase[~exempt], return_counts=True)
    usual = int(values[counts.argmax()])
    if counts.max() > 0.5 * counts.sum() and usual != 0:
        finding, moved = _constant_shift(bars, usual, ~exempt & (phase == usual))
        rest = off & (phase != usual)
        return _moved(moved, rest, _nearest(moved.at, length)) if rest.any() else moved, finding, False
    shifted, jumps = _shifted_stretches(bars, phase, off)
    faults = list(jumps)
    rest = off & ~shifted
    nearest = _nearest(bars.at, length)
    if rest.any():
        distance = np.abs(bars.at - nearest)
        largest = spoken(int(distance[rest].max()))
        unique = len(np.unique(nearest)) == len(nearest)
        faults.append(
            found_rows(
                "jitter",
                bars.number,
                bars.at,
                lambda place: f"{spoken(int(bars.at[place] - nearest[place]))} from the grid of {spoken(length)}",
                f"stamp each bar with its open, on the grid of {spoken(length)}; stamps are off by up to {largest}",
                where=rest,
                safe_fix=bool(unique and distance[rest].max() <= 0.05 * length),
            )
        )
    return _moved(bars, off & (np.abs(bars.at - nearest) <= _NEAR * length), nearest), Finding(tuple(faults)), False


def _constant_shift(bars: Bars, usual: int, where: Mask) -> tuple[Finding, Bars]:
    length = bars.length
    before = length - usual
    if before <= _JUST_BEFORE:
        fault = found_rows(
            "close_stamped",
            bars.number,
            bars.at,
            lambda place: f"{spoken(before)} before the next bar opens: the end of the bar, not its open",
            "stamp each bar with its open",
            where=where,
            safe_fix=True,
        )
        return Finding((fault,)), _moved(bars, where, bars.at - usual)
    if length % _DAY == 0 and length > _DAY:
        return Finding(notes=(f"bars of {spoken(length)} open {spoken(usual)} after Monday midnight UTC",)), bars
    whole_hours = usual % _HOUR == 0 or (usual % (_HOUR // 2) == 0 and length >= _HOUR)
    kind: Kind = "local_time" if whole_hours else "clock_shift"
    shift = usual if usual <= length // 2 else usual - length
    remedy = (
        "convert the stamps to UTC: bars open on multiples of their length from midnight UTC, these follow another zone"
        if whole_hours
        else f"move the stamps by {spoken(-shift)}: bars open on multiples of their length, counted from midnight UTC"
    )
    fault = found_rows(
        kind,
        bars.number,
        bars.at,
        lambda place: f"{spoken(shift)} off the grid of {spoken(length)}, as most rows are",
        remedy,
        where=where,
    )
    return Finding((fault,)), replace(bars, at=bars.at - shift)


def _shifted_stretches(bars: Bars, phase: Ints, off: Mask) -> tuple[Mask, list[Fault]]:
    """Long runs of one and the same distance from the grid: a clock that was moved for a while."""
    change = np.flatnonzero(np.append(True, phase[1:] != phase[:-1]))
    runs = np.diff(np.append(change, len(phase)))
    shifted = np.zeros(len(phase), dtype=np.bool_)
    just_before = np.zeros(len(phase), dtype=np.bool_)
    for start, run in _longest(change, runs):
        elsewhere = max((int((phase == phase[start]).sum()) - run) / len(phase), 1 / len(phase))
        if off[start] and len(phase) * elsewhere**run < _CHANCE:
            shifted[start : start + run] = True
            just_before[start : start + run] = bars.length - phase[start] <= _JUST_BEFORE
    faults = []
    hours = (bars.length > _HOUR) & (phase % (_HOUR // 2) == 0)
    kinds: tuple[tuple[Kind, Mask, str], ...] = (
        ("close_stamped", shifted & just_before, "stamp each bar with its open"),
        ("local_time", shifted & hours, "convert the stamps to UTC: these follow another zone"),
        ("clock_shift", shifted & ~just_before & ~hours, "move the stretch back by what it is off"),
    )
    for kind, where, remedy in kinds:
        if where.any():
            faults.append(
                found_rows(
                    kind,
                    bars.number,
                    bars.at,
                    lambda place: f"{spoken(int(phase[place]))} after the grid of {spoken(bars.length)}, in a stretch",
                    remedy,
                    where=where,
                    safe_fix=kind == "close_stamped",
                )
            )
    return shifted, faults


def _nearest(at: Ints, length: int) -> Ints:
    return np.asarray((at - _ORIGIN + length // 2) // length * length + _ORIGIN, dtype=np.int64)


def _moved(bars: Bars, where: Mask, to: Ints) -> Bars:
    at = np.where(where, to, bars.at)
    # Moving must keep the order; a stamp that would pass its neighbour stays.
    if (np.diff(at) < 0).any():
        return bars
    return replace(bars, at=at, steps=distances(at, bars.length))
