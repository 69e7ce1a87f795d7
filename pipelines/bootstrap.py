"""Stationary bootstrap of a return stream: what else could have happened with returns like these.

Politis, D. N. and Romano, J. P. (1994), "The Stationary Bootstrap", JASA 89(428): a path is made of blocks of the
observed returns, each from a random start, of geometric length, wrapping around the end. Blocks keep what dependence
there is between neighbouring returns.

Paths are never materialised. Every stretch of 2**k returns is summarised once: moments add up, and so do log equity
and its extremes and drawdown, by one rule for joining neighbours. A block is then a few joins instead of a walk, and
the drawdown is exact.
"""

import math
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numba import njit
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float64]
Summary = tuple[float, float, float, float, float, float]

QUANTILES = {"p05": 0.05, "p25": 0.25, "p50": 0.50, "p75": 0.75, "p95": 0.95}
_FAN_POINTS = 200


@dataclass(frozen=True, eq=False)
class BootstrapResult:
    """Statistics of resampled paths.

    Parameters
    ----------
    sharpe
        Annualised Sharpe ratio of each path, shape (paths,); nan for a path without variance.
    total_return
        Simple return over each whole path.
    max_drawdown
        Largest loss from a peak, the start included, as a positive fraction.
    fan
        Quantiles ``p05 p25 p50 p75 p95`` of equity (1 at the start) across paths; index ``bar``: number of returns
        taken, from 0 to all, at most 200 rows.
    """

    sharpe: Array
    total_return: Array
    max_drawdown: Array
    fan: pd.DataFrame


def stationary_bootstrap(
    returns: ArrayLike, paths: int, block: float, seed: int, periods_per_year: float
) -> BootstrapResult:
    """Resample paths as long as the observed one.

    Parameters
    ----------
    returns
        Simple returns, one a period, in time order; -1 is ruin.
    paths
        Number of paths.
    block
        Mean length of a block in periods, at least 1 (independent draws).
    seed
        Of the generator; the same seed gives the same paths.
    periods_per_year
        For annual Sharpe ratios.

    Raises
    ------
    ValueError
        If there are no two returns, one is NaN, infinite or below -1, or ``paths`` or ``block`` is below 1.
    """
    values = _returns(returns)
    _check(paths, block)
    points = np.unique(np.linspace(0, len(values), min(len(values) + 1, _FAN_POINTS)).round().astype(np.int64))
    table = summaries(values, _levels(len(values), block))
    sharpe, log_equity, drawdown, levels = resample_paths(
        table, paths, float(block), points[1:], np.random.default_rng(seed)
    )
    equity = np.exp(np.vstack([np.zeros(paths), levels]))
    fan = np.quantile(equity, list(QUANTILES.values()), axis=1).T
    return BootstrapResult(
        sharpe=sharpe * math.sqrt(periods_per_year),
        total_return=np.expm1(log_equity),
        max_drawdown=-np.expm1(-drawdown),
        fan=pd.DataFrame(fan, index=pd.Index(points, name="bar"), columns=list(QUANTILES)),
    )


def paired_difference(
    a: ArrayLike, b: ArrayLike, paths: int, block: float, seed: int, periods_per_year: float
) -> Array:
    """Resampled differences of two annual Sharpe ratios, ``a`` minus ``b``, over the same bars.

    Both streams are resampled by the same blocks, so what they share cancels.

    Parameters
    ----------
    a, b
        Simple returns over the same periods, in time order.
    paths, block, seed, periods_per_year
        As for :func:`stationary_bootstrap`.

    Returns
    -------
    array
        Shape (paths,); nan where a path of either has no variance.

    Raises
    ------
    ValueError
        As for :func:`stationary_bootstrap`, and if the streams differ in length or, both being Series, in index.
    """
    if isinstance(a, pd.Series) and isinstance(b, pd.Series) and not a.index.equals(b.index):
        raise ValueError("the two return streams are over different bars")
    first, second = _returns(a), _returns(b)
    if len(first) != len(second):
        raise ValueError(f"{len(first)} and {len(second)} returns: expected the same bars")
    _check(paths, block)
    levels = _levels(len(first), block)
    # The generator starts anew for each stream: same seed, same blocks.
    ratios = [
        resample_paths(summaries(values, levels), paths, float(block), _NOWHERE, np.random.default_rng(seed))[0]
        for values in (first, second)
    ]
    difference: Array = (ratios[0] - ratios[1]) * math.sqrt(periods_per_year)
    return difference


def optimal_block(returns: ArrayLike) -> float:
    """Mean block length that suits the dependence of the returns, in periods, at least 1.

    Politis and White (2004), corrected by Patton, Politis and White (2009), as implemented by ``arch``. Returns that
    are all equal have no dependence: 1.
    """
    from arch.bootstrap import optimal_block_length

    values = _returns(returns)
    if values.min() == values.max():
        return 1.0
    return max(float(optimal_block_length(values)["stationary"].iloc[0]), 1.0)


