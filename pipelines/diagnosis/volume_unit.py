"""Volumes that change their unit between two bars, told by the volumes alone."""

from itertools import pairwise

import numpy as np
import pandas as pd

from pipelines.diagnosis.fault import Fault, Floats, Kind, found_rows, number_text
from pipelines.diagnosis.levels import merge_levels
from pipelines.diagnosis.rows import Bars

# Volumes of whole stretches differ by this much (in logs) where the unit changes. Real markets reach it for hours in a
# crash, but the stretch behind the step does not keep this share of it.
_STEP = 3.3
_KEPT = 0.6
# Bars on each side whose median volumes are compared; all of them must show the step.
_WINDOWS = (12, 48, 192)
_BLOCK = 12
# What a step may be about, beside the price itself: powers of ten.
_UNITS = np.log(10.0) * np.array([2, 3, 5, 6, 8])
# How near (in logs) the price a step must be to be one from base to quote volume.
_NEAR_PRICE = 0.7


def find_volume_change(bars: Bars) -> list[Fault]:
    """``volume_unit_change``, or ``volume_swapped`` where the step is the price: quote volume in a stretch.

    Compared are medians over 12, 48 and 192 bars on both sides of every twelfth bar: where all of them show a step that
    markets do not make, the unit changed.
    """
    volume = bars.cells["volume"]
    traded = np.flatnonzero(np.isfinite(volume) & (volume > 0))
    if len(traded) < 4 * _BLOCK:
        return []
    logs = np.log(volume[traded])
    jumps = _lasting(logs, _volume_steps(logs))
    if not jumps:
        return []
    offset = np.zeros(len(logs))
    for place, size in jumps:
        offset[place:] += size
    level = merge_levels(np.rint(offset / (_STEP / 2)).astype(np.int64))
    values, counts = np.unique(level, return_counts=True)
    place = jumps[0][0]
    size = float(np.mean([abs(step) for _, step in jumps]))
    price = float(np.median(np.log(bars.cells["close"][traded[max(place - _BLOCK, 0) : place + _BLOCK]])))
    swapped = abs(size - abs(price)) < min(_NEAR_PRICE, float(np.abs(size - _UNITS).min()))
    # Quote volume is the larger one where a coin costs more than one unit of money.
    in_quote = level == (values.max() if price > 0 else values.min())
    wrong = in_quote if swapped else level != int(values[counts.argmax()])
    if not wrong.any():
        return []
    factor = number_text(float(np.exp(size)))
    kind: Kind = "volume_swapped" if swapped else "volume_unit_change"
    remedy = (
        "write the volume in base units throughout: in this stretch it is about the base volume times the price"
        if swapped
        else f"write the volume in one unit throughout: its level changes by a factor of about {factor} from one bar "
        "to the next (thousands, contracts or hundredths of a coin)"
    )
    return [
        found_rows(
            kind,
            bars.number,
            bars.at,
            lambda row: f"volume={number_text(volume[row])}, about {factor} times off the rest",
            remedy,
            where=traded[wrong],
        )
    ]


def _volume_steps(logs: Floats) -> list[tuple[int, float]]:
    """Places (positions in ``logs``) and sizes of steps, found on medians of blocks and then placed exactly."""
    blocks = len(logs) // _BLOCK
    medians = np.median(logs[: blocks * _BLOCK].reshape(blocks, _BLOCK), axis=1)
    series = pd.Series(medians)
    steps = []
    for window in (size // _BLOCK for size in _WINDOWS):
        least = max(1, window // 2)
        before = series.rolling(window, min_periods=least).median().to_numpy()
        after = series[::-1].rolling(window, min_periods=least).median().to_numpy()[::-1]
        # Between block i - 1 and block i + 1: the step may lie within block i.
        step = np.full(blocks, np.nan)
        step[1:-1] = after[2:] - before[:-2]
        steps.append(step)
    stacked = np.array(steps)
    alike = np.isfinite(stacked).all(axis=0) & (np.abs(np.sign(stacked).sum(axis=0)) == len(steps))
    strength = np.where(alike, np.abs(np.nan_to_num(stacked)).min(axis=0), 0.0)
    found = []
    block = 0
    while block < blocks:
        if strength[block] <= _STEP:
            block += 1
            continue
        end = block
        while end < blocks and strength[end] > _STEP:
            end += 1
        peak = block + int(strength[block:end].argmax())
        place = _sharpest(logs, (peak - 2) * _BLOCK, (peak + 3) * _BLOCK)
        sizes = [np.median(logs[place : place + w]) - np.median(logs[max(place - w, 0) : place]) for w in _WINDOWS]
        size = float(np.median(sizes))
        found.append((place, size))
        block = end + 1
    return found


def _lasting(logs: Floats, steps: list[tuple[int, float]]) -> list[tuple[int, float]]:
    """Steps whose level the whole stretch behind them keeps; the weakest of the others is dropped until all are."""
    while steps:
        edges = [0, *(place for place, _ in steps), len(logs)]
        levels = [float(np.median(logs[low:high])) for low, high in pairwise(edges)]
        kept = [(levels[at + 1] - levels[at]) / size for at, (_, size) in enumerate(steps)]
        weakest = int(np.argmin(kept))
        if kept[weakest] > _KEPT:
            return steps
        steps = steps[:weakest] + steps[weakest + 1 :]
    return []


def _sharpest(logs: Floats, low: int, high: int) -> int:
    """Where to cut a stretch so that each part lies closest to its own mean."""
    low, high = max(low, 0), min(high, len(logs))
    part = logs[low:high]
    total = np.cumsum(part)
    cut = np.arange(1, len(part))
    left, right = total[:-1] / cut, (total[-1] - total[:-1]) / (len(part) - cut)
    return low + 1 + int((cut * (len(part) - cut) * (left - right) ** 2).argmax())
