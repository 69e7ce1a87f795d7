"""How many independent things a number of correlated trials amounts to.

Fifty settings of one family trade nearly alike: as a search they are fewer than fifty. The plain count is what the gate
deflates by, which errs on the strict side; the effective number beside it says by how much.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

_SHARED_DAYS = 20


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
    """Effective number of independent trials: N² over the sum of all squared correlations.

    That is the participation ratio of the eigenvalues of the correlation matrix, (Σλ)² / Σλ². It is N if no two trials
    are correlated, 1 if all are the same, and K for K groups of equal size that are the same within and have nothing to
    do with each other. Whatever might make it too small is left out: negative correlation counts as none, for the best
    of a bet and its opposite is a choice of two; and so does one that is not known, because trials share fewer than
    20 days or one never traded.

    Parameters
    ----------
    returns : DataFrame of shape (days, trials)
        NaN where a trial was not judged.

    Returns
    -------
    float
        Between 1 and the number of trials; 0 without any.

    References
    ----------
    Bretherton, C. S. et al. (1999), "The Effective Number of Spatial Degrees of Freedom of a Time-Varying Field",
    Journal of Climate 12, equation 5.
    """
    count = returns.shape[1]
    if not count:
        return 0.0
    correlation = returns.corr(min_periods=_SHARED_DAYS).fillna(0.0).clip(lower=0.0).to_numpy(copy=True)
    correlation[range(count), range(count)] = 1.0
    return float(count**2 / (correlation**2).sum())
