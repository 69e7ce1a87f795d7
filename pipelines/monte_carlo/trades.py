"""The same trades in another order: how much of a drawdown was the luck of the sequence.

The order of trades changes the path and not its end, so a permutation says something of the drawdown alone. Whoever
also asks what other trades of this kind would have ended in draws them with replacement, which is the bootstrap with
blocks of one trade: ``bootstrap(trade_returns(...), Blocks("circular", 1), ...)``. Both take the trades for
exchangeable: that they came in clusters, or got worse, is what they leave out.
"""

import numpy as np
import pandas as pd
from numba import njit
from numpy.typing import NDArray

from pipelines.monte_carlo.block_table import TOTAL_LOSS
from pipelines.monte_carlo.bootstrap import checked_returns
from pipelines.monte_carlo.random_stream import after, stream, uniform
from trading.errors import ParamsError

Array = NDArray[np.float64]


def trade_returns(returns: pd.Series, held: pd.Series) -> pd.Series:
    """Net return of each trade; compounded, they are the return of the whole.

    A trade is a stretch of bars at whose closes the position has one sign, and the bar in which it is given up. Where a
    position turns round within a bar, that bar is the new trade's.

    Parameters
    ----------
    returns
        Net simple return of each bar, as of :class:`trading.simulator.Simulation`.
    held
        Fraction of equity held at each close, on the same index.

    Returns
    -------
    Series
        ``trade_return``; index ``timestamp``: the first bar of each trade.

    Raises
    ------
    ParamsError
        If the indices differ.
    """
    if not returns.index.equals(held.index):
        raise ParamsError(
            "returns and held positions are over different bars",
            rule="both come from one simulation",
            remedy="give both as the simulation has them",
        )
    side = np.sign(held.to_numpy())
    begins = (side != np.append(0.0, side[:-1])) & (side != 0.0)
    trade = np.cumsum(begins)
    compounded = (1.0 + returns).groupby(trade).prod() - 1.0
    # What precedes the first trade is none.
    return pd.Series(
        compounded.loc[compounded.index > 0].to_numpy(),
        index=pd.DatetimeIndex(returns.index[begins], name="timestamp"),
        name="trade_return",
    )


def permuted_trades(trades: pd.Series, *, paths: int, seed: int, first: int = 0) -> pd.DataFrame:
    """Statistics of the trades in random order, every order equally likely.

    Parameters
    ----------
    trades
        Net simple return of each trade, -1 or more, at least two.
    paths, seed, first
        As :func:`pipelines.monte_carlo.bootstrap.bootstrap` takes them.

    Returns
    -------
    DataFrame
        One row a path: ``total_return`` (the same in all), ``max_drawdown`` as a positive fraction,
        ``time_under_water`` in trades, ``lowest_equity`` of 1 at the start; equity is marked between trades, not within
        them.

    Raises
    ------
    ParamsError
        As :func:`pipelines.monte_carlo.bootstrap.bootstrap` raises it.
    """
    values = checked_returns(trades, paths)
    growth = np.full(len(values), TOTAL_LOSS)
    np.log1p(values, out=growth, where=values > -1.0)
    statistics = permuted_paths(growth, seed, first, paths)
    return pd.DataFrame(
        {
            "total_return": np.expm1(growth.sum()),
            "max_drawdown": -np.expm1(-statistics[0]),
            "time_under_water": statistics[1],
            "lowest_equity": np.exp(statistics[2]),
        },
        index=pd.RangeIndex(first, first + paths, name="path"),
    )


@njit(cache=True, nogil=True)  # type: ignore[misc,unused-ignore]
def permuted_paths(growth: Array, seed: int, first: int, paths: int) -> Array:
    """Kernel of :func:`permuted_trades`.

    The order is shuffled while it is walked: each place takes one of the trades that are left (R. A. Fisher and
    F. Yates, Statistical Tables, 1938; R. Durstenfeld, Communications of the ACM 7, 1964).

    Parameters
    ----------
    growth
        Log growth of each trade.

    Returns
    -------
    array of shape (3, paths)
        Largest drawdown of log equity, longest time under water, lowest log equity.
    """
    n = len(growth)
    statistics = np.empty((3, paths))
    for path in range(paths):
        left = growth.copy()
        counter = stream(seed, first + path)
        level, peak, fall, lowest, since, longest = 0.0, 0.0, 0.0, 0.0, 0, 0
        for trade in range(n):
            counter = after(counter)
            chosen = trade + int(uniform(counter) * (n - trade))
            taken = left[chosen]
            left[chosen] = left[trade]
            level += taken
            if level >= peak:
                longest = max(longest, trade - since)
                peak, since = level, trade + 1
            fall, lowest = max(fall, peak - level), min(lowest, level)
        statistics[0, path], statistics[1, path], statistics[2, path] = fall, max(longest, n - since), lowest
    return statistics
