"""Exact moments of trailing windows.

Running sums drift: after a large value has passed, what its subtraction leaves behind depends on the whole history.
Here every window is summed afresh, so that a value depends on the rows of its window and on nothing else.
"""

from collections.abc import Callable

import numpy as np
import talib
from numpy.lib.stride_tricks import sliding_window_view

from pipelines.features.feature import FLOOR
from pipelines.features.market import Array

# What rounding leaves of prices that do not move, relative to their level, is below this.
ROUNDING = 1e-12

# And of returns or volumes that do not vary, relative to the largest of them.
SPREAD = 1e-9


def rolling(values: Array, bars: int, reduce: Callable[[Array], Array]) -> Array:
    """Reduce each trailing window.

    Parameters
    ----------
    values
        n values.
    bars
        Length of the window.
    reduce
        Takes windows as rows, oldest value first, and gives one value for each.

    Returns
    -------
    ndarray
        n values; NaN where the window is not full.
    """
    out = np.full(len(values), np.nan)
    if len(values) >= bars:
        out[bars - 1 :] = reduce(sliding_window_view(values, bars))
    return out


def mean(values: Array, bars: int) -> Array:
    """Mean of each trailing window."""
    return rolling(values, bars, lambda window: window.mean(axis=1))


def total(values: Array, bars: int) -> Array:
    """Sum of each trailing window."""
    return rolling(values, bars, lambda window: window.sum(axis=1))


def deviation(values: Array, bars: int, ddof: int = 0) -> Array:
    """Standard deviation of each trailing window."""
    return rolling(values, bars, lambda window: window.std(axis=1, ddof=ddof))


def correlation(a: Array, b: Array, bars: int) -> Array:
    """Pearson correlation over each trailing window; 0 where either does not vary."""
    out = np.full(len(a), np.nan)
    if len(a) >= bars:
        first, second = (_standardised(sliding_window_view(values, bars)) for values in (a, b))
        out[bars - 1 :] = np.clip((first * second).mean(axis=1), -1.0, 1.0)
    return out


def skewness(values: Array, bars: int) -> Array:
    """Third standardised moment of each trailing window; 0 where nothing varies."""

    def third_moment(window: Array) -> Array:
        scores = _standardised(window)
        return np.asarray((scores * scores * scores).mean(axis=1))  # many times faster than a power

    return rolling(values, bars, third_moment)


def _standardised(window: Array) -> Array:
    away = window - window.mean(axis=1, keepdims=True)
    spread = away.std(axis=1, keepdims=True)
    floor = SPREAD * np.abs(window).max(axis=1, keepdims=True)
    out: Array = np.zeros_like(away)
    np.divide(away, spread, out=out, where=~(spread <= floor))
    return out


def from_last(window: Array) -> Array:
    """Each value of a window as its relative distance from the window's last one: exactly zero when nothing moved."""
    away: Array = window / window[:, -1:] - 1.0
    return away


def ratio(above: Array, below: Array, neutral: float = 0.0, floor: float = 0.0) -> Array:
    """``above / below``, and ``neutral`` where ``below`` is no larger than ``floor``; NaN stays NaN."""
    out = np.full(len(above), neutral)
    np.divide(above, below, out=out, where=~(below <= floor))
    return out


def balance(a: Array, b: Array, floor: float = 0.0) -> Array:
    """``(a - b) / (a + b)`` of two non-negative quantities: 0 where their sum is no larger than ``floor``."""
    return ratio(a - b, a + b, floor=floor)


def wilder(values: Array, bars: int) -> Array:
    """Wilder's smoothing: an exponential average with weight 1/bars for the newest value."""
    return np.asarray(talib.EMA(values, 2 * bars - 1))


def settle(value: Array, activity: Array, neutral: float = 0.0) -> Array:
    """Draw a ratio to its neutral value where the activity it is measured on, as a fraction of price, fades away."""
    return neutral + (value - neutral) * (activity / (activity + FLOOR))
