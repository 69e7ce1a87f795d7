"""Resampled paths that are never made: exact statistics of each from running sums over the observed returns.

What a block adds to the sums and to log equity is a difference of two running sums, whatever its length. Where its
highest and its lowest point are, a bit for each bar after its start tells: the last record within the block. Only where
a block sets a new peak and may hide the deepest fall or the longest stretch below a peak is it walked, bar by bar. So
every statistic is that of the whole path.
"""

from typing import Any

import numpy as np
from numba import njit, types
from numba.extending import intrinsic
from numpy.typing import NDArray

from pipelines.monte_carlo.block_table import REACH
from pipelines.monte_carlo.random_stream import after, scrambled, stream

Array = NDArray[np.float64]
Whole = NDArray[np.int64]

_ZERO, _ONE, _HALF, _LOWER = np.uint64(0), np.uint64(1), np.uint64(32), np.uint64(0xFFFFFFFF)
_SIGN, _REACH, _ALL = np.uint64(63), np.uint64(REACH), np.uint64(0xFFFFFFFFFFFFFFFF)


@intrinsic  # type: ignore[misc,unused-ignore]
def bit_length(typing: Any, number: Any) -> Any:
    """Place of the highest bit that is set in a number above zero, the lowest being 1."""

    def written(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        zeros = builder.ctlz(arguments[0], context.get_constant(types.boolean, True))
        return builder.sub(context.get_constant(types.uint64, 64), zeros)

    return types.uint64(types.uint64), written


@njit(cache=True, nogil=True, inline="always")  # type: ignore[misc,unused-ignore]
def _aliased(number: np.uint64, lengths: NDArray[np.uint64], shift: np.uint64) -> np.uint64:
    """Bin that a number of 32 bits stands for: bits above ``shift`` choose one, the others keep it or send on."""
    place = number >> shift
    entry = lengths[place]
    alias = entry & _LOWER
    # All bits if the difference is negative, so if it is kept: a branch would be mispredicted every other time.
    kept = _ZERO - ((number - (place << shift) - (entry >> _HALF)) >> _SIGN)
    chosen: np.uint64 = alias ^ ((alias ^ place) & kept)
    return chosen


@njit(cache=True, nogil=True)  # type: ignore[misc,unused-ignore]
def _walk(
    counter: np.uint64,
    table: NDArray[np.void],
    level: Array,
    fixed: np.uint64,
    lengths: NDArray[np.uint64],
    points: Whole,
    at_points: Array,
) -> tuple[float, float, float, float, float, np.uint64]:
    """Draw the blocks of a path and walk from one to the next.

    Each takes a number of 64 bits: its upper half tells the start, its lower half the length. Writes log equity at the
    points. Returns the sums of returns and of squares, log equity at the end, the largest drawdown of it, the lowest,
    and the longest time under water.
    """
    n, last, shift = np.uint64(len(level) // 2), np.uint64(max(len(lengths), 1) - 1), _HALF
    while last >> (_HALF - shift):
        shift -= _ONE
    total, squares, now, peak, lowest, fall = 0.0, 0.0, 0.0, 0.0, 0.0, 0.0
    before, since, longest, point = _ZERO, _ZERO, _ZERO, 0
    while before < n:
        counter = after(counter)
        number = scrambled(counter)
        start = ((number >> _HALF) * n) >> _HALF
        left = fixed
        if fixed == _ZERO:
            place = _aliased(number & _LOWER, lengths, shift)
            while place == last and left < n:
                left += last
                counter = after(counter)
                place = _aliased(scrambled(counter) & _LOWER, lengths, shift)
            left += place + _ONE
        left = min(left, n - before)
        end = start + left
        total += table["returns"][end] - table["returns"][start]
        squares += table["squares"][end] - table["squares"][start]
        # Everything in a block is reckoned from its start, as its end is: else rounding would part what is equal.
        base, begun = table["level"][start], now
        now += table["level"][end] - base
        while left > _ZERO:
            length = min(left, _REACH)
            within = _ALL >> (_REACH - length)
            summit = bit_length(table["highs"][start] & within)
            highest = begun + (level[start + summit] - base)
            deepest = begun + (level[start + bit_length(table["lows"][start] & within)] - base)
            rises = highest >= peak
            if rises and (highest - deepest > fall or before + length - since - _ONE > longest):
                for bar in range(_ONE, length + _ONE):
                    here = begun + (level[start + bar] - base)
                    if here >= peak:
                        longest = max(longest, before + bar - _ONE - since)
                        peak, since = here, before + bar
                    else:
                        fall = max(fall, peak - here)
            else:
                fall = fall if rises else max(fall, peak - deepest)
                since = before + summit if rises else since
                peak = highest if rises else peak
            lowest = min(lowest, deepest)
            while point < len(points) and np.uint64(points[point]) <= before + length:
                at_points[point] = begun + (level[start + (np.uint64(points[point]) - before)] - base)
                point += 1
            before += length
            start += length
            left -= length
    return total, squares, now, fall, lowest, max(longest, n - since)


@njit(cache=True, nogil=True)  # type: ignore[misc,unused-ignore]
def resample_paths(
    table: NDArray[np.void],
    fixed: int,
    lengths: NDArray[np.uint64],
    points: Whole,
    seed: int,
    first: int,
    paths: int,
) -> tuple[Array, Array]:
    """Statistics of resampled paths.

    Parameters
    ----------
    table
        Of :func:`pipelines.monte_carlo.block_table.block_table`.
    fixed
        Length of every block; 0 if the table of lengths tells.
    lengths
        Of :func:`pipelines.monte_carlo.blocks.length_table`.
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
    n, level = len(table) // 2, table["level"].copy()
    statistics, at_points = np.empty((5, paths)), np.empty((paths, len(points)))
    for path in range(paths):
        total, squares, end, fall, lowest, longest = _walk(
            stream(seed, first + path), table, level, np.uint64(fixed), lengths, points, at_points[path]
        )
        mean = total / n
        variance = (squares - n * mean**2) / (n - 1)
        # The difference of two equal sums is not exactly zero.
        even = variance <= 1e-12 * squares / n
        statistics[0, path] = np.nan if even else mean / np.sqrt(variance)
        statistics[1, path] = end
        statistics[2, path] = fall
        statistics[3, path] = lowest
        statistics[4, path] = longest
    return statistics, at_points
