"""When scenarios begin: moments at which there is something to lose."""

import numpy as np
import pandas as pd
from numpy.typing import NDArray


def choose_moments(positions: pd.DataFrame, count: int, first: int, after: int) -> NDArray[np.int64]:
    """Numbers of bars at which a scenario begins, spread evenly over those at which a position is held.

    A scenario meets what was decided two closes before it and filled at the open of the last bar. Half of the moments
    are long and half short, judged by the sum of all assets, as far as there are any; where none is held, they are
    spread over all bars. A flat account loses nothing, which needs no replay.

    Parameters
    ----------
    positions
        Targets, a column for each asset.
    count
        How many; fewer where there are not so many bars.
    first, after
        Bounds of the numbers.

    Returns
    -------
    array
        Growing numbers of bars.
    """
    met = np.arange(first, after)
    held = positions.to_numpy()[met - 2]
    side = np.where((held == 0).all(axis=1), 0, np.where(held.sum(axis=1) >= 0, 1, -1))
    longs, shorts = met[side > 0], met[side < 0]
    if not len(longs) and not len(shorts):
        return _spread(met, count)
    few = min(len(longs), len(shorts), count // 2)
    fewer, more = sorted((longs, shorts), key=len)
    return np.sort(np.concatenate([_spread(fewer, few), _spread(more, count - few)]))


def _spread(among: NDArray[np.int64], count: int) -> NDArray[np.int64]:
    """So many of them, evenly; from the middle of each of as many equal parts."""
    count = min(count, len(among))
    return among[((np.arange(count) + 0.5) * len(among) / max(count, 1)).astype(np.int64)]
