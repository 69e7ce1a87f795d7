"""Rules that a row of bars must keep to be believed. Each is a pure function of rows in time order.

No rule looks at a later bar to judge an earlier one: what was accepted at its close stays accepted.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from pipelines.schemas import PRICES
from trading.bars import ORDER_FLOW

Mask = npt.NDArray[np.bool_]

# Where the bars of every length start: a Monday at midnight UTC, as in trading.bars.resample.
_GRID = pd.Timestamp("1970-01-05", tz="UTC")
# Base and quote volume differ by a price; at a factor beyond this from every price of the bar they are something else.
_VOLUME_FACTOR = 3.0
# Exports round; what takers bought is a part of the volume to this share of it.
_ROUNDING = 1e-6
# A high or low may be this many times as far away as an open or close.
_WICK = 2.0


def _cells(rows: pd.DataFrame, *names: str) -> npt.NDArray[np.float64]:
    """Values of columns as an array of shape (rows, columns)."""
    return rows[list(names)].to_numpy(dtype=np.float64)


def _flags(values: object) -> Mask:
    return np.asarray(values, dtype=np.bool_)


def stamp_not_a_time(rows: pd.DataFrame) -> Mask:
    """The stamp could not be read."""
    return _flags(rows["timestamp"].isna())


def price_not_a_number(rows: pd.DataFrame) -> Mask:
    """A price is text, empty or infinite."""
    return _flags(~np.isfinite(_cells(rows, *PRICES)).all(axis=1))


def non_positive_price(rows: pd.DataFrame) -> Mask:
    """A price is zero or negative."""
    return _flags((_cells(rows, *PRICES) <= 0).any(axis=1))


def high_below_low(rows: pd.DataFrame) -> Mask:
    """The high is below the low."""
    return _flags(rows["high"] < rows["low"])


def open_or_close_outside_range(rows: pd.DataFrame) -> Mask:
    """The open or the close is above the high or below the low."""
    body = rows[["open", "close"]]
    return _flags((body.max(axis=1) > rows["high"]) | (body.min(axis=1) < rows["low"]))


def volume_not_a_number(rows: pd.DataFrame) -> Mask:
    """The volume is text, empty or infinite."""
    return _flags(~np.isfinite(_cells(rows, "volume")[:, 0]))


def negative_volume(rows: pd.DataFrame) -> Mask:
    """The volume is negative."""
    return _flags(rows["volume"] < 0)


def volumes_disagree(rows: pd.DataFrame) -> Mask:
    """The quote volume is not the base volume times a price of the bar, as when the two columns are swapped.

    Judged only where both are given and positive, and only beyond a factor of 3, which leaves rounding alone.
    """
    if "quote_volume" not in rows:
        return np.zeros(len(rows), dtype=np.bool_)
    base, quote, high, low = _cells(rows, "volume", "quote_volume", "high", "low").T
    given = (base > 0) & (quote > 0)
    price = np.divide(quote, base, out=np.full(len(rows), np.nan), where=given)
    return _flags((price > high * _VOLUME_FACTOR) | (price < low / _VOLUME_FACTOR))


def order_flow_not_a_number(rows: pd.DataFrame) -> Mask:
    """What takers bought, or the number of trades, is text, empty or infinite."""
    return _flags(~np.isfinite(_order_flow(rows)).all(axis=1))


def negative_order_flow(rows: pd.DataFrame) -> Mask:
    """What takers bought, or the number of trades, is negative."""
    return _flags((_order_flow(rows) < 0).any(axis=1))


def taker_buy_volume_above_volume(rows: pd.DataFrame) -> Mask:
    """Takers bought more than was traded, as when the column is that of the quote asset."""
    volume = _cells(rows, "volume")[:, 0]
    return _flags((_order_flow(rows)[:, 0] > volume * (1 + _ROUNDING)) & (volume >= 0))


def trades_not_whole(rows: pd.DataFrame) -> Mask:
    """The number of trades is no whole number."""
    trades = _order_flow(rows)[:, 1]
    return _flags(trades != np.floor(trades))


def _order_flow(rows: pd.DataFrame) -> npt.NDArray[np.float64]:
    """Shape (rows, 2); zeros, which keep every rule, where the source has no order flow."""
    return _cells(rows, *ORDER_FLOW) if ORDER_FLOW[0] in rows else np.zeros((len(rows), len(ORDER_FLOW)))


def off_grid_stamp(rows: pd.DataFrame, bar: pd.Timedelta) -> Mask:
    """The bar does not open at a whole multiple of its length, counted from midnight UTC (weeks from Monday)."""
    since = pd.DatetimeIndex(rows["timestamp"]) - _GRID
    return _flags(since.notna() & (since.as_unit("ns").asi8 % bar.as_unit("ns").value != 0))


def duplicate_stamp_disagrees(rows: pd.DataFrame) -> Mask:
    """Several rows, not all equal, claim the same stamp. None of them can be told to be the right one.

    Equal rows were collapsed by ingest, so whatever repeats here disagrees.
    """
    return _flags(rows["timestamp"].notna() & rows.duplicated("timestamp", keep=False))


@dataclass(frozen=True)
class Reference:
    """What the next bar is measured from: the close of the last believed one, and when that opened."""

    opened: pd.Timestamp
    price: float


def jump_nobody_believes(
    rows: pd.DataFrame, bar: pd.Timedelta, max_jump: float, before: Reference | None = None
) -> Mask:
    r"""A price is further from the close of the last believed bar than a market moves.

    The limit on ``|log(price / close)|`` is ``max_jump * sqrt(k)`` for a bar that opens ``k`` bars after the last
    believed one: the spread of a random walk. So a bad print is condemned and the bars after it are not; and when a
    level really shifts, or a gap lies between, the limit grows until the new level is believed, with no look at later
    bars. Open and close are judged by it, high and low by twice as much: wicks of real crashes reach far (a log
    return of -1.06 within half an hour on 2017-12-22, EOS/USD), and a history without its crashes looks safer than it
    was. The first bar is measured from its own open.

    Parameters
    ----------
    rows
        Rows that keep all other rules: positive prices, stamps strictly increasing.
    bar
        Length of a bar.
    max_jump
        Largest believable absolute log return over one bar.
    before
        What the first row is measured from, where rows came before these; see :func:`reference_after`.
    """
    count = len(rows)
    condemned = np.zeros(count, dtype=np.bool_)
    if not count:
        return condemned
    start = before or _own_open(rows, bar)
    logs = np.log(_cells(rows, *PRICES))
    reach = np.array([1.0, _WICK, _WICK, 1.0])
    # What each row would be measured from if the one before it was believed; steps have one more at their start.
    closes = np.append(np.log(start.price), logs[:-1, 3])
    steps = np.append(0.0, (pd.DatetimeIndex(rows["timestamp"]) - start.opened) / bar)

    def unbelievable(at: int, reference: float, elapsed: float) -> bool:
        return bool((np.abs(logs[at] - reference) > max_jump * np.sqrt(elapsed) * reach).any())

    limit = max_jump * np.sqrt(np.diff(steps))
    believed_previous = (np.abs(logs - closes[:, None]) <= limit[:, None] * reach).all(axis=1)
    # Only bars that jump from their neighbour, or that follow a condemned one, need the loop.
    at = 0
    for suspect in np.flatnonzero(~believed_previous):
        if suspect < at:
            continue
        at = int(suspect)
        reference, since = closes[at], steps[at]
        while at < count and unbelievable(at, reference, steps[at + 1] - since):
            condemned[at] = True
            at += 1
        at += 1
    return condemned


def reference_after(
    rows: pd.DataFrame, broken: pd.Series, bar: pd.Timedelta, before: Reference | None
) -> Reference | None:
    """What the bar behind some rows is measured from; None if none of them could be measured.

    Parameters
    ----------
    rows
        n rows.
    broken
        What :func:`broken_rules` said of them.
    bar
        Length of a bar.
    before
        What the first of them was measured from.
    """
    if len(believed := rows[broken.isna().to_numpy()]):
        last = believed.iloc[-1]
        return Reference(last["timestamp"], last["close"])
    measured = rows[(broken == "jump_nobody_believes").to_numpy(dtype=np.bool_, na_value=False)]
    return before or (_own_open(measured, bar) if len(measured) else None)


def _own_open(rows: pd.DataFrame, bar: pd.Timedelta) -> Reference:
    """The first row's open, as if it were the close of a bar before it."""
    return Reference(rows["timestamp"].iloc[0] - bar, rows["open"].iloc[0])


