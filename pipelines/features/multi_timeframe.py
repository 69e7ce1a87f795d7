"""Features of longer bars, seen from the base bars: only bars whose own clock end has passed.

Two contexts stand behind a base timeframe b: the shortest lengths of ``LADDER`` that are multiples of b and at least
4 b and 24 b. For 1h these are 4h and 1d; for 1m 5m and 30m; for 4h 1d and 4d. They start at whole multiples of their
length, counted from a Monday midnight UTC.

The bar in which a history begins may be cut. After it come N whole ones, and with k base bars to each, a window over
them is full from row (N + 1) k - 2 on, wherever on the clock the first row was; missing base bars only bring it nearer.
Windows are finite: a slow average of daily bars would remember its start for months.
"""

from collections.abc import Callable

import numpy as np
import pandas as pd
import talib

from pipelines.features.feature import Feature
from pipelines.features.market import Array, HigherBars, Market
from pipelines.features.windows import balance, deviation, mean, ratio
from trading.errors import InstrumentError
from trading.instrument import duration

LADDER = ("5m", "15m", "30m", "1h", "2h", "4h", "6h", "8h", "12h", "1d", "2d", "4d")
_MULTIPLES = (4, 24)


def contexts(bar: pd.Timedelta) -> tuple[str, ...]:
    """Lengths of the longer bars behind a base timeframe.

    Raises
    ------
    InstrumentError
        If the ladder has none.
    """
    found = []
    for least in _MULTIPLES:
        fitting = [name for name in LADDER if duration(name) >= least * bar and duration(name) % bar == pd.Timedelta(0)]
        if not fitting:
            raise InstrumentError(
                f"no longer bars stand behind bars of {bar}",
                rule=f"the multi_timeframe features look at bars {least} times as long, up to {LADDER[-1]}",
                remedy="use a timeframe from 1m to 4h, or leave multi_timeframe out of features.groups in params.yaml",
            )
        found.append(fitting[0])
    return tuple(found)


def simple_rsi(bars: HigherBars, count: int) -> Array:
    """Relative strength from plain means, in [0, 1]; 0.5 when closes do not move."""
    moves = np.diff(bars.close, prepend=np.nan)
    return 0.5 + balance(mean(np.maximum(moves, 0.0), count), mean(np.maximum(-moves, 0.0), count)) / 2


def mean_range(bars: HigherBars, count: int) -> Array:
    """Mean true range as a fraction of the close."""
    return mean(bars.true_range, count) / bars.close


def _completed(compute: Callable[[HigherBars], Array], length: pd.Timedelta) -> Callable[[Market], Array]:
    def seen(market: Market) -> Array:
        bars = market.higher(length)
        return bars.seen(compute(bars))

    return seen


def _since_close(length: pd.Timedelta) -> Callable[[Market], Array]:
    def since(market: Market) -> Array:
        bars = market.higher(length)
        return np.log(market.close / bars.seen(bars.close))

    return since


def _mean_distance(length: pd.Timedelta, count: int) -> Callable[[Market], Array]:
    def distance(market: Market) -> Array:
        bars = market.higher(length)
        return np.log(market.close / bars.seen(mean(bars.close, count)))

    return distance


def _range_position(length: pd.Timedelta, count: int) -> Callable[[Market], Array]:
    def position(market: Market) -> Array:
        bars = market.higher(length)
        low, high = bars.seen(talib.MIN(bars.low, count)), bars.seen(talib.MAX(bars.high, count))
        return np.clip(ratio(market.close - low, high - low, neutral=0.5), -1.0, 2.0)

    return position


def features(bar: pd.Timedelta) -> tuple[Feature, ...]:
    """The features of both contexts of a base timeframe.

    Raises
    ------
    InstrumentError
        As :func:`contexts`.
    """
    return tuple(feature for name in contexts(bar) for feature in _of_context(name, bar))


def _of_context(name: str, bar: pd.Timedelta) -> tuple[Feature, ...]:
    length = duration(name)
    base_bars = length // bar

    def declare(stem: str, count: int, formula: str, source: str, compute: Callable[[Market], Array]) -> Feature:
        warmup = (count + 1) * base_bars - 2
        return Feature(f"{stem}_{name}", "multi_timeframe", warmup, formula, source, compute)

    def completed(stem: str, count: int, formula: str, source: str, compute: Callable[[HigherBars], Array]) -> Feature:
        text = f"{formula}, over complete bars of {name}"
        return declare(stem, count, text, source, _completed(compute, length))

    return (
        declare("since_close", 1, f"log(c / last complete close of {name})", "log return", _since_close(length)),
        completed("return_1", 2, "log(c / c one bar before)", "log return", lambda bars: bars.change(1)),
        completed("return_7", 8, "log(c / c seven bars before)", "log return", lambda bars: bars.change(7)),
        completed("volatility_14", 15, "std(r, 14), ddof 1", "volatility", lambda bars: deviation(bars.returns, 14, 1)),
        completed(
            "rsi_14",
            15,
            "mean gain / mean move of c, 14",
            "Wilder 1978, Cutler's means",
            lambda bars: simple_rsi(bars, 14),
        ),
        completed(
            "range_14", 15, "mean(true range, 14) / c", "Wilder 1978, plain mean", lambda bars: mean_range(bars, 14)
        ),
        completed(
            "slope_14",
            14,
            "slope of the least-squares line through log c, 14",
            "TA-Lib LINEARREG_SLOPE",
            lambda bars: talib.LINEARREG_SLOPE(bars.log_close, 14),
        ),
        completed(
            "relative_volume_14",
            14,
            "(v - m) / (v + m), m = mean(v, 14)",
            "volume against its mean",
            lambda bars: balance(bars.volume, mean(bars.volume, 14)),
        ),
        declare(
            "sma_distance_14",
            14,
            f"log(c / mean of 14 complete closes of {name})",
            "moving average",
            _mean_distance(length, 14),
        ),
        declare(
            "range_position_14",
            14,
            f"(c - lowest low) / (highest high - lowest low) of 14 complete bars of {name}, within -1 and 2",
            "Donchian channel; TA-Lib MIN, MAX",
            _range_position(length, 14),
        ),
    )
