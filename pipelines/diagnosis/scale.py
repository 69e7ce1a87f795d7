"""Prices that change their scale between two bars and stay there: a split, cents for units, a factor of a thousand."""

import numpy as np

from pipelines.diagnosis.fault import Fault, Floats, Mask, found_rows, number_text
from pipelines.diagnosis.levels import merge_levels
from pipelines.diagnosis.rows import Bars

# A price that opens this far (in logs) from the last close and stays there: 4 for 3 is the smallest common split.
_STEP = 0.25
# Bars on each side that must agree on the new level.
_SETTLED = 3
# Shorter stretches at another scale are bad prints.
_PRINTS = 5
# Times the seam between a close and the next open that nine in ten bars stay below.
_SEAMS = 12.0
# Median moves of a bar, times the root of the bars between, that a market may go through a gap.
_DRIFT = 10.0


def find_scale_change(bars: Bars, unusable: Mask) -> tuple[list[Fault], Mask]:
    """``scale_change``: a stretch of prices at a multiple of the others, entered and left between two bars.

    Real moves happen within bars and leave the seam between a close and the next open small; a split, cents for units
    or a factor of a thousand shows as a seam, and the level stays.

    Parameters
    ----------
    bars
        Bars with positive prices, in time order.
    unusable
        Bad prints and bars of a feed that stood still; what follows them is measured from before them.

    Returns
    -------
    tuple of list of Fault and mask
        The fault, and bars of short stretches, which are bad prints.
    """
    count = len(bars)
    other, prints = np.zeros(count, dtype=np.bool_), np.zeros(count, dtype=np.bool_)
    kept = np.flatnonzero(~unusable)
    if len(kept) < 4 * _SETTLED:
        return [], prints
    close, opened = (np.log(bars.cells[name][kept]) for name in ("close", "open"))
    seam = opened[1:] - close[:-1]
    usual = float(np.quantile(np.abs(seam), 0.9))
    moves = float(np.median(np.abs(np.diff(close))))
    steps = np.diff(kept) + np.maximum(bars.steps[kept[1:]] - 1, 0)
    limit = max(_STEP, _SEAMS * usual) + _DRIFT * moves * np.sqrt(steps)
    at = np.flatnonzero(np.abs(seam) > limit) + 1
    jumps = [(int(place), size) for place in at if (size := _settled_step(close, int(place))) is not None]
    jumps = [(place, size) for place, size in jumps if abs(size - seam[place - 1]) < 0.3 * abs(size)]
    if not jumps:
        return [], prints
    offset = np.zeros(len(kept))
    for place, size in jumps:
        offset[place:] += size
    # Levels a few percent apart are one: the market moved meanwhile.
    level = np.rint(offset / _STEP).astype(np.int64)
    level = merge_levels(level)
    values, counts = np.unique(level, return_counts=True)
    most = int(values[counts.argmax()])
    edges = np.flatnonzero(np.append(True, np.diff(level) != 0))
    runs = np.diff(np.append(edges, len(level)))
    for start, run in zip(edges, runs, strict=True):
        if level[start] != most:
            stretch = kept[start : start + run]
            enclosed = start > 0 and start + run < len(level)
            (prints if run <= _PRINTS and enclosed else other)[stretch] = True
    if not other.any():
        return [], prints
    factor = {int(place): float(np.exp(size)) for place, size in jumps}
    entered = {int(kept[place]): value for place, value in factor.items()}

    def say(place: int) -> str:
        if place in entered:
            before = number_text(bars.cells["close"][place - 1])
            return (
                f"open={number_text(bars.cells['open'][place])} after a close of {before}: times {entered[place]:.4g}"
            )
        return f"close={number_text(bars.cells['close'][place])} at another scale than most bars"

    said = ", ".join(f"{value:.4g}" for value in list(factor.values())[:4])
    fault = found_rows(
        "scale_change",
        bars.number,
        bars.at,
        say,
        f"bring all prices to one scale (the level changes by the factor {said}); a split or another unit: the file "
        "does not say which scale is right",
        where=other,
    )
    return [fault], prints


def _settled_step(close: Floats, place: int) -> float | None:
    before, after = close[max(place - _SETTLED, 0) : place], close[place : place + _SETTLED]
    if len(before) < _SETTLED or len(after) < _SETTLED:
        return None
    return float(np.median(after) - np.median(before))
