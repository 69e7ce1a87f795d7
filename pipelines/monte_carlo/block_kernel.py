"""Resampled paths that are never made: exact statistics of each from running sums over the observed returns.

What a block adds to the sums and to log equity is a difference of two running sums, whatever its length. Peaks and
troughs inside a block matter only where they could: the equity between blocks bounds the path's peak and its drawdown
from below, and the highest and lowest point that a start leads to within a window bounds a block from outside. Only
where the bounds leave it open is a block looked into, bar by bar. So every statistic is that of the whole path.
"""

import numpy as np
from numba import njit
from numpy.typing import NDArray

from pipelines.monte_carlo.random_stream import after, scrambled, stream

Array = NDArray[np.float64]
Whole = NDArray[np.int64]

# Log equity that a total loss adds: no gain that a float can hold brings it back, and sums with it stay finite.
TOTAL_LOSS = -2000.0
# Far above what rounding does to log equity, far below any return.
_ROUNDING = 1e-12
_ZERO, _ONE, _HALF, _LOWER = np.uint64(0), np.uint64(1), np.uint64(32), np.uint64(0xFFFFFFFF)


@njit(cache=True, nogil=True)  # type: ignore[misc,unused-ignore]
def running_sums(returns: Array) -> Array:
    """Running sums over the returns, twice in a row: a block may wrap around the end.

    Returns
    -------
    array of shape (2 n + 1, 3)
        Of the returns, of their squares, of log growth; the first row is zero.
    """
    n = len(returns)
    sums = np.zeros((2 * n + 1, 3))
    for i in range(2 * n):
        value = returns[i % n]
        sums[i + 1, 0] = sums[i, 0] + value
        sums[i + 1, 1] = sums[i, 1] + value * value
        sums[i + 1, 2] = sums[i, 2] + (np.log1p(value) if value > -1.0 else TOTAL_LOSS)
    return sums


@njit(cache=True, nogil=True)  # type: ignore[misc,unused-ignore]
def window_bounds(level: Array, window: int, wide: int) -> Array:
    """Highest and lowest level that each start leads to within two windows, relative to the start's.

    Parameters
    ----------
    level
        Running sum of log growth, shape (2 n + 1,).
    window, wide
        Bars: powers of two, at most n, ``wide`` not below ``window``.

    Returns
    -------
    array of shape (n, 4)
        Highest and lowest within ``window``, highest and lowest within ``wide``.
    """
    n = len(level) // 2
    high, low, bounds = level[1:].copy(), level[1:].copy(), np.empty((n, 4))
    width = 1
    while True:
        for column, bars in ((0, window), (2, wide)):
            if width == bars:
                bounds[:, column], bounds[:, column + 1] = high[:n] - level[:n], low[:n] - level[:n]
        if width >= wide:
            return bounds
        for i in range(2 * n - 2 * width + 1):
            high[i] = max(high[i], high[i + width])
            low[i] = min(low[i], low[i + width])
        width *= 2


@njit(cache=True, nogil=True)  # type: ignore[misc,unused-ignore]
def _aliased(number: np.uint64, table: NDArray[np.uint64], shift: np.uint64) -> np.uint64:
    """Bin that a number of 32 bits stands for: bits above ``shift`` choose one, the others keep it or send on."""
    place = number >> shift
    entry = table[place]
    kept = number - (place << shift) < entry >> _HALF
    return place if kept else entry & _LOWER


@njit(cache=True, nogil=True)  # type: ignore[misc,unused-ignore]
def draw_blocks(counter: np.uint64, fixed: int, table: NDArray[np.uint64], starts: Whole, lengths: Whole) -> int:
    """Draw the blocks of a path.

    Each takes a number of 64 bits: its upper half tells the start, its lower half the length.

    Parameters
    ----------
    counter
        Of the path's random stream.
    fixed
        Length of every block; 0 if the table tells.
    table
        Of :func:`pipelines.monte_carlo.blocks.length_table`.
    starts, lengths
        Written: one entry a block, of n.

    Returns
    -------
    int
        How many blocks.
    """
    n, last = np.uint64(len(starts)), np.uint64(max(len(table), 1) - 1)
    shift = _HALF
    while last >> (_HALF - shift):
        shift -= _ONE
    taken, count = _ZERO, 0
    while taken < n:
        counter = after(counter)
        number = scrambled(counter)
        starts[count] = np.int64(((number >> _HALF) * n) >> _HALF)
        length = np.uint64(fixed)
        if not fixed:
            place = _aliased(number & _LOWER, table, shift)
            while place == last and length < n:
                length += last
                counter = after(counter)
                place = _aliased(scrambled(counter) & _LOWER, table, shift)
            length += place + _ONE
        length = min(length, n - taken)
        lengths[count] = np.int64(length)
        taken += length
        count += 1
    return count


