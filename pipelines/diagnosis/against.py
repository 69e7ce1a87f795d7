"""Two sources of one market held against each other: their clocks, then their prices and volumes."""

import numpy as np
import pandas as pd

from pipelines.diagnosis.fault import Fault, Finding, Floats, Ints, Mask, found_rows, number_text, spoken, stamp
from pipelines.diagnosis.lag import find_lags
from pipelines.diagnosis.rows import Bars

_HOUR = 3_600_000_000
# Bars at equal times below which prices are not compared.
_LEAST = 60
# Closes of two venues differ by less than this, or by less than so many times their usual difference.
_DIFFER = 0.01
_TIMES = 12.0
# A single price that another source contradicts by more is a bad print.
_PRINT = 0.05
_ZONES = (
    *("Europe/London", "Europe/Berlin", "Europe/Athens", "Europe/Moscow", "Asia/Dubai", "Asia/Kolkata"),
    *("Asia/Shanghai", "Asia/Tokyo", "Australia/Sydney", "Pacific/Auckland"),
    *("America/Sao_Paulo", "America/New_York", "America/Chicago", "America/Denver", "America/Los_Angeles"),
)


def compare_sources(bars: Bars, other: Bars, name: str) -> Finding:
    """``clock_shift``, with ``close_stamped`` or ``local_time`` where that explains it, and disagreements of price.

    Parameters
    ----------
    bars
        Bars of the file, in time order.
    other
        Bars of the second source, on its own grid; another length or venue will do.
    name
        How the second source is called in messages.
    """
    bars, other = bars.priced(), other.priced()
    lags = find_lags(bars, other)
    if lags.lag is None:
        return Finding(notes=(f"{name} has too few bars of the same time to compare with",))
    if not lags.clear:
        return Finding(notes=(f"the returns do not follow those of {name} at any lag up to a day: another market?",))
    faults = _clock_faults(bars, lags.lag, name)
    disagreement = _disagreement(bars, other, lags.lag, name)
    return Finding(tuple(faults) + disagreement.faults, disagreement.notes)


def _clock_faults(bars: Bars, lag: Ints, name: str) -> list[Fault]:
    shifted = lag != 0
    if not shifted.any():
        return []
    edges = np.flatnonzero(np.append(True, np.diff(lag) != 0))
    stretches = [(int(lag[at]), stamp(int(bars.at[at]))) for at in edges if lag[at]]
    said = "; ".join(f"{_late(size)} from {since:%Y-%m-%d %H:%M}" for size, since in stretches[:4])
    zone = _zone_of(bars, lag)
    whole = bool(shifted.all()) and len(stretches) == 1
    explained = " (one bar: stamped at the close?)" if whole and stretches[0][0] == bars.length else ""
    faults = [
        found_rows(
            "clock_shift",
            bars.number,
            bars.at,
            lambda place: f"stamped {_late(int(lag[place]))} than {name} says",
            f"move the stamps by what they are off: {said}{'; ...' if len(stretches) > 4 else ''}{explained}",
            where=shifted,
        )
    ]
    if explained:
        faults.append(
            found_rows(
                "close_stamped",
                bars.number,
                bars.at,
                lambda place: f"{spoken(bars.length)}, one bar, later than {name}",
                f"stamp each bar with its open, if that is what {name} does",
                where=shifted,
            )
        )
    elif zone is not None:
        faults.append(
            found_rows(
                "local_time",
                bars.number,
                bars.at,
                lambda place: f"{spoken(int(lag[place]))} from UTC, as in {zone}",
                f"export in UTC, or convert these stamps from {zone}",
                where=shifted,
            )
        )
    return faults


def _late(lag: int) -> str:
    return f"{spoken(abs(lag))} {'later' if lag > 0 else 'earlier'}"


