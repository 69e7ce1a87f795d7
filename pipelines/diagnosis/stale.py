"""Feeds that stood still: the same bar again and again, or a stretch that was pasted in twice."""

import numpy as np
import pandas as pd

from pipelines.diagnosis.fault import Fault, Mask, found_rows, number_text, stamp
from pipelines.diagnosis.rows import PRICES, Bars

# Bars on each side that tell how often prices repeat by themselves.
_WINDOW = 500
# Least share of repeats that is taken for chance.
_LEAST = 0.005
# Repeats in a row that are looked at, and how rarely chance may make such a run in the whole file.
_REPEATS = 4
_CHANCE = 1e-7
# Repeats in a row where even the volume is the same and the bar has a range, how often volumes repeat at least, and how
# rare such a run must be: programs trade the same amount every minute.
_WHOLE = 3
_LEAST_WHOLE = 0.001
_CHANCE_WHOLE = 1e-4
# Rows in a row that copy others elsewhere.
_COPIED = 3


def find_stale(bars: Bars) -> tuple[list[Fault], Mask]:
    """``stale_run``: bars that repeat the four prices of the bar before, longer than this market does by itself."""
    count = len(bars)
    if count < 2 * _REPEATS:
        return [], np.zeros(count, dtype=np.bool_)
    again = np.ones(count, dtype=np.bool_)
    again[0] = False
    for name in PRICES:
        again[1:] &= bars.cells[name][1:] == bars.cells[name][:-1]
    volume = bars.cells["volume"]
    same_volume = np.append(False, volume[1:] == volume[:-1])
    ranged = bars.cells["high"] > bars.cells["low"]
    stale = np.zeros(count, dtype=np.bool_)
    starts, ends = _runs(again)
    # How often bars repeat by themselves: at least as often as one of few trades holds a single price.
    usual = {"again": again, "flat": ~ranged, "empty": ~ranged & (volume == 0), "same": same_volume}
    totals = {name: np.append(0, np.cumsum(mask)) for name, mask in usual.items()}
    long = ends - starts >= _WHOLE
    for start, end in zip(starts[long], ends[long], strict=True):
        run = end - start
        low, high = max(start - _WINDOW, 0), min(end + _WINDOW, count)
        inside = slice(start, end)
        counted = ["again"] if ranged[inside].any() else ["again", "flat"] if volume[inside].any() else ["empty"]
        around = [(totals[name][high] - totals[name][low] - run) / max(high - low - run, 1) for name in counted]
        chance = count * max(*around, _LEAST) ** run
        alike = (totals["same"][high] - totals["same"][low] - run) / max(high - low - run, 1)
        whole = bool((same_volume[inside] & ranged[inside]).all()) and volume[start] > 0
        whole &= count * max(float(alike), _LEAST_WHOLE) ** run < _CHANCE_WHOLE
        if whole or (run >= _REPEATS and chance < _CHANCE):
            stale[start:end] = True
    source = _copied(bars, stale)
    stale |= source >= 0
    if not stale.any():
        return [], stale

    def say(place: int) -> str:
        close = number_text(bars.cells["close"][place])
        if source[place] >= 0:
            return f"all prices and the volume as at {stamp(int(bars.at[source[place]]))}"
        return f"open, high, low and close as in the bar before (close={close}), volume={number_text(volume[place])}"

    return [
        found_rows(
            "stale_run",
            bars.number,
            bars.at,
            say,
            "leave these bars out or export them again: the feed stood still",
            where=stale,
        )
    ], stale


def _runs(mask: Mask) -> tuple[np.ndarray, np.ndarray]:
    edges = np.flatnonzero(np.diff(np.concatenate([[False], mask, [False]]).astype(np.int8)))
    return edges[::2], edges[1::2]


def _copied(bars: Bars, stale: Mask) -> np.ndarray:
    """For each bar the earlier bar it copies together with its neighbours, -1 where it copies none."""
    source = np.full(len(bars), -1, dtype=np.int64)
    values = np.column_stack([bars.cells[name] for name in (*PRICES, "volume")])
    usable = np.flatnonzero((bars.cells["high"] > bars.cells["low"]) & (bars.cells["volume"] > 0) & ~stale)
    if len(usable) < 2 * _COPIED:
        return source
    content = pd.util.hash_array(np.ascontiguousarray(values[usable]).view(np.uint64).sum(axis=1))
    repeated = pd.Series(content).duplicated(keep=False).to_numpy()
    usable = usable[repeated]
    if len(usable) < 2 * _COPIED:
        return source
    frame = pd.DataFrame(values[usable])
    earlier = frame.groupby(list(frame.columns), sort=False).ngroup().to_numpy()
    first = pd.Series(np.arange(len(usable))).groupby(earlier).transform("min").to_numpy()
    place = np.flatnonzero(first != np.arange(len(usable)))
    lag = usable[place] - usable[first[place]]
    # A copied stretch: neighbours that copy neighbours.
    joined = (np.diff(usable[place]) == 1) & (np.diff(lag) == 0)
    starts, ends = _runs(joined)
    for start, end in zip(starts, ends, strict=True):
        if end - start + 1 >= _COPIED and lag[start] > 1:
            inside = place[start : end + 1]
            source[usable[inside]] = usable[first[inside]]
    return source
