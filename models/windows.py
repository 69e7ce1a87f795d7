"""Windows of consecutive rows that end at the row a prediction is for.

A window is made of rows as they stand in the frame: where the market left a gap between two bars, the window spans it.
Rows are never invented: a row with fewer than ``window - 1`` rows before it, or with a value that is not finite
anywhere in its window, has no window. Only numpy and pandas are needed here, because serving uses this module too.
"""

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

Float32 = NDArray[np.float32]
Positions = NDArray[np.int64]


def as_float32(frame: pd.DataFrame) -> Float32:
    """Values as every model and graph sees them; what float32 cannot hold becomes infinite and so unusable."""
    with np.errstate(over="ignore"):
        return np.ascontiguousarray(frame.to_numpy(dtype=np.float64), dtype=np.float32)


def complete_windows(values: NDArray[Any], window: int) -> Positions:
    """Positions of the last rows of all complete windows.

    Parameters
    ----------
    values
        Shape (rows, features), in time order.
    window
        Rows in a window, at least one.

    Returns
    -------
    Positions
        Increasing; the first is at least ``window - 1``.
    """
    usable = np.concatenate([[0], np.cumsum(np.isfinite(values).all(axis=1))])
    in_window = usable[window:] - usable[: max(0, len(usable) - window)]
    return np.flatnonzero(in_window == window).astype(np.int64) + window - 1


def gather(values: Float32, ends: Positions, window: int) -> Float32:
    """Windows ending at ``ends``, as an array of shape (len(ends), window, features)."""
    windows: Float32 = values[ends[:, None] + np.arange(1 - window, 1)]
    return windows
