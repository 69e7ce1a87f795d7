"""Which way the price leaves a channel first, within a horizon: labels without and with a side."""

from math import sqrt

import numpy as np
import pandas as pd

from pipelines.labels.barriers import BOTH, GAP, LOWER, UPPER, VERTICAL, Touches, meet_barriers
from pipelines.labels.direction import direction_labels
from pipelines.labels.spans import Labelled
from trading.instrument import Instrument


def triple_barrier(
    bars: pd.DataFrame, instrument: Instrument, horizon: str, *, volatility: pd.Series, width: float, cost: float
) -> Labelled:
    """Label each bar with the side on which a channel around the next open is left first.

    The channel reaches ``d_t = width * volatility_t * sqrt(h) + cost`` above and below the open of t+1, so that whoever
    had been on the right side has earned ``width`` standard deviations of the horizon after a round trip of costs. If
    it is not left by the open of t+1+h, the sign of the return by then decides. With no side there is no worse
    order of two barriers: a bar that reaches both says nothing about direction, and its row has no label.

    Parameters
    ----------
    bars
        n bars on a strictly increasing DatetimeIndex of openings.
    instrument
        Gives the length of a bar.
    horizon
        Duration such as ``4h``, a whole number h of bars: the vertical barrier.
    volatility
        Standard deviation of one-bar log returns, known at each row's close, on the index of ``bars``; NaN: no label.
    width
        Distance of the barriers in standard deviations of the horizon, above 0.
    cost
        Costs of a round trip, as a fraction of its notional.

    Returns
    -------
    Labelled
        n rows on the index of ``bars``. ``label``: 1.0 if the exit is above the entry, 0.0 if not, or NaN. ``ret``:
        simple return from entry to exit before costs, or NaN. ``t_end``: when the exit's price is known, or NaT: the
        close of the bar that touched, or the opening of the bar at whose open it ended. ``gap``: a bar is missing
        before the exit. ``touch``: 1.0 upper, -1.0 lower, 0.0 vertical, or NaN. ``both``: unlabelled, for one bar
        reached both. ``horizon_ret``, ``horizon_end``: return to the open of t+1+h whatever was touched, and when
        *that* is known.

    Raises
    ------
    ValueError
        If a number is out of range or ``volatility`` stands on other bars.
    InstrumentError, BarError
        As :func:`pipelines.labels.direction.direction_labels`.

    References
    ----------
    M. López de Prado, *Advances in Financial Machine Learning*, Wiley 2018, sections 3.3 to 3.5.
    """
    if not (width > 0 and cost >= 0):
        raise ValueError(f"{width=}, {cost=}: expected above 0 and at least 0")
    distance = width * _unit(volatility, bars, instrument, horizon) + cost
    anyone = np.zeros(len(bars), dtype=np.int8)
    touches = meet_barriers(bars, instrument, horizon, up=distance, down=distance, worse=anyone)
    held = direction_labels(bars, instrument, horizon)
    labels = _frame(bars, instrument, touches, np.ones(len(bars)), 0.0).assign(
        both=touches.kind == BOTH, horizon_ret=held["ret"], horizon_end=held["t_end"]
    )
    return Labelled(labels, touches.spans)


def meta_labels(
    bars: pd.DataFrame,
    instrument: Instrument,
    horizon: str,
    *,
    side: pd.Series,
    volatility: pd.Series,
    profit: float,
    stop: float,
    cost: float,
) -> Labelled:
    """Label each bar with whether acting on a primary model's side would have paid.

    The position decided at the close of t is taken at the open of t+1 in the direction of ``side_t``. It ends with a
    profit at ``profit * volatility_t * sqrt(h) + cost`` in its favour, with a loss at ``stop * volatility_t * sqrt(h)``
    against it, or at the open of t+1+h. Where one bar reaches both, the loss came first.

    Parameters
    ----------
    bars, instrument, horizon, volatility
        As :func:`triple_barrier`.
    side
        1 long, -1 short, 0 or NaN nothing to judge, decided at each row's close, on the index of ``bars``.
    profit, stop
        Distances in standard deviations of the horizon, above 0; infinity switches a barrier off.
    cost
        Costs of a round trip, as a fraction of its notional.

    Returns
    -------
    Labelled
        As :func:`triple_barrier` without ``both`` and the horizon's columns. ``label``: 1.0 if the position earned more
        than ``cost``, 0.0 if not. ``ret``: what the position earned before costs. ``touch``: 1.0 profit, -1.0 stop, 0.0
        vertical.

    Raises
    ------
    ValueError
        If a number is out of range, a side is none, or a series stands on other bars.
    InstrumentError, BarError
        As :func:`pipelines.labels.direction.direction_labels`.

    References
    ----------
    M. López de Prado, *Advances in Financial Machine Learning*, Wiley 2018, section 3.6.
    """
    if not (profit > 0 and stop > 0 and cost >= 0):
        raise ValueError(f"{profit=}, {stop=}, {cost=}: expected above 0, above 0 and at least 0")
    if not side.index.equals(bars.index) or not side.dropna().isin([-1, 0, 1]).all():
        raise ValueError("side: expected 1, -1, 0 or NaN on the index of the bars")
    sign = side.to_numpy(dtype=np.float64, na_value=0.0)
    unit = np.where(sign == 0, np.nan, _unit(volatility, bars, instrument, horizon))
    # A market that does not move opens nothing: infinity times zero is no distance.
    with np.errstate(invalid="ignore"):
        favour, against = profit * unit + cost, stop * unit
    touches = meet_barriers(
        bars,
        instrument,
        horizon,
        up=np.where(sign > 0, favour, against),
        down=np.where(sign > 0, against, favour),
        worse=(-sign).astype(np.int8),
    )
    return Labelled(_frame(bars, instrument, touches, sign, cost), touches.spans)


def _unit(volatility: pd.Series, bars: pd.DataFrame, instrument: Instrument, horizon: str) -> np.ndarray:
    """One standard deviation of the horizon's return, for each row."""
    if not volatility.index.equals(bars.index):
        raise ValueError("volatility: expected a value for each bar, on the index of the bars")
    return volatility.to_numpy(dtype=np.float64) * sqrt(instrument.bars_in(horizon))


def _frame(bars: pd.DataFrame, instrument: Instrument, touches: Touches, sign: np.ndarray, cost: float) -> pd.DataFrame:
    """Labels of positions in the direction of ``sign``: 1.0 where they earned more than ``cost``."""
    index = pd.DatetimeIndex(bars.index)
    open_ = bars["open"].to_numpy(dtype=np.float64)
    met = np.flatnonzero(touches.met)
    ret = np.full(len(bars), np.nan)
    ret[met] = sign[met] * (touches.price[met] / open_[met + 1] - 1)
    ended = [touches.kind == kind for kind in (UPPER, LOWER, VERTICAL)]
    touch = np.select(ended, [sign, -sign, np.zeros(len(bars))], np.nan)
    # The position's last bar is the one that was touched, or the one before the open at which it ended.
    last = np.maximum(touches.spans.stop - 1, 0)
    t_end = pd.Series(index[last] + instrument.bar, index=index).where(touches.met)
    label = np.where(touches.met, (ret > cost).astype(float), np.nan)
    return pd.DataFrame(
        {"label": label, "ret": ret, "t_end": t_end, "gap": touches.kind == GAP, "touch": touch}, index=index
    )