@njit(cache=True, nogil=True)  # type: ignore[misc,unused-ignore]
def _between_blocks(
    sums: Array,
    bounds: Array,
    window: int,
    wide: int,
    starts: Whole,
    lengths: Whole,
    taken: Whole,
    equity: Array,
    high: Array,
    low: Array,
) -> tuple[float, float, float, float]:
    """Walk from block to block.

    Writes how many returns were taken before each block, log equity there and after the last, and bounds of it within
    each block. Returns the sums of returns and of squares, the lowest log equity and the largest drawdown, as seen
    between blocks.
    """
    total, squares, now, peak, lowest, fall, before = 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0
    for i in range(len(starts)):
        start = np.uint64(starts[i])
        end = start + np.uint64(lengths[i])
        column = np.uint64(lengths[i] > window) << _ONE
        taken[i], equity[i] = before, now
        high[i] = now + bounds[start, column] if lengths[i] <= wide else np.inf
        low[i] = now + bounds[start, column + _ONE]
        before += lengths[i]
        total += sums[end, 0] - sums[start, 0]
        squares += sums[end, 1] - sums[start, 1]
        now += sums[end, 2] - sums[start, 2]
        peak = now if now > peak else peak
        lowest = now if now < lowest else lowest
        fall = peak - now if peak - now > fall else fall
    equity[len(starts)] = now
    return total, squares, lowest, fall


@njit(cache=True, nogil=True)  # type: ignore[misc,unused-ignore]
def _inside_blocks(
    level: Array,
    bounds: Array,
    window: int,
    starts: Whole,
    lengths: Whole,
    taken: Whole,
    equity: Array,
    high: Array,
    low: Array,
    lowest: float,
    fall: float,
) -> tuple[float, float, int]:
    """Lowest log equity, largest drawdown and longest time under water, from what blocks hide where bounds allow it."""
    n = len(bounds)
    peak, since, longest = 0.0, 0, 0
    floor = max(lowest, peak - fall)
    for i in range(len(starts)):
        if high[i] < peak and low[i] >= floor:
            continue
        # Everything in a block is reckoned from its start, as its end is: else rounding would part what is equal.
        start, left, before, begun = starts[i], lengths[i], taken[i], equity[i]
        base = level[start]
        while left > 0:
            length = min(left, window)
            now, ahead = begun + (level[start] - base), start if start < n else start - n
            if now + bounds[ahead, 0] > peak - _ROUNDING or now + bounds[ahead, 1] < floor:
                top, bottom = level[start + 1], level[start + 1]
                for bar in range(start + 2, start + length + 1):
                    top = level[bar] if level[bar] > top else top
                    bottom = level[bar] if level[bar] < bottom else bottom
                highest, deepest = begun + (top - base), begun + (bottom - base)
                if highest < peak:
                    fall, lowest = max(fall, peak - deepest), min(lowest, deepest)
                elif deepest >= max(lowest, highest - fall) and max(length, before + length - since - 1) <= longest:
                    # No record but the peak, so all that counts of the bars is where it is.
                    last = length
                    while level[start + last] != top:
                        last -= 1
                    peak, since = highest, before + last
                else:
                    for bar in range(1, length + 1):
                        here = begun + (level[start + bar] - base)
                        if here >= peak:
                            longest = max(longest, before + bar - 1 - since)
                            peak, since = here, before + bar
                        else:
                            fall, lowest = max(fall, peak - here), min(lowest, here)
                floor = max(lowest, peak - fall)
            before += length
            left -= length
            start += length
    return lowest, fall, max(longest, n - since)


@njit(cache=True, nogil=True)  # type: ignore[misc,unused-ignore]
def resample_paths(
    sums: Array,
    bounds: Array,
    window: int,
    wide: int,
    fixed: int,
    table: NDArray[np.uint64],
    points: Whole,
    seed: int,
    first: int,
    paths: int,
) -> tuple[Array, Array]:
    """Statistics of resampled paths.

    Parameters
    ----------
    sums, bounds, window, wide
        From :func:`running_sums` and :func:`window_bounds`.
    fixed, table
        As :func:`draw_blocks` takes them.
    points
        Numbers of returns taken at which log equity is wanted, increasing, above zero.
    seed, first, paths
        Path ``i`` is the one that seed and i tell; from ``first`` on.

    Returns
    -------
    tuple of arrays of shape (5, paths) and (paths, points)
        Per-period Sharpe ratio; log equity at the end; largest drawdown of log equity; lowest log equity; longest time
        under water. And log equity at each point.
    """
    n = len(bounds)
    level = sums[:, 2].copy()
    starts, lengths, taken = np.empty(n, np.int64), np.empty(n, np.int64), np.empty(n, np.int64)
    equity, high, low = np.empty(n + 1), np.empty(n), np.empty(n)
    statistics, at_points = np.empty((5, paths)), np.empty((paths, len(points)))
    for path in range(paths):
        count = draw_blocks(stream(seed, first + path), fixed, table, starts, lengths)
        begun, long = starts[:count], lengths[:count]
        total, squares, lowest, fall = _between_blocks(
            sums, bounds, window, wide, begun, long, taken, equity, high, low
        )
        lowest, fall, longest = _inside_blocks(
            level, bounds, window, begun, long, taken, equity, high, low, lowest, fall
        )
        block = 0
        for point in range(len(points)):
            while taken[block] + long[block] < points[point]:
                block += 1
            start = begun[block]
            at_points[path, point] = equity[block] + (level[start + points[point] - taken[block]] - level[start])
        mean = total / n
        variance = (squares - n * mean**2) / (n - 1)
        # The difference of two equal sums is not exactly zero.
        even = variance <= 1e-12 * squares / n
        statistics[0, path] = np.nan if even else mean / np.sqrt(variance)
        statistics[1, path] = equity[count]
        statistics[2, path] = fall
        statistics[3, path] = lowest
        statistics[4, path] = longest
    return statistics, at_points
