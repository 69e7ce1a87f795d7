"""How far and how fast prices have moved, and the shape of the newest bars."""

from functools import partial

from pipelines.features.expression import Expression
from pipelines.features.feature import Feature
from pipelines.features.operators import (
    FLOOR,
    absolute,
    balance,
    change,
    dispersion,
    ema,
    from_mean,
    highest,
    lag,
    larger,
    lowest,
    mean,
    positive,
    ratio,
    smaller,
    streak,
    total,
    wilder,
)
from pipelines.features.series import CLOSE, HIGH, LOW, OPEN, RANGE, RETURN, TRUE_RANGE, TYPICAL, settled

_momentum = partial(Feature, "momentum")


def rsi(x: Expression, rows: int, finer: float = 1.0) -> Expression:
    """Relative strength index in [0, 1]; 0.5 when nothing moves. Known to 1e-9, or so many times ``finer``."""
    gain, loss = (wilder(positive(move), rows, scale=10 * finer / FLOOR) for move in (change(x), -change(x)))
    return 0.5 + settled(gain - loss, gain + loss) / 2


def range_position(rows: int) -> Expression:
    """Place of the close between the lowest low and the highest high; 0.5 when they are equal."""
    low = lowest(LOW, rows)
    return ratio(CLOSE - low, highest(HIGH, rows) - low, neutral=0.5)


def stochastic_rsi(rows: int) -> Expression:
    """Place of the strength index in its own range, drawn to 0.5 where that is no more than rounding.

    While prices stand still the range fades away and never quite vanishes: a threshold would let rounding decide.
    """
    least = 1e-6
    index = rsi(CLOSE, rows, finer=2 / least)
    low = lowest(index, rows)
    return ratio(index - low + least / 2, highest(index, rows) - low + least)


def cci(rows: int) -> Expression:
    """Commodity channel index over 100; 0 when typical prices do not move."""
    return ratio(from_mean(change(TYPICAL), rows), 1.5 * dispersion(TYPICAL, rows), least=1e-6)


def chande(rows: int) -> Expression:
    """Gains minus losses as a share of both, over a window, in [-1, 1]."""
    return balance(total(positive(RETURN), rows), total(positive(-RETURN), rows))


def ultimate(short: int, middle: int, long: int) -> Expression:
    """Buying pressure over three windows, in [0, 1]; 0.5 when there is no range."""
    pressure = CLOSE - smaller(LOW, lag(CLOSE))

    def share(rows: int) -> Expression:
        return ratio(total(pressure, rows), total(TRUE_RANGE, rows), neutral=0.5)

    return (4 * share(short) + 2 * share(middle) + share(long)) / 7


def strength(long: int, short: int) -> Expression:
    """Twice smoothed moves as a share of twice smoothed sizes of moves, in [-1, 1]."""

    def twice(x: Expression) -> Expression:
        return ema(ema(x, long, scale=10 / FLOOR), short, scale=10 / FLOOR)

    return settled(twice(RETURN), twice(absolute(RETURN)))


_MIDDLE = (HIGH + LOW) / 2

FEATURES = (
    *(_momentum(f"return_{n}", change(CLOSE, n), "log return") for n in (1, 2, 3, 6, 12, 24, 48, 72, 168)),
    *(_momentum(f"rsi_{n}", rsi(CLOSE, n), "Wilder 1978, of log prices, over 100") for n in (7, 14)),
    _momentum("stochastic_rsi_14", stochastic_rsi(14), "Chande and Kroll 1994"),
    _momentum("stochastic_k_14", range_position(14), "Lane 1984, of log prices, over 100"),
    _momentum("stochastic_d_14_3", mean(range_position(14), 3), "Lane 1984, of log prices, over 100"),
    *(_momentum(f"range_position_{n}", range_position(n), "Donchian channel") for n in (72, 168)),
    _momentum("cci_20", cci(20), "Lambert 1980, of log prices, over 100"),
    _momentum("chande_momentum_14", chande(14), "Chande 1994, over 100"),
    _momentum("ultimate_7_14_28", ultimate(7, 14, 28), "Williams 1985, over 100"),
    _momentum("true_strength_13_7", strength(13, 7), "Blau 1991, over 100"),
    _momentum("awesome_5_34", mean(_MIDDLE, 5) - mean(_MIDDLE, 34), "Williams 1995, of log prices"),
    _momentum("streak_12", streak(RETURN, 12) / 12, "closes in a row of one direction"),
    _momentum("body", ratio(CLOSE - OPEN, RANGE), "Livshin 2001 (balance of power)"),
    _momentum("upper_shadow", ratio(HIGH - larger(OPEN, CLOSE), RANGE), "candlestick"),
    _momentum("lower_shadow", ratio(smaller(OPEN, CLOSE) - LOW, RANGE), "candlestick"),
    _momentum("body_mean_6", mean(ratio(CLOSE - OPEN, RANGE), 6), "balance of power, smoothed"),
)
