"""What a stored curve says when it is read as a history: its worst falls, its months, its ratio as time went by."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from pipelines.metrics import sharpe, sharpe_interval

WINDOW_DAYS = 90
# Of the rolling ratio: each point costs a whole interval, and a screen shows no more.
_POINTS = 120


@dataclass(frozen=True)
class Drawdown:
    """A fall below the highest equity so far.

    Parameters
    ----------
    start, trough
        The bar of the peak, and that of the lowest equity after it.
    recovery
        First bar at which the peak is reached again; None where it is not.
    depth
        Largest loss from the peak, a positive fraction.
    bars
        From the peak to the recovery, or to the last bar.
    """

    start: pd.Timestamp
    trough: pd.Timestamp
    recovery: pd.Timestamp | None
    depth: float
    bars: int


def drawdowns(equity: pd.Series, most: int = 5) -> list[Drawdown]:
    """The deepest falls, the deepest first; they do not overlap.

    Parameters
    ----------
    equity
        Marked at closes; index ``timestamp`` (UTC). Before its first bar it was 1, which is marked at that bar.
    most
        How many at most.
    """
    values = equity.to_numpy(dtype=float)
    peaks = np.maximum(np.maximum.accumulate(values), 1.0)
    under = np.append(values < peaks, False)
    edges = np.flatnonzero(np.diff(np.concatenate(([False], under)).astype(np.int8)))
    found = []
    for first, end in zip(edges[::2], edges[1::2], strict=True):
        low = int(first + np.argmin(values[first:end]))
        start = max(int(first) - 1, 0)
        back = equity.index[end] if end < len(values) else None
        depth = float(1 - values[low] / peaks[low])
        found.append(
            Drawdown(equity.index[start], equity.index[low], back, depth, min(int(end), len(values) - 1) - start)
        )
    return sorted(found, key=lambda one: -one.depth)[:most]


def monthly_returns(equity: pd.Series) -> pd.DataFrame:
    """Return of each calendar month (UTC) as far as the test covers it, compounding to that of the whole.

    Returns
    -------
    DataFrame
        Index years; columns 1 to 12 and ``year``; NaN where there is no bar.
    """
    clock = pd.DatetimeIndex(equity.index)
    last = equity.groupby([clock.year, clock.month]).last()
    months = (last / last.shift(fill_value=1.0) - 1).unstack().reindex(columns=range(1, 13))
    return months.assign(year=(1 + months.fillna(0.0)).prod(axis=1) - 1)


def rolling_sharpe(returns: pd.Series, bars_per_day: float, confidence: float) -> pd.DataFrame:
    """Annual Sharpe ratio of the last 90 days with its interval, at up to 120 bars; each looks back only.

    Parameters
    ----------
    returns
        Net simple returns per bar.
    bars_per_day
        Of the instrument.
    confidence
        Of the interval (:func:`pipelines.metrics.sharpe_interval`).

    Returns
    -------
    DataFrame
        ``sharpe low high`` at the closes; without rows where the test is shorter than the window.
    """
    window, year = round(WINDOW_DAYS * bars_per_day), 365 * bars_per_day
    points = _POINTS if len(returns) >= window else 0
    ends = np.unique(np.linspace(window, len(returns), points).astype(int))
    rows = []
    for end in ends:
        part = returns.iloc[end - window : end].to_numpy()
        moving = part.std() > 0
        rows.append((sharpe(part, year), *sharpe_interval(part, year, confidence)) if moving else (np.nan,) * 3)
    return pd.DataFrame(rows, index=returns.index[ends - 1], columns=["sharpe", "low", "high"], dtype=float)