@njit(cache=True, nogil=True)  # type: ignore[misc,unused-ignore]
def summaries(returns: Array, levels: int) -> Array:
    """Summary of the 2**k returns from each start, wrapping around.

    Returns
    -------
    array
        Shape (levels, returns, 6): sum and sum of squares of the returns; log equity at the end, its highest and
        lowest value and its drawdown, all relative to the stretch's start, which they include.
    """
    n = len(returns)
    table = np.empty((levels, n, 6))
    for start in range(n):
        growth = np.log1p(returns[start])
        table[0, start, 0] = returns[start]
        table[0, start, 1] = returns[start] ** 2
        table[0, start, 2] = growth
        table[0, start, 3] = max(growth, 0.0)
        table[0, start, 4] = min(growth, 0.0)
        table[0, start, 5] = max(-growth, 0.0)
    for level in range(1, levels):
        shorter = table[level - 1]
        for start in range(n):
            joined = _join(_summary(shorter, start), _summary(shorter, (start + (1 << (level - 1))) % n))
            for column in range(6):
                table[level, start, column] = joined[column]
    return table


@njit(cache=True, nogil=True)  # type: ignore[misc,unused-ignore]
def _summary(stretches: Array, start: int) -> Summary:
    return (
        stretches[start, 0],
        stretches[start, 1],
        stretches[start, 2],
        stretches[start, 3],
        stretches[start, 4],
        stretches[start, 5],
    )


@njit(cache=True, nogil=True)  # type: ignore[misc,unused-ignore]
def _join(left: Summary, right: Summary) -> Summary:
    """Summary of a stretch followed by another. The new drawdown may be from a peak in one to a trough in the other."""
    total, squares, end, high, low, drawdown = left
    return (
        total + right[0],
        squares + right[1],
        end + right[2],
        max(high, end + right[3]),
        min(low, end + right[4]),
        max(drawdown, right[5], high - (end + right[4])),
    )


@njit(cache=True, nogil=True)  # type: ignore[misc,unused-ignore]
def resample_paths(
    table: Array, paths: int, block: float, points: NDArray[np.int64], generator: np.random.Generator
) -> tuple[Array, Array, Array, Array]:
    """Kernel of the bootstrap.

    Each block takes two draws: its length is ``1 + floor(E * scale)`` with E standard exponential, which is geometric
    with mean ``block``, and its start is ``floor(U * n)``.

    Parameters
    ----------
    table
        From :func:`summaries`.
    block
        Mean length of a block.
    points
        Numbers of returns taken at which log equity is wanted, increasing.

    Returns
    -------
    tuple of arrays
        Per-period Sharpe ratio, log equity at the end and largest drawdown of log equity, shape (paths,); log equity
        at each point, shape (points, paths).
    """
    levels, n, _ = table.shape
    sharpe, log_equity, drawdown = np.empty(paths), np.empty(paths), np.empty(paths)
    at_points = np.empty((len(points), paths))
    top = 1 << (levels - 1)
    longest = np.zeros(top + 1, dtype=np.int64)  # longest[m]: level of the longest stretch of at most m returns
    for room in range(2, top + 1):
        longest[room] = longest[room >> 1] + 1
    scale = 0.0 if block == 1.0 else -1.0 / np.log1p(-1.0 / block)
    for path in range(paths):
        summary = (0.0, 0.0, 0.0, 0.0, 0.0, 0.0)
        taken, point = 0, 0
        while taken < n:
            left = min(1 + int(generator.standard_exponential() * scale), n - taken)
            start = int(generator.random() * n)
            while left > 0:
                # The longest summarised stretch that passes neither the block's end nor the next point.
                room = left if point == len(points) else min(left, points[point] - taken)
                level = longest[min(room, top)]
                length = 1 << level
                summary = _join(summary, _summary(table[level], start))
                start += length
                if start >= n:
                    start -= n
                taken += length
                left -= length
                if point < len(points) and taken == points[point]:
                    at_points[point, path] = summary[2]
                    point += 1
        mean = summary[0] / n
        variance = (summary[1] - n * mean**2) / (n - 1)
        # The difference of two equal sums is not exactly zero.
        even = variance <= 1e-14 * summary[1] / n
        sharpe[path] = np.nan if even else mean / np.sqrt(variance)
        log_equity[path] = summary[2]
        drawdown[path] = summary[5]
    return sharpe, log_equity, drawdown, at_points


_NOWHERE = np.empty(0, dtype=np.int64)


def _levels(n: int, block: float) -> int:
    """Levels of the table: few blocks are longer than four times the mean, and a stretch never exceeds the sample."""
    return 1 + int(math.log2(min(max(4.0 * block, 1.0), n)))


def _returns(returns: ArrayLike) -> Array:
    values = np.array(returns, dtype=np.float64)
    if values.ndim != 1 or len(values) < 2:
        raise ValueError(f"returns of shape {values.shape}: expected one column with at least two rows")
    if not ((values >= -1.0) & (values < np.inf)).all():
        raise ValueError("a return is NaN, infinite or below -1")
    return values


def _check(paths: int, block: float) -> None:
    if paths < 1 or not 1.0 <= block < math.inf:
        raise ValueError(f"{paths=}, {block=}: expected at least 1 each")
