"""Features of price alone: returns, volatility, momentum, trend, and the shape of bars.

TA-Lib computes what it has, except where its running sums would let the start of the history show (Bollinger, CCI):
those are the same formulas over exact windows. Ratios of Wilder averages settle to neutral when nothing moves.
"""

from collections.abc import Callable
from functools import partial

import numpy as np
import talib

from pipelines.features.feature import Feature, ema_memory, wilder_memory
from pipelines.features.market import Array, Market, Ohlcv
from pipelines.features.windows import (
    ROUNDING,
    balance,
    correlation,
    deviation,
    from_last,
    mean,
    ratio,
    rolling,
    settle,
    skewness,
    total,
    wilder,
)


def volatility(market: Market, bars: int) -> Array:
    """Sample standard deviation of log returns."""
    return deviation(market.returns, bars, ddof=1)


def parkinson(market: Market, bars: int) -> Array:
    """Volatility of one bar from highs and lows."""
    return np.asarray(np.sqrt(mean(np.log(market.high / market.low) ** 2, bars) / (4 * np.log(2))))


def rsi(market: Market, bars: int) -> Array:
    """Relative strength index in [0, 1]; 0.5 when closes do not move."""
    moves = np.abs(np.diff(market.close, prepend=market.close[:1]))
    return settle(talib.RSI(market.close, bars) / 100, wilder(moves, bars) / market.close, neutral=0.5)


def directional_balance(market: Market, bars: int) -> Array:
    """Upward minus downward directional movement, as a share of the true range."""
    prices = market.high, market.low, market.close
    difference = talib.PLUS_DI(*prices, bars) - talib.MINUS_DI(*prices, bars)
    return settle(difference / 100, talib.NATR(*prices, bars) / 100)


def adx(market: Market, bars: int) -> Array:
    """Average directional index in [0, 1].

    The index is settled before it is smoothed: TA-Lib's own ADX would remember the last movement through any stretch of
    flat prices.
    """
    movement = talib.PLUS_DM(market.high, market.low, bars) + talib.MINUS_DM(market.high, market.low, bars)
    index = talib.DX(market.high, market.low, market.close, bars) / 100
    return wilder(settle(index, movement / bars / market.close), bars)


def macd(market: Market) -> Array:
    """Difference of two exponential averages of the log close."""
    return np.asarray(talib.MACD(market.log_close, 12, 26, 9)[0])


def macd_histogram(market: Market) -> Array:
    """The difference minus its own exponential average."""
    return np.asarray(talib.MACD(market.log_close, 12, 26, 9)[2])


def ema_distance(market: Market, span: int) -> Array:
    """Log distance of the close from its geometric exponential average."""
    return np.asarray(market.log_close - talib.EMA(market.log_close, span))


def sma_distance(market: Market, bars: int) -> Array:
    """Log distance of the close from its mean."""
    return np.asarray(np.log(market.close / mean(market.close, bars)))


def bollinger_position(market: Market, bars: int) -> Array:
    """Place of the close between the bands at two standard deviations; 0.5 when closes do not move."""

    def position(window: Array) -> Array:
        away = from_last(window)
        return 0.5 - ratio(away.mean(axis=1), 4 * away.std(axis=1), floor=ROUNDING)

    return rolling(market.close, bars, position)


def bollinger_width(market: Market, bars: int) -> Array:
    """Distance between the bands as a fraction of their middle."""

    def width(window: Array) -> Array:
        away = from_last(window)
        return np.asarray(4 * away.std(axis=1) / (1 + away.mean(axis=1)))

    return rolling(market.close, bars, width)


def range_position(market: Market, bars: int) -> Array:
    """Place of the close between the lowest low and the highest high; 0.5 when they are equal."""
    low = talib.MIN(market.low, bars)
    return ratio(market.close - low, talib.MAX(market.high, bars) - low, neutral=0.5)


def cci(market: Market, bars: int) -> Array:
    """Commodity channel index over 100; 0 when typical prices do not move."""

    def channel(window: Array) -> Array:
        away = from_last(window)
        middle = away.mean(axis=1)
        return -ratio(middle, 1.5 * np.abs(away - middle[:, None]).mean(axis=1), floor=ROUNDING)

    return rolling(market.typical, bars, channel)


def shape(market: Market, part: Array) -> Array:
    """A part of each bar as a share of its range; 0 when it has none."""
    return ratio(part, market.high - market.low)


def trend_fit(market: Market, bars: int) -> Array:
    """Correlation of the log close with time."""
    time = np.arange(bars) - (bars - 1) / 2

    def fit(window: Array) -> Array:
        away = window - window[:, -1:]
        return ratio((away * time).mean(axis=1), away.std(axis=1) * time.std(), floor=ROUNDING)

    return np.clip(rolling(market.log_close, bars, fit), -1.0, 1.0)


def efficiency(market: Market, bars: int) -> Array:
    """Net movement as a share of the way travelled, signed."""
    return ratio(total(market.returns, bars), total(np.abs(market.returns), bars), floor=ROUNDING)


def autocorrelation(market: Market, bars: int) -> Array:
    """Correlation of neighbouring returns."""
    before = np.concatenate([np.full(1, np.nan), market.returns[:-1]])
    return correlation(market.returns, before, bars)


def _technical(name: str, warmup: int, formula: str, source: str, compute: Callable[[Market], Array]) -> Feature:
    return Feature(name, "technical", warmup, formula, source, compute)


# Settled, then smoothed: the weight of an early index fades only while its seed is still being forgotten.
_ADX_MEMORY = wilder_memory(14) + ema_memory(27, scale=40e-9)

