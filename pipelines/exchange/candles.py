"""From the rows of an exchange's answer to closed bars of the contract. Pure."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from trading.bars import COLUMNS

DAY = 86_400_000
Row = Sequence[Any]


@dataclass(frozen=True)
class Page:
    """What an answer holds of what was asked for. Times are milliseconds since 1970.

    Parameters
    ----------
    bars
        Closed bars of the contract.
    first
        Open of the first usable row at or after the start, closed or not and whether asked for or not; None where
        there is none: the exchange had nothing to say.
    unusable
        Rows without a finite number in every cell.
    off_grid
        Rows that open where no bar of this length does.
    repeated
        Rows whose open is there already; of these the last one counts.
    """

    bars: pd.DataFrame
    first: int | None
    unusable: int = 0
    off_grid: int = 0
    repeated: int = 0


def to_page(rows: Sequence[Row], bar: int, start: int, end: int, now: int) -> Page:
    """The closed bars of an answer that open in ``[start, end)``.

    Parameters
    ----------
    rows
        ``[open time in ms, open, high, low, close, volume]`` in any order, also repeatedly.
    bar
        Length of a bar in milliseconds.
    start, end
        What was asked for, in milliseconds.
    now
        The exchange's time in milliseconds: what has not ended by then is left out.
    """
    found: dict[int, Row] = {}
    unusable = off_grid = repeated = 0
    for row in rows:
        if not usable(row):
            unusable += 1
        elif int(row[0]) % min(bar, DAY):
            off_grid += 1
        else:
            repeated += int(row[0]) in found
            found[int(row[0])] = row
    later = sorted(stamp for stamp in found if stamp >= start)
    kept = [found[stamp] for stamp in later if stamp < end and stamp + bar <= now]
    return Page(to_bars(kept), later[0] if later else None, unusable, off_grid, repeated)


def usable(row: Row) -> bool:
    """Whether a row has a time, four prices and a volume, all finite numbers."""
    try:
        return len(row) >= 6 and all(math.isfinite(float(cell)) for cell in row[:6])
    except (TypeError, ValueError):
        return False


def to_bars(rows: Sequence[Row]) -> pd.DataFrame:
    """Usable rows, in order of time and each time once, as bars of the contract."""
    stamps = np.array([int(row[0]) for row in rows], dtype="datetime64[ms]")
    index = pd.DatetimeIndex(stamps, tz="UTC", name="timestamp").as_unit("us")
    values = np.array([[float(cell) for cell in row[1:6]] for row in rows], dtype=np.float64).reshape(-1, 5)
    return pd.DataFrame(values, columns=COLUMNS, index=index)
