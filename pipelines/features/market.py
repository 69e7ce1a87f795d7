"""Bars as the arrays that features are computed from."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from pipelines.features.kernels import Array
from trading.bars import COLUMNS
from trading.errors import BarError


@dataclass(frozen=True)
class Market:
    """n bars of one instrument, in order.

    Attributes
    ----------
    opened
        Stamps, seconds since 1970.
    values
        Rows of open, high, low, close and volume, and of what else was asked for; n values each.
    """

    opened: Array
    values: Array

    def __len__(self) -> int:
        return len(self.opened)


def market_of(bars: pd.DataFrame, bar: pd.Timedelta, needed: Sequence[str] = COLUMNS) -> Market:
    """Bars of a frame.

    Parameters
    ----------
    bars
        See :mod:`trading.bars`.
    bar
        Their length.
    needed
        Columns that are read: open, high, low and close, then amounts, which are not below 0.

    Raises
    ------
    BarError
        If a column is missing or not numbers, a value not finite, a price not positive or a volume negative, or the
        index is no time or off the grid of ``bar``.
    """
    if missing := [name for name in needed if name not in bars]:
        raise BarError(
            f"bars without {', '.join(missing)}",
            rule=f"columns {', '.join(needed)}",
            remedy="add them, or leave the group of features that reads them out of features.groups in params.yaml",
        )
    if not isinstance(bars.index, pd.DatetimeIndex) or bars.index.tz is None:
        raise BarError(
            "bars without stamps",
            where=f"an index of type {type(bars.index).__name__}",
            rule="a DatetimeIndex of bar openings in UTC",
            remedy="set the column of stamps as the index",
        )
    try:
        values = bars[list(needed)].to_numpy(dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise BarError(f"text among the bars: {error}", rule="numbers", remedy="run `engine validate` first") from error
    _check(bars.index, values, bar)
    return Market(bars.index.as_unit("ns").asi8 / 1e9, np.ascontiguousarray(values.T))


def _check(index: pd.DatetimeIndex, values: Array, bar: pd.Timedelta) -> None:
    good = np.isfinite(values).all(axis=1) & (values[:, :4] > 0).all(axis=1) & (values[:, 4:] >= 0).all(axis=1)
    if not good.all():
        raise BarError(
            f"{(~good).sum()} bar(s) that no feature can be computed from",
            where=f"first at {index[int(good.argmin())]}",
            rule="finite prices above 0, and finite volumes not below 0",
            remedy="run `engine validate` first; offending rows are quarantined there",
        )
    stamps = index.as_unit("ns").asi8
    steps = np.diff(stamps)
    off = (steps <= 0) | (steps % bar.as_unit("ns").value != 0)
    if off.any():
        wrong = int(off.argmax()) + 1
        raise BarError(
            "bars off their grid",
            where=f"first at {index[wrong]}, after {index[wrong - 1]}",
            rule=f"stamps increase strictly by whole multiples of {bar}",
            remedy="sort the bars, drop duplicate stamps, and name the timeframe they have",
        )
