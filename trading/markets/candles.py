"""Bars from moves: each opens where the one before closed, and its range is that of a Brownian path between."""

import numpy as np
import pandas as pd
from numpy.typing import NDArray

Array = NDArray[np.float64]


def candles(
    moves: Array,
    scales: Array,
    log_volume: Array,
    index: pd.DatetimeIndex,
    price: float,
    generator: np.random.Generator,
) -> pd.DataFrame:
    """Draw the bars of a series of moves.

    Given its move and its scale, the range of a bar is drawn independently of everything else. So it tells nothing
    that moves and scales don't.

    Parameters
    ----------
    moves
        Log return of each of n bars, from open to close.
    scales
        Standard deviations of the paths within the bars.
    log_volume
        Logarithms of the volumes.
    index
        Openings.
    price
        Open of the first bar.
    generator
        Of two uniform draws a bar.

    Returns
    -------
    DataFrame of shape (n, 5)
        ``open high low close volume``, as :mod:`trading.bars` has them.
    """
    close = price * np.exp(np.cumsum(moves))
    open_ = np.concatenate([[price], close[:-1]])
    # Of a Brownian bridge from 0 to the move: its highest point, and its lowest.
    wide = np.sqrt(moves**2 - 2 * scales**2 * np.log(1 - generator.random((2, len(moves)))))
    high, low = (moves + wide[0]) / 2, (moves - wide[1]) / 2
    return pd.DataFrame(
        {
            "open": open_,
            # Rounding may not put a close outside of its own range.
            "high": np.maximum(open_ * np.exp(high), np.maximum(open_, close)),
            "low": np.minimum(open_ * np.exp(low), np.minimum(open_, close)),
            "close": close,
            "volume": np.exp(log_volume),
        },
        index=index,
    )
