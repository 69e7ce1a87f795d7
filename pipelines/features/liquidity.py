"""What it costs to trade and who pressed: estimates from bars alone."""

from functools import partial
from math import sqrt as root

from pipelines.features.expression import Expression
from pipelines.features.feature import Feature
from pipelines.features.operators import (
    absent,
    absolute,
    balance,
    correlation,
    deviation,
    exp,
    lag,
    larger,
    mean,
    normal_cdf,
    positive,
    rank,
    ratio,
    sign,
    slope_on,
    smaller,
    sqrt,
    total,
)
from pipelines.features.series import CLOSE, HIGH, LOW, MONEY, PLACE, RANGE, RETURN, TYPICAL, VOLUME

_liquidity = partial(Feature, "liquidity")

IMPACT = ratio(absolute(RETURN), MONEY)
"""The move that a unit of money made (Amihud 2002); 0 where nothing traded."""


def kyle_lambda(rows: int) -> Expression:
    """Slope of returns on signed volume, in units of the window's mean volume: the return a usual bar's flow makes."""
    flow = ratio(sign(RETURN) * VOLUME, mean(VOLUME, rows))
    return slope_on(RETURN, flow, rows)


def roll_spread(rows: int) -> Expression:
    """Effective spread from the bounce between bid and ask; 0 where neighbouring returns do not oppose."""
    covariance = correlation(RETURN, lag(RETURN), rows) * deviation(RETURN, rows) * deviation(lag(RETURN), rows)
    return 2 * sqrt(positive(-covariance))


def corwin_schultz(rows: int) -> Expression:
    """Effective spread from the highs and lows of pairs of bars; negative pairs count as 0."""
    k = 3 - 2 * root(2)
    beta = RANGE * RANGE + lag(RANGE) * lag(RANGE)
    both = larger(HIGH, lag(HIGH)) - smaller(LOW, lag(LOW))
    alpha = (sqrt(2 * beta) - sqrt(beta)) / k - sqrt(both * both / k)
    power = exp(alpha)
    return mean(positive(2 * ratio(power - 1, power + 1)), rows)


def abdi_ranaldo(rows: int) -> Expression:
    """Effective spread from closes and the middles of the bars around them."""
    middle = (HIGH + LOW) / 2
    before = lag(CLOSE) - lag(middle)
    return 2 * sqrt(positive(mean(before * (lag(CLOSE) - middle), rows)))


def vwap_distance(rows: int) -> Expression:
    """Log close over the volume-weighted log typical price; 0 where nothing traded."""
    away = CLOSE - ratio(total(TYPICAL * VOLUME, rows), total(VOLUME, rows))
    return away * sign(total(VOLUME, rows))


def buying(rows: int) -> Expression:
    """Share of the bar's volume that bought, by the size of its return among recent ones."""
    return normal_cdf(ratio(RETURN, deviation(RETURN, rows), least=1e-12))


def flow_imbalance(rows: int, scale: int) -> Expression:
    """Bought minus sold volume, as a share of all."""
    return ratio(total((2 * buying(scale) - 1) * VOLUME, rows), total(VOLUME, rows))


def toxicity(rows: int, scale: int) -> Expression:
    """Absolute imbalance of the bars, as a share of all volume, in [0, 1]."""
    return ratio(total(absolute(2 * buying(scale) - 1) * VOLUME, rows), total(VOLUME, rows))


FEATURES = (
    _liquidity("illiquidity_trend_24_168", balance(mean(IMPACT, 24), mean(IMPACT, 168)), "Amihud 2002"),
    _liquidity("illiquidity_rank_168", rank(IMPACT, 168), "Amihud 2002"),
    _liquidity("kyle_lambda_72", kyle_lambda(72), "Kyle 1985, by regression"),
    _liquidity("roll_spread_72", roll_spread(72), "Roll 1984"),
    _liquidity("corwin_schultz_spread_24", corwin_schultz(24), "Corwin and Schultz 2012"),
    _liquidity("abdi_ranaldo_spread_72", abdi_ranaldo(72), "Abdi and Ranaldo 2017"),
    *(_liquidity(f"vwap_distance_{n}", vwap_distance(n), "volume-weighted average price") for n in (24, 168)),
    *(
        _liquidity(f"flow_imbalance_{n}", flow_imbalance(n, 72), "Easley et al. 2016 (bulk volume)")
        for n in (6, 24, 72)
    ),
    _liquidity("toxicity_48", toxicity(48, 72), "Easley et al. 2012 (VPIN), over bars"),
    _liquidity("money_trend_24_168", balance(mean(MONEY, 24), mean(MONEY, 168)), "turnover, bounded"),
    _liquidity("range_to_volume_24", balance(RANGE, mean(RANGE, 24)) - balance(VOLUME, mean(VOLUME, 24)), "Wyckoff"),
    _liquidity("missing_bars_24", absent(PLACE, 24), "gaps of the feed"),
)
