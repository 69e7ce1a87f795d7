"""What is said of one path of returns, however it was made: the statistics that a bootstrap gives of each path."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from trading.performance import max_drawdown, sharpe

Array = NDArray[np.float64]


def path_statistics(returns: ArrayLike, periods_per_year: float) -> dict[str, float]:
    """Statistics of a return stream that is at hand, such as a strategy's on simulated bars.

    Parameters
    ----------
    returns
        Simple returns, one a period, in time order; -1 is ruin.
    periods_per_year
        For the annual Sharpe ratio.

    Returns
    -------
    dict
        ``sharpe``, ``total_return``, ``max_drawdown``, ``time_under_water``, ``lowest_equity``, as
        :class:`pipelines.monte_carlo.bootstrap.BootstrapResult` defines them.
    """
    values = np.asarray(returns, dtype=np.float64)
    equity = np.cumprod(np.append(1.0, 1.0 + values))
    dry = np.flatnonzero(equity >= np.maximum.accumulate(equity))
    return {
        "sharpe": sharpe(values, periods_per_year),
        "total_return": float(equity[-1] - 1.0),
        "max_drawdown": max_drawdown(equity),
        "time_under_water": float(np.diff(dry, append=len(equity)).max() - 1),
        "lowest_equity": float(equity.min()),
    }
