"""Features of volume, and of price weighted by it. Where nothing traded, each has a neutral value."""

from collections.abc import Callable
from functools import partial

import numpy as np

from pipelines.features.feature import Feature
from pipelines.features.market import Array, Market
from pipelines.features.windows import SPREAD, balance, correlation, deviation, mean, ratio, rolling, total


def relative_volume(market: Market, bars: int) -> Array:
    """Volume against its mean."""
    return balance(market.volume, mean(market.volume, bars))


def volume_trend(market: Market, short: int, long: int) -> Array:
    """Short against long mean of volume."""
    return balance(mean(market.volume, short), mean(market.volume, long))


def volume_score(market: Market, bars: int) -> Array:
    """Standard score of the newest volume; 0 when volume does not vary."""

    def score(window: Array) -> Array:
        away = window - window[:, -1:]
        spread = away.std(axis=1)
        return np.where(spread > SPREAD * window.max(axis=1), -ratio(away.mean(axis=1), spread), 0.0)

    return rolling(market.volume, bars, score)


def volume_dispersion(market: Market, bars: int) -> Array:
    """Coefficient of variation."""
    return ratio(deviation(market.volume, bars), mean(market.volume, bars))


def signed_volume(market: Market, bars: int) -> Array:
    """Volume of rising closes minus that of falling ones, as a share of all."""
    return ratio(total(np.sign(market.returns) * market.volume, bars), total(market.volume, bars))


def money_flow(market: Market, bars: int) -> Array:
    """Volume weighted by where in its range each bar closed."""
    where = ratio(2 * market.close - market.high - market.low, market.high - market.low)
    return ratio(total(where * market.volume, bars), total(market.volume, bars))


def money_flow_index(market: Market, bars: int) -> Array:
    """Share of the money that changed hands at rising typical prices, in [0, 1]."""
    money = market.typical * market.volume
    direction = np.sign(np.diff(market.typical, prepend=np.nan))
    rising, falling = total(money * (direction > 0), bars), total(money * (direction < 0), bars)
    return 0.5 + balance(rising, falling) / 2


def vwap_distance(market: Market, bars: int) -> Array:
    """Log distance of the close from the volume-weighted typical price; 0 where nothing traded."""
    paid, traded = total(market.typical * market.volume, bars), total(market.volume, bars)
    return np.asarray(np.log(ratio(market.close * traded, paid, neutral=1.0)))


def volume_return_correlation(market: Market, bars: int) -> Array:
    """Correlation of volume with the size of the move."""
    return correlation(np.abs(market.returns), market.volume, bars)


def illiquidity_trend(market: Market, short: int, long: int) -> Array:
    """Short against long mean of the move that a unit of money makes."""
    impact = ratio(np.abs(market.returns), market.close * market.volume)
    return balance(mean(impact, short), mean(impact, long))


def missing_bars(market: Market, bars: int) -> Array:
    """Places of the time grid without a bar among the last ones."""
    slots = (market.opened - market.opened[:1]) // market.bar
    first = np.searchsorted(slots, slots - bars, side="right")
    return np.asarray(bars - (np.arange(len(slots)) - first + 1.0))


def _volume(name: str, warmup: int, formula: str, source: str, compute: Callable[[Market], Array]) -> Feature:
    return Feature(name, "volume", warmup, formula, source, compute)


FEATURES = (
    _volume(
        "relative_volume_24",
        23,
        "(v - m) / (v + m), m = mean(v, 24)",
        "volume against its mean",
        partial(relative_volume, bars=24),
    ),
    _volume(
        "volume_trend_6_24",
        23,
        "(m6 - m24) / (m6 + m24), m = mean(v, .)",
        "volume oscillator, bounded",
        partial(volume_trend, short=6, long=24),
    ),
    _volume(
        "volume_trend_24_168",
        167,
        "(m24 - m168) / (m24 + m168), m = mean(v, .)",
        "volume oscillator, bounded",
        partial(volume_trend, short=24, long=168),
    ),
    _volume(
        "volume_score_168", 167, "(v - mean(v, 168)) / std(v, 168)", "standard score", partial(volume_score, bars=168)
    ),
    _volume(
        "volume_dispersion_24",
        23,
        "std(v, 24) / mean(v, 24)",
        "coefficient of variation",
        partial(volume_dispersion, bars=24),
    ),
    _volume(
        "signed_volume_24",
        24,
        "sum(sign(r) v, 24) / sum(v, 24)",
        "Granville 1963 (on-balance volume), over a window",
        partial(signed_volume, bars=24),
    ),
    _volume(
        "money_flow_20",
        19,
        "sum(v (2c - h - l) / (h - l), 20) / sum(v, 20)",
        "Chaikin (money flow)",
        partial(money_flow, bars=20),
    ),
    _volume(
        "money_flow_index_14",
        14,
        "sum(p v; p rose, 14) / sum(p v; p moved, 14), p = (h + l + c) / 3",
        "Quong and Soudack 1989",
        partial(money_flow_index, bars=14),
    ),
    _volume(
        "vwap_distance_24",
        23,
        "log(c sum(v, 24) / sum(p v, 24)), p = (h + l + c) / 3",
        "volume-weighted average price",
        partial(vwap_distance, bars=24),
    ),
    _volume(
        "volume_return_correlation_48",
        48,
        "corr(|r|, v; 48)",
        "Karpoff 1987",
        partial(volume_return_correlation, bars=48),
    ),
    _volume(
        "illiquidity_trend_24_168",
        168,
        "(m24 - m168) / (m24 + m168), m = mean(|r| / (c v), .)",
        "Amihud 2002",
        partial(illiquidity_trend, short=24, long=168),
    ),
    _volume(
        "missing_bars_24",
        23,
        "24 - bars present in the last 24 places of the time grid",
        "gaps of the feed",
        partial(missing_bars, bars=24),
    ),
)
