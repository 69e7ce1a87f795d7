"""Sharpe ratio and drawdown, defined once for the simulator and for everything above it."""

import math

import numpy as np
import pandas as pd
from numpy.typing import NDArray

Vector = NDArray[np.float64] | pd.Series


def sharpe(returns: Vector, periods_per_year: float) -> float:
    """Annualised Sharpe ratio of simple returns over a risk-free rate of zero.

    Mean over sample standard deviation (one degree of freedom off), times the square root of ``periods_per_year``.
    Nan with fewer than two returns, or when they are all equal.
    """
    values = np.asarray(returns, dtype=np.float64)
    # Equal returns have a spread of a rounding error, not of zero; that would be a Sharpe ratio of billions.
    if len(values) < 2 or values.min() == values.max():
        return math.nan
    return float(values.mean() / values.std(ddof=1) * math.sqrt(periods_per_year))


def max_drawdown(equity: Vector) -> float:
    """Largest loss from a peak to a later trough, as a positive fraction of the peak.

    Parameters
    ----------
    equity
        Equity in time order, its first value (above zero) included as a possible peak.

    Returns
    -------
    float
        Between 0 and 1, or above 1 when equity falls below zero; 0 for an empty curve.
    """
    values = np.asarray(equity, dtype=np.float64)
    if not len(values):
        return 0.0
    return float((1.0 - values / np.maximum.accumulate(values)).max())
