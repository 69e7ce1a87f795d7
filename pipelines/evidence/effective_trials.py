"""How many independent things a number of correlated trials amounts to.

Fifty settings of one family trade nearly alike: the best of them owes less to luck than the best of fifty that have
nothing to do with each other. The effective number is that of independent trials whose best would owe as much.
"""

import math
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.optimize import brentq
from scipy.special import ndtr

Array = NDArray[np.float64]

# Of fewer days nobody can say what they have to do with other days.
_FEWEST_DAYS = 20
_DRAWS = 4096
_AT_ONCE = 512
_GRID: Array = np.linspace(-9.0, 9.0, 3601)


def daily_frame(trials: Sequence[Mapping[str, Any]]) -> pd.DataFrame:
    """Net returns of trials by day (UTC), one column a trial; NaN on days that a trial was not judged on.

    Parameters
    ----------
    trials
        As :func:`pipelines.backtest.strategy.daily` writes them: ``first`` and ``values``.
    """
    columns = [
        pd.Series(one["values"], pd.date_range(one["first"], periods=len(one["values"]), freq="D"), dtype=float)
        for one in trials
    ]
    return pd.concat(columns, axis=1, keys=range(len(columns))) if columns else pd.DataFrame()


def effective_trials(returns: pd.DataFrame) -> float:
    """Number of independent trials whose luckiest is expected to be as lucky as the luckiest of these.

    Without skill the trials' Sharpe ratios are normal and as correlated as their returns, over the days that they
    share; what the largest of them is expected to be follows from that alone. It is drawn: each day gets a standard
    normal number, and a trial's luck is its centred returns weighed by them (Chernozhukov, Chetverikov and Kato 2013,
    "Gaussian approximations and multiplier bootstrap for maxima of sums of high-dimensional random vectors", Annals of
    Statistics 41(6)). The number whose exact expected maximum is the same is the result.

    It is 1 if all trials are the same and N if none has to do with another; a trial more never makes it smaller, for
    the draws of a day are the same whatever else is there. (The participation ratio of eigenvalues, N² over the sum of
    squared correlations, falls when a trial is added that is like some others, and is far below this number where
    all are alike: 2.7 instead of 11 for a hundred trials correlated by 0.6.) What is not known counts whole: a trial
    of fewer than 20 days, or one that never moved.

    Parameters
    ----------
    returns : DataFrame of shape (days, trials)
        NaN where a trial was not judged; index of days.

    Returns
    -------
    float
        Between 1 and the number of trials; 0 without any.
    """
    known = [column for _, column in returns.items() if column.count() >= _FEWEST_DAYS and column.nunique() > 1]
    unknown = returns.shape[1] - len(known)
    if not known:
        return float(unknown)
    centred = pd.concat(known, axis=1).pipe(lambda frame: frame - frame.mean()).fillna(0.0)
    unit = centred.to_numpy() / np.linalg.norm(centred.to_numpy(), axis=0)
    return unknown + _independent(_expected_luck(unit, centred.index), len(known))


def trials_to_deflate_by(returns: Collection[Mapping[str, Any]], counted: int) -> tuple[float, int]:
    """Effective number of everything that was counted, and the whole number that significance is deflated by.

    Parameters
    ----------
    returns
        Daily returns of the trials that have any, as :func:`daily_frame` takes them.
    counted
        All trials, those without returns among them: of what never got so far nothing is known, and it counts whole.

    Returns
    -------
    tuple
        The effective number; and the same rounded up, at least 1 and never above the count.
    """
    effective = effective_trials(daily_frame(list(returns))) + counted - len(returns)
    # What is a whole number but for rounding is that number.
    return effective, max(min(math.ceil(effective - 1e-6), counted), 1)


def expected_largest(count: float) -> float:
    """Expected largest of so many independent standard normal numbers; also between whole numbers, from 1 on.

    The integral of 1 - F(x)^n - F(-x)^n over x from 0, F being the normal distribution function.
    """
    up = _GRID[_GRID >= 0.0]
    return float(np.trapezoid(1.0 - ndtr(up) ** count - ndtr(-up) ** count, up))


def _expected_luck(unit: Array, days: pd.Index) -> float:
    """Expected largest value of normal numbers that are as correlated as the columns, half their range on average."""
    # A generator for each day, so that days or trials beside it change nothing in its draws.
    draws = np.array([np.random.default_rng(pd.Timestamp(day).toordinal()).standard_normal(_DRAWS) for day in days])
    ranges = [np.ptp(draws[:, first : first + _AT_ONCE].T @ unit, axis=1) for first in range(0, _DRAWS, _AT_ONCE)]
    return float(np.concatenate(ranges).mean()) / 2.0


def _independent(luck: float, count: int) -> float:
    """Number of independent trials with that expected largest value, between 1 and ``count``."""
    if count == 1 or luck <= 0.0:
        return 1.0
    if luck >= expected_largest(count):
        return float(count)
    return float(brentq(lambda number: expected_largest(number) - luck, 1.0, count))
