"""Bars that never were: random walks, and what goes wrong on real markets."""

import numpy as np
import pandas as pd

PRICES = ["open", "high", "low", "close"]


def make_bars(
    rows: int,
    *,
    seed: int = 0,
    price: float = 100.0,
    volatility: float = 0.01,
    timeframe: str = "1h",
    gaps: float = 0.0,
    start: str = "2024-01-03 05:00",
) -> pd.DataFrame:
    """A random walk with fat tails; a share of its bars is missing."""
    rng = np.random.default_rng(seed)
    close = price * np.exp(np.cumsum(volatility * rng.standard_t(4, rows)))
    open_ = np.concatenate([[price], close[:-1]])
    wick = np.exp(volatility * rng.random((2, rows)) / 2)
    high, low = np.maximum(open_, close) * wick[0], np.minimum(open_, close) / wick[1]
    index = pd.date_range(start, periods=rows, freq=pd.Timedelta(timeframe), tz="UTC", name="timestamp")
    values = {"open": open_, "high": high, "low": low, "close": close, "volume": rng.lognormal(3, 1, rows)}
    bars = with_takers(pd.DataFrame(values, index=index), seed)
    return bars[rng.random(rows) >= gaps] if gaps else bars


def with_takers(bars: pd.DataFrame, seed: int = 0) -> pd.DataFrame:
    """The same with the columns that order_flow reads."""
    rng = np.random.default_rng(seed + 1)
    share = rng.beta(4, 4, len(bars))
    trades = np.ceil(bars["volume"] / rng.lognormal(0, 1, len(bars)))
    return bars.assign(taker_buy_volume=share * bars["volume"], trades=trades)


def hold_still(bars: pd.DataFrame, first: int, last: int) -> pd.DataFrame:
    """Nothing moves or trades in rows ``first`` to ``last``; prices continue from there."""
    still = bars.copy()
    level = bars["close"].iloc[first - 1]
    still.iloc[last:, :4] *= level / bars["close"].iloc[last - 1]
    still.iloc[first:last, :4] = level
    still.iloc[first:last, 4:] = 0.0
    return still


def jump(bars: pd.DataFrame, row: int, factor: float) -> pd.DataFrame:
    """Prices from a row on are others altogether."""
    moved = bars.copy()
    moved.iloc[row:, :4] *= factor
    return moved


def untraded(bars: pd.DataFrame, share: float, seed: int = 0) -> pd.DataFrame:
    """A share of the bars in which nothing changed hands although prices are quoted."""
    quiet = bars.copy()
    quiet.iloc[np.random.default_rng(seed).random(len(bars)) < share, 4:] = 0.0
    return quiet


def ticked(bars: pd.DataFrame, tick: float) -> pd.DataFrame:
    """Prices rounded to whole ticks: many equal closes and bars without a range."""
    rounded = bars.copy()
    rounded[PRICES] = (bars[PRICES] / tick).round().clip(lower=1.0) * tick
    return rounded


# What a history may look like, by name: functions of the number of rows and a seed.
KINDS = {
    "walk": lambda rows, seed: make_bars(rows, seed=seed),
    "gaps": lambda rows, seed: make_bars(rows, seed=seed, gaps=0.1),
    "stretch without bars": lambda rows, seed: drop_days(make_bars(rows, seed=seed), seed),
    "stretch without moves": lambda rows, seed: hold_still(
        make_bars(rows, seed=seed), 1 + seed * 37 % (rows // 2), rows // 2 + seed * 53 % (rows // 2)
    ),
    "jump up": lambda rows, seed: jump(make_bars(rows, seed=seed), seed * 37 % rows, 1e3),
    "crash": lambda rows, seed: jump(make_bars(rows, seed=seed), seed * 37 % rows, 1e-3),
    "tiny prices": lambda rows, seed: make_bars(rows, seed=seed, price=1e-9),
    "huge prices": lambda rows, seed: make_bars(rows, seed=seed, price=1e9, volatility=0.05),
    "hardly any moves": lambda rows, seed: make_bars(rows, seed=seed, volatility=1e-7),
    "mostly untraded": lambda rows, seed: untraded(make_bars(rows, seed=seed), 0.7, seed),
    "coarse ticks": lambda rows, seed: ticked(make_bars(rows, seed=seed, volatility=0.002), 0.25),
}


def drop_days(bars: pd.DataFrame, seed: int) -> pd.DataFrame:
    """Nine days of which there is no bar."""
    first = bars.index[seed * 37 % len(bars)]
    return bars[(bars.index < first) | (bars.index >= first + pd.Timedelta("9D"))]
