"""Direction of the return that a position decided now could earn."""

import numpy as np
import pandas as pd

from pipelines.labels.grid import grid_slots
from trading.instrument import Instrument


def direction_labels(bars: pd.DataFrame, instrument: Instrument, horizon: str) -> pd.DataFrame:
    """Label each bar with the direction of the return over the horizon that starts when its decision can be filled.

    A decision taken at the close of bar t is filled at the open of t+1 and undone at the open of t+1+h, so

        ret_t = open_{t+1+h} / open_{t+1} - 1,      label_t = 1 if ret_t > 0 else 0,      t_end_t = stamp_t + (1+h) bars

    where steps count places of the regular time grid, not rows. A span in which a bar of the grid is missing is marked
    as a gap and has no label: whoever traded there would have met other prices than those on file.

    Parameters
    ----------
    bars
        n bars on a strictly increasing DatetimeIndex of openings; only ``open`` is read.
    instrument
        Gives the length of a bar.
    horizon
        Duration such as ``4h``, a whole number h of bars.

    Returns
    -------
    DataFrame
        n rows on the index of ``bars``: ``label`` (1.0, 0.0 or NaN), ``ret`` (simple return before costs, or NaN),
        ``t_end`` (the clock time at which the last price is known, or NaT) and ``gap`` (a bar of the span is already
        known to be missing). Where the span reaches past the last bar, label and ret are NaN and t_end is NaT.

    Raises
    ------
    InstrumentError
        If the horizon is not a whole number of bars.
    BarError
        If the stamps are not on one grid of the timeframe, or not in order.
    """
    ahead = 1 + instrument.bars_in(horizon)
    index = pd.DatetimeIndex(bars.index)
    slots = grid_slots(index, instrument)
    rows = np.arange(len(bars))

    # The last row inside the span, and how many places of the grid lie between: equal counts mean that none is missing.
    end = np.minimum(slots + ahead, slots[-1] if len(slots) else 0)
    last = np.searchsorted(slots, end, side="right") - 1
    gap = last - rows != end - slots
    whole = np.flatnonzero((slots + ahead == end) & ~gap)

    price = bars["open"].to_numpy(dtype=float)
    ret = np.full(len(bars), np.nan)
    ret[whole] = price[whole + ahead] / price[whole + 1] - 1
    label = np.where(np.isnan(ret), np.nan, (ret > 0).astype(float))
    t_end = pd.Series(index + ahead * instrument.bar, index=index).where(~np.isnan(ret))
    return pd.DataFrame({"label": label, "ret": ret, "t_end": t_end, "gap": gap}, index=index)