ROW_RULES: Mapping[str, Callable[[pd.DataFrame], Mask]] = {
    rule.__name__: rule
    for rule in (
        stamp_not_a_time,
        price_not_a_number,
        non_positive_price,
        high_below_low,
        open_or_close_outside_range,
        volume_not_a_number,
        negative_volume,
        volumes_disagree,
        order_flow_not_a_number,
        negative_order_flow,
        taker_buy_volume_above_volume,
        trades_not_whole,
        duplicate_stamp_disagrees,
    )
}


def broken_rules(rows: pd.DataFrame, bar: pd.Timedelta, max_jump: float, before: Reference | None = None) -> pd.Series:
    """Name of the first rule that each row breaks; missing for rows that keep them all.

    Parameters
    ----------
    rows
        Rows in time order (NaT last), as :func:`pipelines.ingest.arrange.arrange` leaves them.
    bar
        Length of the source's bars.
    max_jump, before
        See :func:`jump_nobody_believes`; judged among the rows that keep all other rules.
    """
    verdict = np.full(len(rows), None, dtype=object)
    keeps = np.ones(len(rows), dtype=np.bool_)

    def judge(name: str, broken: Mask) -> None:
        verdict[keeps & broken] = name
        keeps[broken] = False

    for name, rule in ROW_RULES.items():
        judge(name, rule(rows))
    judge("off_grid_stamp", off_grid_stamp(rows, bar))
    rest = np.flatnonzero(keeps)
    verdict[rest[jump_nobody_believes(rows.iloc[rest], bar, max_jump, before)]] = "jump_nobody_believes"
    return pd.Series(verdict, index=rows.index, dtype="string")
