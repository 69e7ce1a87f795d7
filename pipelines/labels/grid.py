"""Places of bars on the regular grid of their timeframe."""

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from trading.errors import BarError
from trading.instrument import Instrument

Rows = NDArray[np.int64]


def grid_slots(index: pd.DatetimeIndex, instrument: Instrument) -> Rows:
    """Place of each stamp on the grid that starts at the first: where two neighbours differ by more than 1, bars miss.

    Raises
    ------
    BarError
        If the stamps are not on one grid of the timeframe, or not in order.
    """
    since = index - index[:1].repeat(len(index))
    slots = np.asarray(since // instrument.bar, dtype=np.int64)
    if (np.diff(slots) < 1).any() or (since % instrument.bar != pd.Timedelta(0)).any():
        raise BarError(
            f"stamps are not on one grid of {instrument.timeframe}",
            rule="strictly increasing stamps, whole bars apart",
            remedy="resample the bars to the timeframe, or name the timeframe they have",
        )
    return slots
