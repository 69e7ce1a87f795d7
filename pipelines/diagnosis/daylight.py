"""Hours that are missing in spring and doubled in autumn, as on clocks of a place with daylight saving."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from pipelines.diagnosis.fault import NAT, Fault, Ints, Mask, found_rows
from pipelines.diagnosis.rows import Bars, Rows

_HOUR = 3_600_000_000
_DAY = 24 * _HOUR
_CHANCE = 0.002
# Zones whose clocks change on different dates or at different hours; each stands for its neighbours.
_ZONES = {
    "Europe/Berlin": "central Europe",
    "America/New_York": "the United States",
    "Europe/London": "Britain",
    "Europe/Athens": "eastern Europe",
    "Australia/Sydney": "Australia",
    "America/Sao_Paulo": "Brazil",
    "America/Santiago": "Chile",
    "Asia/Jerusalem": "Israel",
    "Asia/Tehran": "Iran",
    "Pacific/Auckland": "New Zealand",
}


@dataclass(frozen=True)
class Daylight:
    """Jumps of the clock.

    Parameters
    ----------
    faults
        ``dst_jump``, and ``local_time`` with the zone they point to.
    doubled
        Rows of the file's order that stand in a doubled hour: neither duplicates nor disorder.
    missing
        Bars before which just the missing hour of spring lies: no gap.
    """

    faults: tuple[Fault, ...]
    doubled: Mask
    missing: Mask


def find_daylight_jumps(rows: Rows, bars: Bars, written: Ints) -> Daylight:
    """Compare missing and doubled hours with the dates on which clocks change.

    Parameters
    ----------
    rows
        All rows in the order of the file, on the grid.
    bars
        One bar for each stamp, in time order.
    written
        Stamps as written, sorted, before they were put on the grid.
    """
    nothing = Daylight((), np.zeros(len(rows), dtype=np.bool_), np.zeros(len(bars), dtype=np.bool_))
    if len(bars) < 10 or bars.length > _DAY:
        return nothing
    if bars.length > _HOUR:
        return _changed_phase(rows, bars, written, nothing)
    slots = _HOUR // bars.length
    if _HOUR % bars.length:
        return nothing
    missing_hours = _missing_hours(bars, slots)
    doubled_hours = _doubled_hours(rows, slots)
    if not missing_hours and not doubled_hours:
        return nothing
    changes = _clock_changes(bars.at)
    span = max(1, int(bars.at[-1] - bars.at[0]) // _HOUR)
    best: tuple[str, set[int], set[int]] | None = None
    for zone, (springs, autumns) in changes.items():
        # A change shows at the wall's hour in local stamps, or at its moment in stamps half converted.
        found = {hour for wall, moment in springs for hour in {wall, moment} if hour in missing_hours}
        twice = {hour for wall, moment in autumns for hour in {wall, moment, moment - _HOUR} if hour in doubled_hours}
        known = len(springs) + len(autumns)
        if 2 * (len(found) + len(twice)) < max(len(springs) if not twice else known, 1):
            continue
        # Where many hours are missing or doubled, some of them fall on these dates by chance.
        expected = (2 * len(springs) * len(missing_hours) + 3 * len(autumns) * len(doubled_hours)) / span
        if expected ** (len(found) + len(twice)) > _CHANCE:
            continue
        if best is None or len(found) + len(twice) > len(best[1]) + len(best[2]):
            best = (zone, found, twice)
    if best is None or not (best[1] or best[2]):
        return nothing
    zone, springs_found, autumns_found = best
    missing = np.zeros(len(bars), dtype=np.bool_)
    missing[[missing_hours[hour] for hour in springs_found]] = True
    doubled = np.zeros(len(rows), dtype=np.bool_)
    for hour in autumns_found:
        doubled |= (rows.at >= hour) & (rows.at < hour + _HOUR)
    return Daylight(_faults(rows, bars, zone, missing, sorted(autumns_found)), doubled, missing)


def _missing_hours(bars: Bars, slots: int) -> dict[int, int]:
    """Whole hours that are missing, with little beside them, and the bar that follows each."""
    missing = {}
    for place in np.flatnonzero((bars.steps > slots) & (bars.steps <= slots + 1 + slots // 4)):
        first = int(bars.at[place - 1]) + bars.length
        hour = -(-first // _HOUR) * _HOUR
        if hour + _HOUR <= bars.at[place]:
            missing[hour] = int(place)
    return missing


def _doubled_hours(rows: Rows, slots: int) -> set[int]:
    """Hours in which most stamps stand twice, and none of the hours beside them."""
    values, counts = np.unique(rows.at, return_counts=True)
    twice = values[(counts == 2) & (values != NAT)]
    if not len(twice):
        return set()
    hours, stamps = np.unique(twice // _HOUR, return_counts=True)
    alone = ~np.isin(hours - 1, hours) & ~np.isin(hours + 1, hours)
    return {int(hour) * _HOUR for hour in hours[alone & (2 * stamps >= slots + (slots == 2))]}


def _clock_changes(at: Ints) -> dict[str, tuple[list[tuple[int, int]], list[tuple[int, int]]]]:
    """For each zone the changes in the years of the stamps: (stamp on the wall, moment in UTC), springs and autumns."""
    changes: dict[str, tuple[list[tuple[int, int]], list[tuple[int, int]]]] = {zone: ([], []) for zone in _ZONES}
    # Only years that have stamps, not all years between them: one wild stamp must not cost centuries.
    for year in np.unique(at.astype("datetime64[us]").astype("datetime64[Y]")):
        hours = pd.date_range(str(year), periods=366 * 24, freq="h", tz="UTC").as_unit("us")
        moments = hours.asi8
        for zone, (springs, autumns) in changes.items():
            wall = hours.tz_convert(zone).tz_localize(None).asi8
            offset = wall - moments
            for i in (np.flatnonzero(np.diff(offset)) + 1).tolist():
                if not at[0] <= moments[i] <= at[-1] + _DAY:
                    continue
                if offset[i] > offset[i - 1]:
                    springs.append((int(wall[i - 1]) + _HOUR, int(moments[i])))
                else:
                    autumns.append((int(wall[i]), int(moments[i])))
    return changes


def _changed_phase(rows: Rows, bars: Bars, written: Ints, nothing: Daylight) -> Daylight:
    """Bars longer than an hour shift against the grid on the dates of the changes."""
    phase = written % bars.length
    at = np.flatnonzero(np.isin(np.diff(phase), [_HOUR, -_HOUR, bars.length - _HOUR, _HOUR - bars.length])) + 1
    if not len(at):
        return nothing
    for zone, (springs, autumns) in _clock_changes(written).items():
        dates = np.array([moment for _, moment in springs + autumns])
        if not len(dates):
            continue
        near = np.array([np.abs(dates - written[place]).min() <= 2 * max(bars.length, _DAY) for place in at])
        if near.all() and 2 * len(at) >= len(dates):
            jump = np.isin(bars.at, bars.at[np.clip(np.searchsorted(bars.at, written[at]), 0, len(bars) - 1)])
            return Daylight(_faults(rows, bars, zone, jump, []), nothing.doubled, nothing.missing)
    return nothing


def _faults(rows: Rows, bars: Bars, zone: str, missing: Mask, doubled: list[int]) -> tuple[Fault, ...]:
    order = np.argsort(rows.at, kind="stable")
    places = [int(order[np.searchsorted(rows.at[order], hour)]) for hour in doubled]
    where = f"{zone} ({_ZONES[zone]})"
    jumped = np.flatnonzero(missing)
    number = np.concatenate([bars.number[jumped], rows.number[places]])
    at = np.concatenate([bars.at[jumped], rows.at[places]])
    count = len(jumped)
    told = ["the hour before this row is missing"] * count + ["this hour stands twice"] * len(places)
    told = ["the stamps jump by an hour"] * count + told[count:] if bars.length > _HOUR else told
    by_time = np.argsort(at, kind="stable")
    number, at, told = number[by_time], at[by_time], [told[i] for i in by_time]
    jumps = found_rows(
        "dst_jump",
        number,
        at,
        lambda place: f"{told[place]}, as on clocks in {where}",
        "export the bars in UTC; doubled hours cannot be told apart by their stamps",
        where=np.arange(len(at)),
    )
    local = found_rows(
        "local_time",
        bars.number,
        bars.at,
        lambda place: f"a stamp of a clock in {where}",
        f"export the bars in UTC, or convert the stamps from {zone} if that is where the clock stood",
        where=np.arange(len(bars)),
    )
    return jumps, local
