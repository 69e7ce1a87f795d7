"""Which of three barriers a position meets first: one above, one below, and the end of its horizon.

The order inside a bar is the one that hurts: the bar's record does not say whether its high or its low came first, so
where both barriers lie inside one bar, the one that is worse for the position counts.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numba import njit
from numpy.typing import NDArray

from pipelines.labels.grid import Rows, grid_slots
from pipelines.labels.spans import Spans
from trading.instrument import Instrument

Array = NDArray[np.float64]
Codes = NDArray[np.int8]

NOTHING, GAP, UPPER, LOWER, VERTICAL, BOTH = range(6)


@dataclass(frozen=True, eq=False)
class Touches:
    """How each row's position ended.

    Attributes
    ----------
    kind : ndarray of shape (n,)
        ``UPPER``, ``LOWER`` or ``VERTICAL``: the barrier that was met first. ``BOTH``: two barriers inside one bar, and
        neither is the worse one. ``GAP``: a bar is missing before any was met. ``NOTHING``: no position was opened, or
        the data ends first.
    price : ndarray of shape (n,)
        Price of the exit; NaN unless a barrier was met.
    spans : Spans
        Bars in which the position was open. The last price is known when the last of them closes.
    """

    kind: Codes
    price: Array
    spans: Spans

    @property
    def met(self) -> NDArray[np.bool_]:
        """Whether one of the three barriers was met, and it is known which."""
        return np.isin(self.kind, (UPPER, LOWER, VERTICAL))


def bar_volatility(bars: pd.DataFrame, instrument: Instrument, window: int) -> pd.Series:
    """Root mean square of the log returns from close to close over the last ``window`` bars of the grid.

    A return that spans a missing bar is no return of one bar, and is left out; at least half of the window must be
    left. The mean is taken as zero: over bars it is far below the noise that estimating it would add. Each window is
    summed afresh, so that a value depends on the rows of its window and on nothing else.

    Parameters
    ----------
    bars
        n bars; only ``close`` is read.
    instrument
        Gives the length of a bar.
    window
        Bars, two or more.

    Returns
    -------
    Series
        Known at each row's close; NaN for the first ``window`` rows, and where too much is missing.

    Raises
    ------
    BarError
        If the stamps are not on one grid of the timeframe.
    """
    slots = grid_slots(pd.DatetimeIndex(bars.index), instrument)
    change = np.full(len(bars), np.nan)
    change[1:] = np.diff(np.log(bars["close"].to_numpy(dtype=np.float64)))
    change[1:][np.diff(slots) != 1] = np.nan
    return pd.Series(root_mean_square(slots, change, window), index=bars.index, name="volatility")


@njit(cache=True, nogil=True)  # type: ignore[misc,unused-ignore]
def root_mean_square(slots: Rows, change: Array, window: int) -> Array:
    """Kernel of :func:`bar_volatility`: trailing windows of the grid, not of rows."""
    out = np.full(len(change), np.nan)
    for row in range(len(change)):
        if slots[row] < window:
            continue
        square = 0.0
        count = 0
        back = row
        while back >= 0 and slots[back] > slots[row] - window:
            if not np.isnan(change[back]):
                square += change[back] * change[back]
                count += 1
            back -= 1
        if 2 * count >= window:
            out[row] = np.sqrt(square / count)
    return out


def meet_barriers(
    bars: pd.DataFrame, instrument: Instrument, horizon: str, *, up: Array, down: Array, worse: Codes
) -> Touches:
    """Follow the position decided at each close from the next open to the first barrier.

    The position decided at the close of bar t is entered at the open of t+1. A bar that opens beyond a barrier is left
    at its open; one whose high or low reaches a barrier, at the barrier; and if neither has happened by then, the
    position ends at the open of t+1+h, the vertical barrier.

    Parameters
    ----------
    bars
        n bars on a strictly increasing DatetimeIndex of openings; ``open``, ``high`` and ``low`` are read.
    instrument
        Gives the length of a bar.
    horizon
        Duration such as ``4h``, a whole number h of bars.
    up, down
        Distance of the barriers from the entry, as a positive fraction of its price, for each row; NaN opens nothing.
    worse
        Barrier that counts where a bar reaches both: 1 the upper (a short position), -1 the lower (a long one),
        0 neither.

    Raises
    ------
    InstrumentError
        If the horizon is not a whole number of bars.
    BarError
        If the stamps are not on one grid of the timeframe.
    """
    slots = grid_slots(pd.DatetimeIndex(bars.index), instrument)
    open_, high, low = (bars[name].to_numpy(dtype=np.float64) for name in ("open", "high", "low"))
    kind, price, stop = first_touches(slots, open_, high, low, up, down, worse, instrument.bars_in(horizon))
    return Touches(kind, price, Spans(np.arange(1, len(bars) + 1, dtype=np.int64), stop))


@njit(cache=True, nogil=True)  # type: ignore[misc,unused-ignore]
def first_touches(
    slots: Rows, open_: Array, high: Array, low: Array, up: Array, down: Array, worse: Codes, horizon_bars: int
) -> tuple[Codes, Array, Rows]:
    """Kernel of :func:`meet_barriers`: kind and price of each row's exit, and the row after its last bar."""
    rows = len(slots)
    kind = np.full(rows, NOTHING, dtype=np.int8)
    price = np.full(rows, np.nan)
    stop = np.arange(1, rows + 1)
    for row in range(rows):
        if not (up[row] > 0.0 and down[row] > 0.0):
            continue
        upper = lower = 0.0
        for step in range(1, horizon_bars + 2):
            bar = row + step
            if bar >= rows:
                break
            if slots[bar] != slots[row] + step:
                kind[row] = GAP
                break
            if step == 1:
                upper = open_[bar] * (1.0 + up[row])
                lower = open_[bar] * (1.0 - down[row])
            elif step > horizon_bars:
                kind[row] = VERTICAL
                price[row] = open_[bar]
                break
            elif open_[bar] >= upper or open_[bar] <= lower:
                kind[row] = UPPER if open_[bar] >= upper else LOWER
                price[row] = open_[bar]
                break
            stop[row] = bar + 1
            over = high[bar] >= upper
            under = low[bar] <= lower
            if over and under:
                if worse[row] == 0:
                    kind[row] = BOTH
                    break
                over = worse[row] > 0
            if over or under:
                kind[row] = UPPER if over else LOWER
                price[row] = upper if over else lower
                break
    return kind, price, stop
