"""Missing bars: lost in the export, an exchange that stood still, or a market in which nobody traded."""

import numpy as np

from pipelines.diagnosis.fault import Fault, Finding, Floats, Ints, Mask, spoken, stamp
from pipelines.diagnosis.rows import Bars

_HOUR = 3_600_000_000
# Exchanges' own interruptions in the sample and beside it last up to seven hours.
_LONGEST = 8 * _HOUR
# Interruptions of the sample's exchanges take 0.1 to 0.25 % of the time; a small file needs this many bars as well.
_OUTAGE_SHARE = 0.005
_OUTAGE_BARS = 20
_OUTAGE_TIME = _HOUR // 2
# A gap as long as this would be expected less often than once in a hundred files if bars were missing at random.
_CHANCE = 0.01
# Rows were lost where prices went on moving through gaps in an active market: at this many places, in this share of all
# bars, and in this share of the gaps.
_LOST_PLACES = 5
_LOST_SHARE = 0.001
_LOST_MOST = 0.25
_WINDOW = 201
_MEDIAN_TO_SIGMA = 1.4826


def find_gaps(bars: Bars, excused: Mask, max_missing: float) -> Finding:
    """``gaps`` and ``sparse_market`` where they pass a limit, else a note.

    A gap over which the price did not move is a market that stood still; one after which it goes on elsewhere, in the
    midst of usual volume, is rows that were lost.

    Parameters
    ----------
    bars
        Bars in time order.
    excused
        Bars before which the distance has another reason (a change of the clock, another bar length).
    max_missing
        ``validate.max_missing_fraction`` of ``params.yaml``.
    """
    absent = np.where(excused, 0, bars.steps - 1)
    missing = int(absent.sum())
    if not missing:
        return Finding()
    span = len(bars) + missing
    share = missing / span
    at = np.flatnonzero(absent)
    long = _longer_than_chance(absent[at], len(bars), share)
    outage = absent[at][long & (absent[at] * bars.length >= _OUTAGE_TIME)].sum()
    scattered = int(absent[at][~long].sum())
    longest = int(absent.max()) * bars.length
    lost = _lost_places(bars, at)
    spell = (
        f"{missing} bars are missing in {len(at)} gaps ({share:.2%}), the longest of {spoken(longest)} from "
        f"{stamp(int(bars.at[absent.argmax() - 1]) + bars.length)}"
    )
    faults = []
    reasons = []
    if share > max_missing:
        reasons.append(f"more than {max_missing:.1%} are missing (validate.max_missing_fraction)")
    if longest >= _LONGEST:
        reasons.append(f"one lasts {spoken(longest)}")
    if outage >= _OUTAGE_BARS and outage > _OUTAGE_SHARE * span:
        reasons.append(f"interruptions take {outage / span:.1%} of the time")
    if lost >= max(_LOST_PLACES, _LOST_SHARE * len(bars), _LOST_MOST * len(at)) and share <= max_missing:
        reasons.append(f"prices moved on through {lost} of them: rows were lost")
    if reasons:
        remedy = f"export the missing period again, or start after it; {'; '.join(reasons)}"
        faults.append(_fault_of(bars, absent, at, missing, remedy))
    if scattered > max_missing * span:
        remedy = "use longer bars: at this length the market is often still; nothing is filled in"
        faults.append(_sparse(bars, absent, at[~long], scattered, remedy))
    return Finding(tuple(faults), () if faults else (spell,))


def _longer_than_chance(lengths: Ints, count: int, share: float) -> Mask:
    """Gaps too long for bars that are missing independently of one another."""
    limit = np.log(max(count, 2) / _CHANCE) / -np.log(min(max(share, 1e-9), 0.999))
    return np.asarray(lengths >= limit, dtype=np.bool_)


def _lost_places(bars: Bars, at: Ints) -> int:
    """Gaps in the midst of usual volume after which the price goes on elsewhere than it stopped."""
    close, opened, volume = (bars.cells[name] for name in ("close", "open", "volume"))
    with np.errstate(all="ignore"):
        jump = np.abs(np.log(opened[at] / close[at - 1]))
    # A missing volume counts as none.
    volume = np.where(np.isfinite(volume), volume, 0.0)
    count = 0
    for place, moved in zip(at[:5000], jump[:5000], strict=True):
        window = slice(max(place - _WINDOW // 2, 0), place + _WINDOW // 2)
        with np.errstate(all="ignore"):
            steps = np.abs(np.diff(np.log(close[window])))
            seams = np.abs(np.log(opened[window][1:] / close[window][:-1]))
        near = volume[max(place - 3, 0) : place + 3]
        if _moved_on(float(moved), steps, seams) and float(np.median(near)) >= 0.5 * float(np.median(volume[window])):
            count += 1
    return count


def _moved_on(jump: float, steps: Floats, seams: Floats) -> bool:
    """Whether a jump is one of a bar's moves, and none of those between a close and the next open."""
    steps, seams = steps[np.isfinite(steps)], seams[np.isfinite(seams)]
    if len(steps) < 10 or not np.isfinite(jump):
        return False
    return jump > float(np.median(steps)) and jump > 4 * _MEDIAN_TO_SIGMA * float(np.median(seams))


def _fault_of(bars: Bars, absent: Ints, at: Ints, missing: int, remedy: str) -> Fault:
    return Fault("gaps", missing, *_ends(bars, absent, at), _longest_examples(bars, absent, at), remedy)


def _sparse(bars: Bars, absent: Ints, at: Ints, missing: int, remedy: str) -> Fault:
    return Fault("sparse_market", missing, *_ends(bars, absent, at), _longest_examples(bars, absent, at), remedy)


def _ends(bars: Bars, absent: Ints, at: Ints) -> tuple[int, int]:
    """Stamps of the first and the last bar that is missing."""
    return int(bars.at[at[0] - 1]) + bars.length, int(bars.at[at[-1]]) - bars.length


def _longest_examples(bars: Bars, absent: Ints, at: Ints) -> tuple[dict[str, object], ...]:
    longest = np.sort(at[np.argsort(-absent[at], kind="stable")[:3]])
    return tuple(
        {
            "row": int(bars.number[place]),
            "timestamp": stamp(int(bars.at[place - 1]) + bars.length).isoformat(),
            "found": f"{absent[place]} bar(s) missing ({spoken(int(absent[place]) * bars.length)}) before this row",
        }
        for place in longest
    )