FEATURES = (
    *(
        _technical(f"return_{n}", n, f"log(c[t] / c[t-{n}])", "log return", partial(Ohlcv.change, bars=n))
        for n in (1, 3, 6, 12, 24, 72)
    ),
    _technical("volatility_24", 24, "std(r, 24), ddof 1", "sample standard deviation", partial(volatility, bars=24)),
    _technical(
        "volatility_168", 168, "std(r, 168), ddof 1", "sample standard deviation", partial(volatility, bars=168)
    ),
    _technical(
        "volatility_balance_24_168",
        168,
        "(volatility_24 - volatility_168) / (volatility_24 + volatility_168)",
        "short against long volatility",
        lambda market: balance(volatility(market, 24), volatility(market, 168), floor=ROUNDING),
    ),
    _technical(
        "parkinson_24", 23, "sqrt(mean(log(h/l)^2, 24) / (4 log 2))", "Parkinson 1980", partial(parkinson, bars=24)
    ),
    _technical(
        "natr_14",
        ema_memory(27),
        "ATR(14) / c",
        "Wilder 1978; TA-Lib NATR",
        lambda market: talib.NATR(market.high, market.low, market.close, 14) / 100,
    ),
    _technical("rsi_14", wilder_memory(14), "RSI(14) / 100", "Wilder 1978; TA-Lib RSI", partial(rsi, bars=14)),
    _technical("adx_14", _ADX_MEMORY, "Wilder(DX(14), 14) / 100", "Wilder 1978; TA-Lib DX, EMA", partial(adx, bars=14)),
    _technical(
        "directional_balance_14",
        wilder_memory(14),
        "(+DI(14) - -DI(14)) / 100",
        "Wilder 1978; TA-Lib PLUS_DI, MINUS_DI",
        partial(directional_balance, bars=14),
    ),
    _technical("macd_12_26", ema_memory(26), "EMA(log c, 12) - EMA(log c, 26)", "Appel 1979; TA-Lib MACD", macd),
    _technical(
        "macd_histogram_12_26_9",
        ema_memory(26, scale=100.0) + 9,
        "macd_12_26 - EMA(macd_12_26, 9)",
        "Appel 1979; TA-Lib MACD",
        macd_histogram,
    ),
    *(
        _technical(
            f"ema_distance_{n}",
            ema_memory(n),
            f"log c - EMA(log c, {n})",
            "exponential average; TA-Lib EMA",
            partial(ema_distance, span=n),
        )
        for n in (12, 48)
    ),
    *(
        _technical(
            f"sma_distance_{n}", n - 1, f"log(c / mean(c, {n}))", "moving average", partial(sma_distance, bars=n)
        )
        for n in (24, 168)
    ),
    _technical(
        "bollinger_position_20",
        19,
        "(c - lower) / (upper - lower), bands mean(c, 20) -+ 2 std(c, 20)",
        "Bollinger 2001 (%b)",
        partial(bollinger_position, bars=20),
    ),
    _technical(
        "bollinger_width_20",
        19,
        "(upper - lower) / mean(c, 20)",
        "Bollinger 2001 (BandWidth)",
        partial(bollinger_width, bars=20),
    ),
    _technical(
        "stochastic_k_14",
        13,
        "(c - min(l, 14)) / (max(h, 14) - min(l, 14))",
        "Lane 1984; TA-Lib MIN, MAX",
        partial(range_position, bars=14),
    ),
    _technical(
        "stochastic_d_14_3",
        15,
        "mean(stochastic_k_14, 3)",
        "Lane 1984; TA-Lib MIN, MAX",
        lambda market: mean(range_position(market, 14), 3),
    ),
    _technical(
        "range_position_168",
        167,
        "(c - min(l, 168)) / (max(h, 168) - min(l, 168))",
        "Donchian channel; TA-Lib MIN, MAX",
        partial(range_position, bars=168),
    ),
    _technical(
        "cci_20",
        19,
        "(p - mean(p, 20)) / (1.5 mean(|p - mean(p, 20)|, 20)), p = (h + l + c) / 3",
        "Lambert 1980, over 100",
        partial(cci, bars=20),
    ),
    _technical(
        "aroon_25",
        25,
        "(bars since the lowest low - bars since the highest high, of 26) / 25",
        "Chande 1995; TA-Lib AROONOSC",
        lambda market: talib.AROONOSC(market.high, market.low, 25) / 100,
    ),
    _technical(
        "body",
        0,
        "(c - o) / (h - l)",
        "Livshin 2001 (balance of power); TA-Lib BOP",
        lambda market: talib.BOP(market.open, market.high, market.low, market.close),
    ),
    _technical(
        "upper_shadow",
        0,
        "(h - max(o, c)) / (h - l)",
        "candlestick",
        lambda market: shape(market, market.high - np.maximum(market.open, market.close)),
    ),
    _technical(
        "lower_shadow",
        0,
        "(min(o, c) - l) / (h - l)",
        "candlestick",
        lambda market: shape(market, np.minimum(market.open, market.close) - market.low),
    ),
    _technical(
        "slope_24",
        23,
        "slope of the least-squares line through log c over 24 bars",
        "linear regression; TA-Lib LINEARREG_SLOPE",
        lambda market: talib.LINEARREG_SLOPE(market.log_close, 24),
    ),
    _technical("trend_fit_72", 71, "corr(log c, time; 72)", "linear regression", partial(trend_fit, bars=72)),
    _technical("efficiency_24", 24, "sum(r, 24) / sum(|r|, 24)", "Kaufman 1995, signed", partial(efficiency, bars=24)),
    _technical(
        "autocorrelation_48", 49, "corr(r[t], r[t-1]; 48)", "Lo and MacKinlay 1988", partial(autocorrelation, bars=48)
    ),
    _technical(
        "skewness_72", 72, "skew(r, 72)", "third standardised moment", lambda market: skewness(market.returns, 72)
    ),
)
