"""Laying a scenario over bars: what the market would have looked like, had it happened there.

Prices are bent in logarithms. With ``x(h)`` the bars' own log return since the close before the scenario, ``s(h)`` the
scenario's path and ``k`` its volatility, the new one is ``s(h) + k * (x(h) - l(h))``, where ``l`` is the straight line
through the bars' own returns at the path's points. It is a bridge: at a point the new return is exactly the path's, and
between two of them the market wiggles as it did. Without a path ``s`` and ``l`` are zero. After the scenario the bars'
own returns go on, from the level that it leaves.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pipelines.stress.scenario import Scenario
from trading.bars import COLUMNS
from trading.errors import BarError

Array = NDArray[np.float64]

PRICES = COLUMNS[:4]
_HOUR = pd.Timedelta(hours=1)
_FUNDED_EVERY = pd.Timedelta(hours=8)
_ROUNDING = 1e-9
_EPOCH = pd.Timestamp(0, tz="UTC")


def span(index: pd.DatetimeIndex, start: pd.Timestamp, hours: float) -> tuple[int, int]:
    """Number of the first bar that opens within some hours from a start, and of the first one after them.

    Raises
    ------
    BarError
        If no bar opens within them, or none closed before.
    """
    first, after = index.searchsorted([start, start + hours * _HOUR])
    if first == 0 or first == after:
        raise BarError(
            f"no bar {'before' if first == 0 else 'in'} the {hours:g} hours from {start}",
            rule="a scenario moves prices away from the close before it, over one bar or more",
            remedy="lay it later, or on more bars",
        )
    return int(first), int(after)


def lay(
    scenario: Scenario, bars: Mapping[str, pd.DataFrame], start: pd.Timestamp, bar: pd.Timedelta
) -> dict[str, pd.DataFrame]:
    """Bars as they would have been, had a scenario begun at a moment.

    Parameters
    ----------
    scenario
        What happens.
    bars
        Bars of each asset, by symbol, index ``timestamp``. Each asset goes through the scenario's path.
    start
        Opening of the first bar that it touches.
    bar
        Length of a bar.

    Returns
    -------
    dict
        By symbol, over the same stamps: ``open high low close volume``, and ``funding_rate`` where the bars have one or
        the scenario charges one. Bars before ``start`` are untouched.

    Raises
    ------
    BarError
        See :func:`span`.
    """
    found = {symbol: _Window.of(frame, start, scenario.hours) for symbol, frame in bars.items()}
    own = {symbol: window.own for symbol, window in found.items()}
    if scenario.correlated:
        own = _together(found)
    return {symbol: _laid(scenario, frame, found[symbol], own[symbol], start, bar) for symbol, frame in bars.items()}


@dataclass(frozen=True, eq=False)
class _Window:
    """Bars of an asset that a scenario touches: their stamps, all prices of shape (4, bars), and what is bent.

    ``own`` are the log returns of open, high, low and close since the close before, of shape (4, bars touched).
    """

    index: pd.DatetimeIndex
    first: int
    after: int
    prices: Array
    own: Array

    @classmethod
    def of(cls, frame: pd.DataFrame, start: pd.Timestamp, hours: float) -> "_Window":
        index = pd.DatetimeIndex(frame.index)
        first, after = span(index, start, hours)
        prices = np.stack([frame[name].to_numpy(dtype=np.float64) for name in PRICES])
        return cls(index, first, after, prices, np.log(prices[:, first:after]) - np.log(prices[3, first - 1]))


def _together(found: Mapping[str, _Window]) -> dict[str, Array]:
    """What the assets' own returns would be, had all moved as one: a common return, in each asset's own volatility.

    The common return is the mean of the assets' returns, each in units of its root mean square, scaled to those units.
    """
    closes = {symbol: pd.Series(one.own[3], index=one.index[one.first : one.after]) for symbol, one in found.items()}
    shared = pd.concat(closes, axis=1, join="inner")
    returns = shared.diff().fillna(shared.iloc[:1])
    size = np.sqrt((returns**2).mean())
    common = (returns / size.where(size > 0, np.inf)).mean(axis=1)
    scale = np.sqrt((common**2).mean())
    # What assets that cancel out leave in common is a rounding error.
    path = common.cumsum() / (scale if scale > _ROUNDING else np.inf)
    moved = {}
    for symbol, one in found.items():
        # By how much the close is another one; at a bar that others lack, as much as at the shared one before.
        bend = (path * size[symbol] - shared[symbol]).reindex(closes[symbol].index).ffill().fillna(0.0).to_numpy()
        before = np.append(0.0, bend[:-1])
        moved[symbol] = one.own + np.stack([before, (before + bend) / 2, (before + bend) / 2, bend])
    return moved


def _laid(
    scenario: Scenario, frame: pd.DataFrame, window: _Window, own: Array, start: pd.Timestamp, bar: pd.Timedelta
) -> pd.DataFrame:
    """Bars of one asset with the scenario on them; ``own`` are the returns that it bends."""
    index, first, after = window.index, window.first, window.after
    bent = _bent(scenario, own, np.asarray((index[first:after] - start) / _HOUR), bar / _HOUR)
    prices = window.prices.copy()
    prices[:, first:after] *= np.exp(bent - window.own)
    prices[:, after:] *= np.exp(bent[3, -1] - window.own[3, -1])
    prices[1] = prices.max(axis=0)
    prices[2] = prices.min(axis=0)
    volume = frame["volume"].to_numpy(dtype=np.float64).copy()
    volume[first:after] *= scenario.volume
    columns = dict(zip(COLUMNS, [*prices, volume], strict=True))
    if "funding_rate" in frame or scenario.funding:
        rate = frame["funding_rate"].fillna(0.0).to_numpy().copy() if "funding_rate" in frame else np.zeros(len(frame))
        payments = np.diff((index[first - 1 : after] - _EPOCH) // _FUNDED_EVERY)
        rate[first:after] += scenario.funding * payments
        columns["funding_rate"] = rate
    return pd.DataFrame(columns, index=index)


def _bent(scenario: Scenario, own: Array, opens: Array, bar: float) -> Array:
    """Log returns since the close before, of shape (4, bars), from the bars' own; ``opens`` and ``bar`` in hours."""
    closes = opens + bar
    hours = np.array([anchor.hours for anchor in scenario.path])
    moves = np.log1p([anchor.move for anchor in scenario.path])
    points, path = hours, moves
    if not len(hours) or hours[0] > 0:
        points, path = np.append(0.0, hours), np.append(0.0, moves)
    line = np.interp(points, np.append(0.0, closes), np.append(0.0, own[3]))

    def at(when: Array, returns: Array) -> Array:
        bent: Array = np.interp(when, points, path) + scenario.volatility * (returns - np.interp(when, points, line))
        return bent

    middle = (opens + closes) / 2
    opened, closed = at(opens, own[0]), at(closes, own[3])
    high = np.maximum(np.maximum(opened, closed), at(middle, own[1]))
    low = np.minimum(np.minimum(opened, closed), at(middle, own[2]))
    # A point inside a bar is a price that was there.
    inside = np.searchsorted(opens, hours, side="right") - 1
    seen = (hours > 0) & (inside >= 0) & (hours < closes[inside])
    np.maximum.at(high, inside[seen], moves[seen])
    np.minimum.at(low, inside[seen], moves[seen])
    return np.stack([opened, high, low, closed])
