"""Bars as arrays, as features read them, and the longer bars that were complete at each of them."""

from functools import cached_property

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from trading.bars import COLUMNS
from trading.errors import BarError

Array = NDArray[np.float64]

# Prices are multiplied by a power of two, which loses no bit. No feature depends on the level of prices, but TA-Lib
# takes what is below 1e-14 for zero, and for a coin at 0.0001 that would be a movement.
_PRICE_UNIT = 2.0**40

# Longer bars start at whole multiples of their length from this Monday: midnight, the hours that divide a day, Mondays.
_ORIGIN = pd.Timestamp("1970-01-05", tz="UTC").as_unit("ns").value


class Ohlcv:
    """Five arrays of equal length, and what many features derive from them. Prices are in an arbitrary unit."""

    def __init__(self, open_: Array, high: Array, low: Array, close: Array, volume: Array) -> None:
        self.open, self.high, self.low, self.close, self.volume = open_, high, low, close, volume

    def __len__(self) -> int:
        return len(self.close)

    @cached_property
    def log_close(self) -> Array:
        """Natural logarithm of the close."""
        logs: Array = np.log(self.close / _PRICE_UNIT)
        return logs

    @cached_property
    def returns(self) -> Array:
        """Log return of each bar over the one before; NaN at the first."""
        return self.change(1)

    @cached_property
    def typical(self) -> Array:
        """Mean of high, low and close."""
        return (self.high + self.low + self.close) / 3.0

    @cached_property
    def true_range(self) -> Array:
        """Range of the bar together with the close before it (Wilder 1978); NaN at the first."""
        before = np.concatenate([np.full(min(1, len(self)), np.nan), self.close[:-1]])
        spread: Array = np.maximum(self.high, before) - np.minimum(self.low, before)
        return spread

    def change(self, bars: int) -> Array:
        """Log return over a number of bars; NaN where there are none."""
        out = np.full(len(self), np.nan)
        out[bars:] = np.log(self.close[bars:] / self.close[:-bars])
        return out


class Market(Ohlcv):
    """Bars of one instrument.

    Parameters
    ----------
    index
        n opening stamps, strictly increasing, whole bars apart; UTC.
    values
        n rows of open, high, low, close, volume.
    bar
        Length of a bar.

    Raises
    ------
    BarError
        If a value is not finite, a price not positive, a volume negative, or the stamps are off their grid.
    """

    def __init__(self, index: pd.DatetimeIndex, values: Array, bar: pd.Timedelta) -> None:
        _check(index, values, bar)
        columns = np.ascontiguousarray(values.T)
        open_, high, low, close = columns[:4] * _PRICE_UNIT
        super().__init__(open_, high, low, close, columns[4])
        self.bar = bar.as_unit("ns").value
        self.opened = index.as_unit("ns").asi8
        self._higher: dict[int, HigherBars] = {}

    @property
    def known_at(self) -> NDArray[np.int64]:
        """Close of each bar in ns since 1970: the moment at which its row may be used."""
        return self.opened + self.bar

    def higher(self, length: pd.Timedelta) -> "HigherBars":
        """Longer bars of this market."""
        key = length.as_unit("ns").value
        if key not in self._higher:
            self._higher[key] = HigherBars(self, key)
        return self._higher[key]


class HigherBars(Ohlcv):
    """Longer bars on the clock, built from the base bars that are there, and seen only after their own clock end.

    A longer bar in which base bars are missing is made of the others; it too is complete at its clock end. One without
    any base bar does not exist.

    Parameters
    ----------
    base
        Bars they are built from.
    length
        Length of the longer bars, ns; a multiple of the base's.
    """

    def __init__(self, base: Market, length: int) -> None:
        bucket = (base.opened - _ORIGIN) // length
        starts = np.flatnonzero(np.diff(bucket, prepend=bucket[:1] - 1))
        ends = np.append(starts[1:], len(bucket)) - 1
        super().__init__(
            base.open[starts],
            np.maximum.reduceat(base.high, starts),
            np.minimum.reduceat(base.low, starts),
            base.close[ends],
            np.add.reduceat(base.volume, starts),
        )
        self.completed_at = _ORIGIN + (bucket[starts] + 1) * length
        self._newest = np.searchsorted(self.completed_at, base.known_at, side="right") - 1

    def seen(self, values: Array) -> Array:
        """One value per longer bar as one per base bar: that of the newest complete one, NaN before the first."""
        return np.where(self._newest >= 0, values[self._newest], np.nan)


def market_of(bars: pd.DataFrame, bar: pd.Timedelta) -> Market:
    """Bars of a frame.

    Raises
    ------
    BarError
        If a column is missing or not numbers, the index is not time, or a value is as :class:`Market` refuses.
    """
    if missing := [name for name in COLUMNS if name not in bars]:
        raise BarError(f"bars without {', '.join(missing)}", rule=f"columns {', '.join(COLUMNS)}", remedy="add them")
    if not isinstance(bars.index, pd.DatetimeIndex) or bars.index.tz is None:
        raise BarError(
            "bars without stamps",
            where=f"an index of type {type(bars.index).__name__}",
            rule="a DatetimeIndex of bar openings in UTC",
            remedy="set the column of stamps as the index",
        )
    try:
        values = bars[COLUMNS].to_numpy(dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise BarError(f"text among the bars: {error}", rule="numbers", remedy="run `engine validate` first") from error
    return Market(bars.index, values, bar)


def _check(index: pd.DatetimeIndex, values: Array, bar: pd.Timedelta) -> None:
    good = np.isfinite(values).all(axis=1) & (values[:, :4] > 0).all(axis=1) & (values[:, 4] >= 0)
    if not good.all():
        raise BarError(
            f"{(~good).sum()} bar(s) that no feature can be computed from",
            where=f"first at {index[int(good.argmin())]}",
            rule="finite prices above 0 and a finite volume not below 0",
            remedy="run `engine validate` first; offending rows are quarantined there",
        )
    stamps = index.as_unit("ns").asi8
    steps = np.diff(stamps)
    if (steps <= 0).any() or (steps % bar.as_unit("ns").value).any():
        wrong = int(np.flatnonzero((steps <= 0) | (steps % bar.as_unit("ns").value != 0))[0]) + 1
        raise BarError(
            "bars off their grid",
            where=f"first at {index[wrong]}, after {index[wrong - 1]}",
            rule=f"stamps increase strictly by whole multiples of {bar}",
            remedy="sort the bars, drop duplicate stamps, and name the timeframe they have",
        )