def _zone_of(bars: Bars, lag: Ints) -> str | None:
    """A zone whose clock explains all lags, with its changes between summer and winter."""
    shifted = np.flatnonzero(lag)
    if np.abs(lag[shifted]).min() < _HOUR or (lag[shifted] % (_HOUR // 2)).any():
        return None
    some = shifted[np.unique(np.linspace(0, len(shifted) - 1, 2000).astype(np.int64))]
    moments = pd.DatetimeIndex(pd.to_datetime(bars.at[some] - lag[some], unit="us", utc=True)).as_unit("us")
    for zone in _ZONES:
        offset = moments.tz_convert(zone).tz_localize(None).as_unit("us").asi8 - moments.asi8
        if (offset == lag[some]).mean() > 0.97:
            return zone
    return None


def _disagreement(bars: Bars, other: Bars, lag: Ints, name: str) -> Finding:
    """Closes, volumes and the last bar at equal times, once the clocks are set right."""
    ends, theirs = bars.at - lag + bars.length, other.at + other.length
    place = np.clip(np.searchsorted(theirs, ends), 0, len(theirs) - 1)
    met = np.flatnonzero(theirs[place] == ends)
    if len(met) < _LEAST:
        return Finding()
    place = place[met]
    gap = np.log(bars.cells["close"][met]) - np.log(other.cells["close"][place])
    middle = float(np.median(gap))
    notes, faults = [], []
    if abs(middle) > np.log(1.02):
        factor = number_text(float(np.exp(middle)))
        power = round(middle / np.log(10.0))
        if power and abs(middle - power * np.log(10.0)) < 0.03:
            faults.append(
                found_rows(
                    "scale_change",
                    bars.number,
                    bars.at,
                    lambda at: f"close={number_text(bars.cells['close'][at])}, about {factor} times that of {name}",
                    f"bring the prices to the scale of {name}: they are {factor} times as high",
                    where=met,
                )
            )
        else:
            notes.append(f"prices are {factor} times those of {name}: another currency or another market")
    usual = float(np.median(np.abs(gap - middle)))
    far = np.abs(gap - middle) > max(_DIFFER, _TIMES * usual)
    if far.any():
        largest = int(np.abs(gap - middle).argmax())
        first, most = (stamp(int(bars.at[met[at]])) for at in (int(far.argmax()), largest))
        notes.append(
            f"closes differ from {name} by more than {max(_DIFFER, _TIMES * usual):.1%} at {int(far.sum())} of "
            f"{len(met)} bars, first at {first}, most at {most} ({np.expm1(abs(gap[largest] - middle)):.1%})"
        )
    wrong = _lonely(gap - middle, usual, bars, met, other, place)
    if wrong.any():
        faults.append(
            found_rows(
                "bad_prints",
                bars.number,
                bars.at,
                lambda at: f"close={number_text(bars.cells['close'][at])}, which {name} does not confirm",
                f"compare these bars with a third source: {name} does not confirm them",
                where=met[wrong],
            )
        )
    faults += _same_venue(bars, other, met, place, name)
    return Finding(tuple(faults), tuple(notes))


def _lonely(gap: Floats, usual: float, bars: Bars, met: Ints, other: Bars, place: Ints) -> Mask:
    """Bars of the file that leave the other source's price alone and at once come back."""
    limit = max(_PRINT, 2 * _TIMES * usual)
    neighbours = np.maximum(np.abs(np.append(0.0, gap[:-1])), np.abs(np.append(gap[1:], 0.0)))
    alone = (np.abs(gap) > limit) & (neighbours < 0.3 * np.abs(gap))
    own, theirs = np.log(bars.cells["close"][met]), np.log(other.cells["close"][place])
    return np.asarray(alone & (np.abs(np.diff(own, prepend=own[0])) > np.abs(np.diff(theirs, prepend=theirs[0]))))


def _same_venue(bars: Bars, other: Bars, met: Ints, place: Ints, name: str) -> list[Fault]:
    """Volumes and the last bar, where both sources count the same trades."""
    if bars.length != other.length:
        return []
    own, theirs = bars.cells["volume"][met], other.cells["volume"][place]
    traded = np.flatnonzero((own > 0) & (theirs > 0) & np.isfinite(own) & np.isfinite(theirs))
    if len(traded) < _LEAST:
        return []
    ratio = np.log(own[traded]) - np.log(theirs[traded])
    price = np.log(bars.cells["close"][met][traded])
    faults = []
    for kind, size, what in (
        ("volume_swapped", float(np.median(ratio - price)), "the volume times the price"),
        ("volume_swapped", float(np.median(ratio + price)), "the volume over the price"),
        ("volume_unit_change", _off_power(float(np.median(ratio))), "another unit of the volume"),
    ):
        spread = ratio - price if "times" in what else ratio + price if "over" in what else ratio
        if (
            abs(size) < 0.1
            and abs(float(np.median(ratio))) > 1.5
            and float(np.median(np.abs(spread - np.median(spread)))) < 0.1
        ):
            faults.append(
                found_rows(
                    kind,  # type: ignore[arg-type]
                    bars.number,
                    bars.at,
                    lambda at: f"volume={number_text(bars.cells['volume'][at])}",
                    f"write the volume in base units: it is {what} of {name}",
                    where=met[traded],
                )
            )
            break
    faults += _last_bar(bars, other, met, place, ratio, name)
    return faults


def _off_power(value: float) -> float:
    power = round(value / np.log(10.0))
    return value - power * float(np.log(10.0)) if power else 1.0


def _last_bar(bars: Bars, other: Bars, met: Ints, place: Ints, ratio: Floats, name: str) -> list[Fault]:
    """The last bar of the file holds a part of what the other source, which goes on, says of it."""
    if met[-1] != len(bars) - 1 or place[-1] >= len(other) - 1 or np.median(np.abs(ratio - np.median(ratio))) > 0.01:
        return []
    own, theirs = float(bars.cells["volume"][-1]), float(other.cells["volume"][place[-1]])
    usual = float(np.exp(np.median(ratio[:-1])))
    if own >= 0.98 * usual * theirs:
        return []
    return [
        found_rows(
            "unfinished_last_bar",
            bars.number,
            bars.at,
            lambda at: f"volume={number_text(own)}, in {name} {number_text(theirs)}",
            "leave the last bar out: it had not closed when the file was written",
            where=np.array([len(bars) - 1]),
            safe_fix=True,
        )
    ]
