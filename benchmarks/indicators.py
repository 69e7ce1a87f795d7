"""Sixty common indicators of prices, twice: by TA-Lib, and by the operators that features are written with.

The scripts beside this one measure them. Both ways give the same values once the start of the history is forgotten.
"""

import numpy as np
import pandas as pd
import talib

from pipelines.features import operators as op
from pipelines.features.expression import Expression
from pipelines.features.kernels import Array

OPEN, HIGH, LOW, CLOSE, VOLUME = (op.column(name) for name in ("open", "high", "low", "close", "volume"))

SMA, EMA = (10, 20, 50, 100, 200), (9, 12, 26, 50, 200)
RSI = (7, 14, 21)


def problem(count: int) -> pd.DataFrame:
    """Hourly bars of a random walk."""
    rng = np.random.default_rng(0)
    close = 300.0 * np.exp(rng.normal(0, 0.004, count).cumsum())
    open_ = np.append(300.0, close[:-1]) * np.exp(rng.normal(0, 0.0003, count))
    wick = np.exp(0.002 * rng.random((2, count)))
    high, low = np.maximum(open_, close) * wick[0], np.minimum(open_, close) / wick[1]
    index = pd.date_range("2009-01-03", periods=count, freq="h", tz="UTC", name="timestamp")
    volume = rng.lognormal(5, 1, count)
    return pd.DataFrame({"open": open_, "high": high, "low": low, "close": close, "volume": volume}, index=index)


def by_talib(open_: Array, high: Array, low: Array, close: Array, volume: Array) -> dict[str, Array]:
    """Each function once, whatever the number of its outputs."""
    found: dict[str, Array] = {f"sma_{n}": talib.SMA(close, n) for n in SMA}
    found |= {f"ema_{n}": talib.EMA(close, n) for n in EMA}
    found |= {f"rsi_{n}": talib.RSI(close, n) for n in RSI}
    for name in ("WMA", "DEMA", "TEMA", "TRIMA", "STDDEV", "VAR", "MAX", "MIN", "MIDPOINT"):
        found[name.lower()] = getattr(talib, name)(close, 20)
    for name in ("LINEARREG", "LINEARREG_SLOPE", "TSF", "CMO"):
        found[name.lower()] = getattr(talib, name)(close, 14)
    for name in ("PLUS_DI", "MINUS_DI", "DX", "ADX", "ADXR", "ATR", "NATR", "WILLR"):
        found[name.lower()] = getattr(talib, name)(high, low, close, 14)
    macd, signal, histogram = talib.MACD(close, 12, 26, 9)
    upper, middle, lower = talib.BBANDS(close, 20, 2.0, 2.0)
    fast_k, fast_d = talib.STOCHF(high, low, close, 14, 3)
    slow_k, slow_d = talib.STOCH(high, low, close, 14, 3, 0, 3, 0)
    aroon_down, aroon_up = talib.AROON(high, low, 25)
    found |= {"macd": macd, "macd_signal": signal, "macd_histogram": histogram}
    found |= {"bollinger_upper": upper, "bollinger_middle": middle, "bollinger_lower": lower}
    found |= {"fast_k": fast_k, "fast_d": fast_d, "slow_k": slow_k, "slow_d": slow_d}
    found |= {"aroon_down": aroon_down, "aroon_up": aroon_up, "aroon": talib.AROONOSC(high, low, 25)}
    found |= {"trix": talib.TRIX(close, 15), "apo": talib.APO(close, 10, 20, 1), "momentum": talib.MOM(close, 10)}
    found |= {
        "roc": talib.ROC(close, 10),
        "cci": talib.CCI(high, low, close, 20),
        "trange": talib.TRANGE(high, low, close),
    }
    found |= {"ultosc": talib.ULTOSC(high, low, close, 7, 14, 28), "correlation": talib.CORREL(high, low, 30)}
    found |= {"midprice": talib.MIDPRICE(high, low, 14), "mfi": talib.MFI(high, low, close, volume, 14)}
    found |= {"bop": talib.BOP(open_, high, low, close), "typical": talib.TYPPRICE(high, low, close)}
    return found | {"median": talib.MEDPRICE(high, low)}


def by_operators() -> dict[str, Expression]:
    """The same as expressions."""
    change = op.change(CLOSE)
    typical, median = (HIGH + LOW + CLOSE) / 3, (HIGH + LOW) / 2
    trange = op.larger(HIGH, op.lag(CLOSE)) - op.smaller(LOW, op.lag(CLOSE))
    found = {f"sma_{n}": op.mean(CLOSE, n) for n in SMA}
    found |= {f"ema_{n}": op.ema(CLOSE, n, scale=1e4) for n in EMA}
    gains = {n: op.wilder(op.positive(change), n, scale=1e4) for n in RSI}
    losses = {n: op.wilder(op.positive(-change), n, scale=1e4) for n in RSI}
    found |= {f"rsi_{n}": 100 * op.ratio(gains[n], gains[n] + losses[n]) for n in RSI}
    found["cmo"] = 100 * op.balance(gains[14], losses[14])

    once = op.ema(CLOSE, 20, scale=1e4)
    twice = op.ema(once, 20, scale=1e4)
    low, high, line = op.lowest(CLOSE, 20), op.highest(CLOSE, 20), op.path_slope(change, 14)
    variance = op.variance(CLOSE, 20)
    found |= {
        "wma": op.weighted(CLOSE, [k / 210 for k in range(20, 0, -1)], "wma"),
        "dema": 2 * once - twice,
        "tema": 3 * once - 3 * twice + op.ema(twice, 20, scale=1e4),
        "trima": op.mean(op.mean(CLOSE, 10), 11),
        "stddev": op.sqrt(variance),
        "var": variance,
        "max": high,
        "min": low,
        "midpoint": (low + high) / 2,
    }
    end = CLOSE - op.from_mean(change, 14)
    found |= {"linearreg": end + 6.5 * line, "linearreg_slope": line, "tsf": end + 7.5 * line}
    return found | _directional(trange) | _bands(variance) | _oscillators(trange, typical, median)


