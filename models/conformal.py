"""Intervals of the horizon's return that adapt to how often the last ones missed: adaptive conformal inference.

A return in units of the volatility known when it was decided is a score. Each end of the interval is a quantile of the
scores of the last outcomes; the level of that quantile is moved after every outcome, so that misses on either side come
as often as they should although the distribution drifts.

I. Gibbs and E. Candès, "Adaptive Conformal Inference Under Distribution Shift", NeurIPS 2021, equation 2, with a level
of its own for each end. Theirs may answer with an infinite interval, which says nothing; here the widest is the range
of what is remembered. So their bound on the long-run coverage holds while neither level rests at an end; beyond that,
coverage is measured and not promised.

What is remembered is finite: an interval is a function of the last rows and of nothing else. So research, a served
signal and whoever recomputes one from logged bars get the same from the same bars, and no state has to survive a
restart.
"""

from dataclasses import dataclass
from math import sqrt

import numpy as np
import pandas as pd
from numba import njit
from numpy.typing import NDArray

from trading.errors import ModelError

Float64 = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Conformal:
    """How intervals adapt.

    Parameters
    ----------
    confidence
        Share of outcomes that an interval should hold; each end may miss half of the rest.
    memory
        Rows that an interval looks back on, its own included; before the first of their outcomes levels are nominal.
    step
        How far a level moves after outcomes worth one that shares its time with no other, in shares: after each of
        them, this over the bars of the horizon. Larger adapts faster and is less steady.
    """

    confidence: float
    memory: int
    step: float

    def intervals(
        self, ret: pd.Series, known: pd.Series, volatility: pd.Series, horizon_bars: int, rows: NDArray[np.intp]
    ) -> pd.DataFrame:
        """Interval of the return over the horizon at some rows, from the outcomes that bars had shown by then.

        An outcome is the open of a bar, and is at hand once bars up to that one are: a row has learnt from the rows
        whose ``known`` is not after the opening of its own bar.

        Parameters
        ----------
        ret
            Simple return over the horizon of each row, from the open of t+1; NaN where there is none.
        known
            Time at which each is known, NaT where there is none; never earlier than that of the row before.
        volatility
            Standard deviation of one-bar log returns, known at the close of each row; zero and NaN have no score. All
            on one index of bar openings, in time order.
        horizon_bars
            Bars in the horizon.
        rows
            Positions of the rows that are asked for.

        Returns
        -------
        DataFrame
            On the index of the rows: ``low`` and ``high`` of the simple return, NaN before the first outcome and
            where volatility is; ``low_level`` and ``high_level``, the shares of remembered scores to leave on each side
            now; ``outcomes``, how many were remembered. Known at the close of the row's bar.

        Raises
        ------
        ModelError
            If the series stand on different rows, or outcomes become known out of order.
        """
        if not (ret.index.equals(volatility.index) and ret.index.equals(known.index)):
            raise ModelError("outcomes and volatility stand on different bars", rule="one index", remedy="align them")
        moving = volatility.to_numpy(dtype=np.float64) * sqrt(horizon_bars)
        with np.errstate(divide="ignore", invalid="ignore"):
            scores = ret.to_numpy(dtype=np.float64) / moving
        there = np.flatnonzero(np.isfinite(scores) & (moving > 0) & known.notna().to_numpy())
        ends = pd.DatetimeIndex(known.iloc[there])
        if not ends.is_monotonic_increasing:
            raise ModelError("outcomes that become known out of order", rule="by time", remedy="sort the rows by time")
        stamps = pd.DatetimeIndex(ret.index)[rows]
        seen = np.searchsorted(ends.to_numpy(), stamps.to_numpy(), side="right")
        since = np.minimum(np.searchsorted(there, rows - self.memory, side="right"), seen)
        found = adapted(scores[there], since, seen, self.memory, self.step / horizon_bars, (1 - self.confidence) / 2)
        low, high, low_level, high_level = found.T
        return pd.DataFrame(
            {
                "low": low * moving[rows],
                "high": high * moving[rows],
                "low_level": low_level,
                "high_level": high_level,
                "outcomes": seen - since,
            },
            index=stamps,
        )


@njit(cache=True)
def adapted(
    scores: Float64, since: NDArray[np.int64], seen: NDArray[np.int64], memory: int, step: float, tail: float
) -> Float64:
    """Ends of the interval of the next score, and their levels, for several moments.

    Parameters
    ----------
    scores
        Outcomes in the order in which they become known, shape (n,).
    since, seen
        Each moment looks back on those from the one to before the other, at most ``memory`` of them; shape (m,).
    memory
        As :class:`Conformal` has it.
    step
        How far a level moves after an outcome.
    tail
        Share that each end may miss.

    Returns
    -------
    array of shape (m, 4)
        Low end, high end (NaN before any outcome), level of the low end, level of the high end.
    """
    found = np.full((len(seen), 4), np.nan)
    ranked = np.empty(memory)
    for moment in range(len(seen)):
        low_level, high_level, count = tail, tail, 0
        for place in range(since[moment], seen[moment]):
            score = scores[place]
            if count:
                low, high = _ends(ranked, count, low_level, high_level)
                low_level = min(max(low_level + step * (tail - (1.0 if score < low else 0.0)), 0.0), 1.0)
                high_level = min(max(high_level + step * (tail - (1.0 if score > high else 0.0)), 0.0), 1.0)
            at = np.searchsorted(ranked[:count], score)
            for k in range(count, at, -1):
                ranked[k] = ranked[k - 1]
            ranked[at] = score
            count += 1
        if count:
            found[moment, 0], found[moment, 1] = _ends(ranked, count, low_level, high_level)
        found[moment, 2], found[moment, 3] = low_level, high_level
    return found


@njit(cache=True)
def _ends(ranked: Float64, count: int, low_level: float, high_level: float) -> tuple[float, float]:
    """Scores of the ranks of split conformal prediction, ``ceil((n + 1)(1 - level))`` from either side, in order."""
    up = min(max(int(np.ceil((count + 1) * (1 - high_level))), 1), count)
    down = min(max(int(np.ceil((count + 1) * (1 - low_level))), 1), count)
    high, low = ranked[up - 1], ranked[count - down]
    return min(low, high), max(low, high)
