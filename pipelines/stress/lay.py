"""Laying a scenario over bars: what the market would have looked like, had it happened there.

Prices are bent in logarithms. With ``x(h)`` the bars' own log return since the close before the scenario, ``s(h)`` the
scenario's path and ``k`` its volatility, the new one is ``s(h) + k * (x(h) - l(h))``, where ``l`` is the straight line
through the bars' own returns at the path's points, a bridge: at a point the new return is the path's exactly, and between
two of them the market wiggles as it did. Without a path ``s`` and ``l`` are zero. After the scenario returns are the
bars' own again, from the level that it leaves.
"""

from collections.abc import Mapping

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
    own = {symbol: _own_returns(frame, start, scenario.hours) for symbol, frame in bars.items()}
    if scenario.correlated:
        own = _together(own, bars, start, scenario.hours)
    return {symbol: _laid(scenario, frame, own[symbol], start, bar) for symbol, frame in bars.items()}


def _own_returns(frame: pd.DataFrame, start: pd.Timestamp, hours: float) -> Array:
    """Log returns of open, high, low and close since the close before, of shape (4, bars of the scenario)."""
    first, after = span(pd.DatetimeIndex(frame.index), start, hours)
    prices = np.log(frame[PRICES].to_numpy(dtype=np.float64)[first - 1 : after].T)
    own: Array = prices[:, 1:] - prices[3, 0]
    return own


def _together(
    own: Mapping[str, Array], bars: Mapping[str, pd.DataFrame], start: pd.Timestamp, hours: float
) -> dict[str, Array]:
    """The same, had all assets moved as one: each bar's return is the common one, in each asset's own volatility.

    The common return is the mean of the assets' returns, each in units of its root mean square, scaled to those units.
    """
    closes = {}
    for symbol, values in own.items():
        first, after = span(pd.DatetimeIndex(bars[symbol].index), start, hours)
        closes[symbol] = pd.Series(values[3], index=bars[symbol].index[first:after])
    shared = pd.concat(closes, axis=1, join="inner")
    returns = shared.diff().fillna(shared.iloc[:1])
    size = np.sqrt((returns**2).mean())
    common = (returns / size.where(size > 0, np.inf)).mean(axis=1)
    scale = np.sqrt((common**2).mean())
    path = common.cumsum() / (scale if scale > 0 else np.inf)
    moved = {}
    for symbol, values in own.items():
        # By how much the close is another one; where an asset has a bar of its own, as much as at the shared one before.
        bend = (path * size[symbol] - shared[symbol]).reindex(closes[symbol].index).ffill().fillna(0.0).to_numpy()
        before = np.append(0.0, bend[:-1])
        moved[symbol] = values + np.stack([before, (before + bend) / 2, (before + bend) / 2, bend])
    return moved


def _laid(scenario: Scenario, frame: pd.DataFrame, own: Array, start: pd.Timestamp, bar: pd.Timedelta) -> pd.DataFrame:
    """Bars of one asset with the scenario on them; ``own`` are the returns that it bends."""
    index = pd.DatetimeIndex(frame.index)
    first, after = span(index, start, scenario.hours)
    prices = frame[PRICES].to_numpy(dtype=np.float64).T.copy()
    true = np.log(prices[:, first:after]) - np.log(prices[3, first - 1])
    bent = _bent(scenario, own, np.asarray((index[first:after] - start) / _HOUR), bar / _HOUR)
    prices[:, first:after] *= np.exp(bent - true)
    prices[:, after:] *= np.exp(bent[3, -1] - true[3, -1])
    prices[1] = prices.max(axis=0)
    prices[2] = prices.min(axis=0)
    laid = pd.DataFrame(dict(zip(PRICES, prices, strict=True)), index=index)
    volume = frame["volume"].to_numpy(dtype=np.float64).copy()
    volume[first:after] *= scenario.volume
    laid["volume"] = volume
    if "funding_rate" in frame or scenario.funding:
        rate = frame["funding_rate"].fillna(0.0).to_numpy().copy() if "funding_rate" in frame else np.zeros(len(frame))
        payments = np.diff((index[first - 1 : after] - _EPOCH) // _FUNDED_EVERY)
        rate[first:after] += scenario.funding * payments
        laid["funding_rate"] = rate
    return laid


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