def _directional(trange: Expression) -> dict[str, Expression]:
    up, down = op.change(HIGH), -op.change(LOW)
    average = op.wilder(trange, 14, scale=1e4)
    plus = op.wilder(op.greater(up, down) * op.positive(up), 14, scale=1e4)
    minus = op.wilder(op.greater(down, up) * op.positive(down), 14, scale=1e4)
    index = 100 * op.ratio(op.absolute(plus - minus), plus + minus)
    adx = op.wilder(index, 14, scale=1e4)
    return {
        "plus_di": 100 * op.ratio(plus, average),
        "minus_di": 100 * op.ratio(minus, average),
        "dx": index,
        "adx": adx,
        "adxr": (adx + op.lag(adx, 13)) / 2,
        "atr": average,
        "natr": 100 * op.ratio(average, CLOSE),
        "trange": trange,
    }


def _bands(variance: Expression) -> dict[str, Expression]:
    macd = op.ema(CLOSE, 12, scale=1e4) - op.ema(CLOSE, 26, scale=1e4)
    signal = op.ema(macd, 9, scale=1e4)
    middle, width = op.mean(CLOSE, 20), 2 * op.sqrt(variance)
    return {
        "macd": macd,
        "macd_signal": signal,
        "macd_histogram": macd - signal,
        "bollinger_upper": middle + width,
        "bollinger_middle": middle,
        "bollinger_lower": middle - width,
    }


def _oscillators(trange: Expression, typical: Expression, median: Expression) -> dict[str, Expression]:
    low, high = op.lowest(LOW, 14), op.highest(HIGH, 14)
    place = 100 * op.ratio(CLOSE - low, high - low)
    slow = op.mean(place, 3)
    since_low, since_high = op.since_lowest(LOW, 26), op.since_highest(HIGH, 26)
    pressure = CLOSE - op.smaller(LOW, op.lag(CLOSE))
    share = {n: op.ratio(op.total(pressure, n), op.total(trange, n)) for n in (7, 14, 28)}
    smooth = op.ema(op.ema(op.ema(CLOSE, 15, scale=1e4), 15, scale=1e4), 15, scale=1e4)
    money, move = typical * VOLUME, op.change(typical)
    rising, falling = (op.total(money * op.positive(op.sign(one)), 14) for one in (move, -move))
    return {
        "willr": 100 * op.ratio(CLOSE - high, high - low),
        "fast_k": place,
        "fast_d": slow,
        "slow_k": slow,
        "slow_d": op.mean(slow, 3),
        "aroon_down": 100 - 4 * since_low,
        "aroon_up": 100 - 4 * since_high,
        "aroon": 4 * (since_low - since_high),
        "trix": 100 * op.ratio(op.change(smooth), op.lag(smooth)),
        "apo": op.ema(CLOSE, 10, scale=1e4) - op.ema(CLOSE, 20, scale=1e4),
        "momentum": op.change(CLOSE, 10),
        "roc": 100 * op.ratio(op.change(CLOSE, 10), op.lag(CLOSE, 10)),
        "cci": op.ratio(typical - op.mean(typical, 20), 0.015 * op.dispersion(typical, 20)),
        "ultosc": (400 * share[7] + 200 * share[14] + 100 * share[28]) / 7,
        "correlation": op.correlation(HIGH, LOW, 30),
        "midprice": (op.lowest(LOW, 14) + op.highest(HIGH, 14)) / 2,
        "mfi": 100 * op.ratio(rising, rising + falling),
        "bop": op.ratio(CLOSE - OPEN, HIGH - LOW),
        "typical": typical,
        "median": median,
    }


def arrays_of(bars: pd.DataFrame) -> list[Array]:
    """Open, high, low, close and volume."""
    return [np.ascontiguousarray(bars[name].to_numpy()) for name in ("open", "high", "low", "close", "volume")]


def largest_difference(ours: pd.DataFrame, theirs: pd.DataFrame) -> tuple[str, float]:
    """The indicator that differs most once its start is forgotten, and by how much of its size (of 1, if smaller)."""
    worst = {}
    for name, expression in by_operators().items():
        # TA-Lib starts its averages from means: twice our memory is enough for both.
        rows = slice(2 * expression.warmup + 30, None)
        mine, other = ours[name].to_numpy()[rows], theirs[name].to_numpy()[rows]
        worst[name] = float((np.abs(mine - other) / np.maximum(1.0, np.abs(other))).max())
    name = max(worst, key=lambda one: worst[one])
    return name, worst[name]
