"""Longer bars on the clock, built from base bars as they come, and seen only when complete.

A longer bar in which base bars are missing is made of the others; it too is complete at its clock end. One without any
base bar does not exist. They start at whole multiples of their length, counted from a Monday midnight UTC.
"""

import numpy as np
from numba import njit
from numpy.typing import NDArray

from pipelines.features.kernels import Array

# 1970-01-05, in seconds: midnight, the hours that divide a day, Mondays.
ORIGIN = 4 * 86_400.0

# State: number of the longer bar under way, 1 if there is one, its open, high, low, close, volume.
START = np.zeros(7)


@njit(cache=True)
def complete(
    opened: Array, bars: Array, bar: float, length: float, state: Array, out: Array, seen: NDArray[np.int64]
) -> int:
    """Take base bars, and give the longer bars that they complete.

    Parameters
    ----------
    opened
        Stamps of n bars, seconds since 1970.
    bars
        Their open, high, low, close and volume: shape (5, n).
    bar, length
        Lengths of both, seconds.
    state
        The longer bar under way; changed.
    out
        Complete longer bars are written here: shape (6, at least n + 1); the last row is the close, seconds.
    seen
        For each of the n bars, how many longer bars were complete at its close.

    Returns
    -------
    int
        Number of longer bars written.
    """
    count = 0
    for i in range(len(opened)):
        number = np.floor((opened[i] - ORIGIN) / length)
        if state[1] > 0.0 and number > state[0]:
            _close(state, length, out, count)
            count += 1
        if state[1] == 0.0:
            state[0], state[1] = number, 1.0
            state[2], state[3], state[4] = bars[0, i], bars[1, i], bars[2, i]
            state[6] = 0.0
        state[3] = max(state[3], bars[1, i])
        state[4] = min(state[4], bars[2, i])
        state[5] = bars[3, i]
        state[6] += bars[4, i]
        if opened[i] + bar >= ORIGIN + (number + 1.0) * length:
            _close(state, length, out, count)
            count += 1
        seen[i] = count
    return count


@njit(cache=True)
def _close(state: Array, length: float, out: Array, at: int) -> None:
    for k in range(5):
        out[k, at] = state[2 + k]
    out[5, at] = ORIGIN + (state[0] + 1.0) * length
    state[1] = 0.0
