"""Block bootstrap of a return stream: what else could have happened with returns like these.

Paths as long as the observed stream are made of blocks of it, which keep what dependence there is between neighbouring
returns (:mod:`pipelines.monte_carlo.blocks`), and are never held in memory (:mod:`pipelines.monte_carlo.block_kernel`).
"""

import math
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from pipelines.monte_carlo.block_kernel import resample_paths
from pipelines.monte_carlo.block_table import block_table
from pipelines.monte_carlo.blocks import Blocks, length_table
from trading.errors import ParamsError

Array = NDArray[np.float64]

QUANTILES = {"p05": 0.05, "p25": 0.25, "p50": 0.50, "p75": 0.75, "p95": 0.95}


@dataclass(frozen=True, eq=False)
class BootstrapResult:
    """Statistics of resampled paths.

    Parameters
    ----------
    statistics
        One row a path, index ``path``: its number. ``sharpe``: annualised, nan for a path without variance.
        ``total_return``: simple, over the whole path. ``max_drawdown``: largest loss from a peak, the start included,
        as a positive fraction. ``time_under_water``: longest stretch, in periods, below an earlier peak, the start
        included. ``lowest_equity``: of 1 at the start, which is included.
    fan
        Quantiles ``p05 p25 p50 p75 p95`` of equity (1 at the start) across paths; index ``bar``: number of returns
        taken, from 0 to all.
    """

    statistics: pd.DataFrame
    fan: pd.DataFrame

    def ruined(self, ruin: float) -> pd.Series:
        """Whether each path's equity was ever at or below a fraction of the start."""
        return self.statistics["lowest_equity"] <= ruin


def bootstrap(
    returns: ArrayLike,
    blocks: Blocks,
    *,
    paths: int,
    seed: int,
    periods_per_year: float,
    fan_points: int,
    first: int = 0,
) -> BootstrapResult:
    """Resample paths as long as the observed one.

    Parameters
    ----------
    returns
        Simple returns, one a period, in time order; -1 is ruin.
    blocks
        Of which paths are made.
    paths
        Number of paths.
    seed
        Path number i is told by seed and i, whatever is drawn beside it.
    periods_per_year
        For annual Sharpe ratios.
    fan_points
        Rows of the fan, spread evenly, start and end included; fewer where there are fewer bars; 0 for none. Each
        holds a number of every path while paths are drawn.
    first
        Number of the first path: where an earlier batch ended.

    Raises
    ------
    ParamsError
        If there are no two returns, one is NaN, infinite or below -1, or there is no path to draw.
    """
    values = checked_returns(returns, paths)
    points = np.unique(np.linspace(0, len(values), min(len(values) + 1, fan_points)).round().astype(np.int64))
    kernel, levels = _resampled(values, blocks, points[1:], seed, first, paths)
    sharpe, log_equity, fall, lowest, longest = kernel
    fan = np.ones((len(points), len(QUANTILES)))
    for row, level in enumerate(levels.T, start=1):
        fan[row] = _equity_quantiles(level)
    return BootstrapResult(
        statistics=pd.DataFrame(
            {
                "sharpe": sharpe * math.sqrt(periods_per_year),
                "total_return": np.expm1(log_equity),
                "max_drawdown": -np.expm1(-fall),
                "time_under_water": longest,
                "lowest_equity": np.exp(lowest),
            },
            index=pd.RangeIndex(first, first + paths, name="path"),
        ),
        fan=pd.DataFrame(fan, index=pd.Index(points, name="bar"), columns=list(QUANTILES)),
    )


def paired_difference(
    a: ArrayLike, b: ArrayLike, paths: int, block: float, seed: int, periods_per_year: float
) -> Array:
    """Resampled differences of two annual Sharpe ratios, ``a`` minus ``b``, over the same bars.

    Both streams are resampled by the same stationary blocks, so what they share cancels.

    Parameters
    ----------
    a, b
        Simple returns over the same periods, in time order.
    block
        Mean length of a block in periods, at least 1.
    paths, seed, periods_per_year
        As for :func:`bootstrap`.

    Returns
    -------
    array
        Shape (paths,); nan where a path of either has no variance.

    Raises
    ------
    ParamsError
        As for :func:`bootstrap`, and if the streams differ in length or, both being Series, in index.
    """
    if isinstance(a, pd.Series) and isinstance(b, pd.Series) and not a.index.equals(b.index):
        raise ParamsError(
            "the two return streams are over different bars",
            rule="pairs are compared bar by bar",
            remedy="give both streams over the bars that they share",
        )
    first, second = checked_returns(a, paths), checked_returns(b, paths)
    if len(first) != len(second):
        raise ParamsError(
            f"{len(first)} and {len(second)} returns",
            rule="pairs are compared bar by bar",
            remedy="give both streams over the bars that they share",
        )
    blocks, nowhere = Blocks("stationary", block), np.empty(0, dtype=np.int64)
    ratios = [_resampled(values, blocks, nowhere, seed, 0, paths)[0][0] for values in (first, second)]
    difference: Array = (ratios[0] - ratios[1]) * math.sqrt(periods_per_year)
    return difference


def _resampled(
    values: Array, blocks: Blocks, points: NDArray[np.int64], seed: int, first: int, paths: int
) -> tuple[Array, Array]:
    """What the kernel says."""
    fixed = min(int(blocks.length), len(values)) if blocks.kind == "circular" else 0
    result: tuple[Array, Array] = resample_paths(
        block_table(values), fixed, length_table(blocks), points, seed, first, paths
    )
    return result


def _equity_quantiles(log_equity: Array) -> Array:
    """``QUANTILES`` of equity, interpolated linearly; sorting no more than that takes."""
    place = np.array(list(QUANTILES.values())) * (len(log_equity) - 1)
    below, above = np.floor(place).astype(np.int64), np.ceil(place).astype(np.int64)
    ordered = np.partition(log_equity, np.union1d(below, above))
    low, high = np.exp(ordered[below]), np.exp(ordered[above])
    quantiles: Array = low + (high - low) * (place - below)
    return quantiles


def checked_returns(returns: ArrayLike, paths: int) -> Array:
    """Returns to resample, as an array; raises as :func:`bootstrap` does."""
    values = np.array(returns, dtype=np.float64)
    if values.ndim != 1 or len(values) < 2:
        raise ParamsError(
            f"returns of shape {values.shape}",
            rule="one column with at least two rows",
            remedy="give the net returns of a backtest",
        )
    if not ((values >= -1.0) & (values < np.inf)).all():
        raise ParamsError(
            "a return is NaN, infinite or below -1",
            rule="nobody loses more than all",
            remedy="correct the stream of returns",
        )
    if paths < 1:
        raise ParamsError(f"{paths} paths", rule="at least 1", remedy="ask for more")
    return values
