"""Where prices are heading, and how steadily."""

from functools import partial

from pipelines.features.expression import Expression
from pipelines.features.feature import Feature
from pipelines.features.operators import (
    absolute,
    change,
    ema,
    from_mean,
    greater,
    highest,
    lag,
    lowest,
    path_fit,
    path_slope,
    positive,
    ratio,
    since_highest,
    since_lowest,
    total,
    wilder,
)
from pipelines.features.series import CLOSE, HIGH, LOW, RETURN, TRUE_RANGE, settled, smooth

_trend = partial(Feature, "trend")


def macd(x: Expression, short: int, long: int) -> Expression:
    """Difference of two exponential averages."""
    return ema(x, short) - ema(x, long)


def movements() -> tuple[Expression, Expression]:
    """Upward and downward directional movement of each bar (Wilder 1978)."""
    up, down = change(HIGH), -change(LOW)
    return greater(up, down) * positive(up), greater(down, up) * positive(down)


def directional_balance(rows: int) -> Expression:
    """Upward minus downward movement as a share of the true range, in [-1, 1]."""
    up, down = movements()
    return settled(smooth(up, rows) - smooth(down, rows), smooth(TRUE_RANGE, rows))


def directional_index(rows: int) -> Expression:
    """How one-sided the directional movement is, in [0, 1]."""
    up, down = (smooth(one, rows) for one in movements())
    return settled(absolute(up - down), up + down)


def triple(x: Expression, span: int) -> Expression:
    """An exponential average of an exponential average of an exponential average."""
    return ema(ema(ema(x, span), span), span)


def vortex(rows: int) -> Expression:
    """Difference of the two vortex lines."""
    up, down = total(absolute(HIGH - lag(LOW)), rows), total(absolute(LOW - lag(HIGH)), rows)
    return ratio(up - down, total(TRUE_RANGE, rows))


def midpoint_distance(rows: int) -> Expression:
    """Close over the middle of its channel."""
    return CLOSE - (highest(HIGH, rows) + lowest(LOW, rows)) / 2


def efficiency(rows: int) -> Expression:
    """Net movement as a share of the way travelled, signed."""
    return ratio(total(RETURN, rows), total(absolute(RETURN), rows))


FEATURES = (
    *(_trend(f"ema_distance_{n}", CLOSE - ema(CLOSE, n), "exponential average") for n in (12, 48)),
    *(_trend(f"sma_distance_{n}", from_mean(RETURN, n), "moving average of log prices") for n in (24, 72, 168)),
    _trend("macd_12_26", macd(CLOSE, 12, 26), "Appel 1979, of log prices"),
    _trend(
        "macd_histogram_12_26_9",
        macd(CLOSE, 12, 26) - ema(macd(CLOSE, 12, 26), 9),
        "Appel 1979, of log prices",
    ),
    _trend("trix_15", change(triple(CLOSE, 15)), "Hutson 1983, of log prices"),
    *(_trend(f"slope_{n}", path_slope(RETURN, n), "least-squares line through log prices") for n in (24, 168)),
    *(_trend(f"trend_fit_{n}", path_fit(RETURN, n), "correlation of log prices with time") for n in (24, 72)),
    _trend("adx_14", wilder(directional_index(14), 14, scale=1), "Wilder 1978, over 100"),
    _trend("directional_balance_14", directional_balance(14), "Wilder 1978: +DI - -DI, over 100"),
    _trend("aroon_25", (since_lowest(LOW, 26) - since_highest(HIGH, 26)) / 25, "Chande 1995, over 100"),
    _trend("vortex_14", vortex(14), "Botes and Siepman 2010"),
    *(_trend(f"midpoint_distance_{n}", midpoint_distance(n), "Hosoda 1969 (Ichimoku lines)") for n in (9, 26, 52)),
    *(_trend(f"efficiency_{n}", efficiency(n), "Kaufman 1995, signed") for n in (10, 24, 72)),
)
