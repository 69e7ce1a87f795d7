"""How much prices move, in which direction they move more, and how far they stand from their extremes."""

from functools import partial
from math import log, pi

from pipelines.features.expression import Expression
from pipelines.features.feature import Feature
from pipelines.features.operators import (
    absolute,
    balance,
    deviation,
    ema,
    from_mean,
    highest,
    lag,
    log_of,
    lowest,
    mean,
    path_deviation,
    positive,
    rank,
    ratio,
    score,
    sqrt,
    total,
    variance,
    wilder,
)
from pipelines.features.series import CLOSE, HIGH, LOW, OPEN, RANGE, RETURN, TRUE_RANGE

_volatility = partial(Feature, "volatility")


def realised(rows: int) -> Expression:
    """Sample standard deviation of log returns, a bar."""
    return deviation(RETURN, rows, ddof=1)


def parkinson(rows: int) -> Expression:
    """Volatility of a bar from highs and lows."""
    return sqrt(mean(RANGE * RANGE, rows) / (4 * log(2)))


def garman_klass(rows: int) -> Expression:
    """Volatility of a bar from all four prices, without drift."""
    body = CLOSE - OPEN
    return sqrt(mean(RANGE * RANGE / 2 - (2 * log(2) - 1) * (body * body), rows))


def _rogers_satchell_term() -> Expression:
    return (HIGH - CLOSE) * (HIGH - OPEN) + (LOW - CLOSE) * (LOW - OPEN)


def rogers_satchell(rows: int) -> Expression:
    """Volatility of a bar from all four prices, whatever the drift."""
    return sqrt(mean(_rogers_satchell_term(), rows))


def yang_zhang(rows: int) -> Expression:
    """Volatility of a bar from all four prices and the gaps between bars."""
    share = 0.34 / (1.34 + (rows + 1) / (rows - 1))
    between, within = variance(OPEN - lag(CLOSE), rows, ddof=1), variance(CLOSE - OPEN, rows, ddof=1)
    return sqrt(between + share * within + (1 - share) * mean(_rogers_satchell_term(), rows))


def bollinger_position(rows: int) -> Expression:
    """Place of the close between the bands at two standard deviations; 0.5 when closes do not move."""
    return 0.5 + ratio(from_mean(RETURN, rows), 4 * path_deviation(RETURN, rows))


def keltner_position(rows: int) -> Expression:
    """Distance from the exponential average, in mean true ranges; 0 when nothing moves."""
    # The distance from an average is an average of moves: free of what the level of the price leaves in rounding. Moves
    # of e^10 are forgotten even where ranges are as small as what counts as none.
    away = (rows - 1) / 2 * ema(RETURN, rows, scale=1e8)
    return ratio(away, 2 * mean(TRUE_RANGE, rows), least=1e-6)


def jump_share(rows: int) -> Expression:
    """Share of the realised variance that bipower variation does not explain."""
    smooth = (pi / 2) * total(absolute(RETURN) * absolute(lag(RETURN)), rows)
    rough = total(RETURN * RETURN, rows)
    return ratio(rough - smooth, rough)


def semivariance_balance(rows: int) -> Expression:
    """Upward against downward variance, in [-1, 1]."""
    up, down = positive(RETURN), positive(-RETURN)
    return balance(total(up * up, rows), total(down * down, rows))


def choppiness(rows: int) -> Expression:
    """Logarithm of the way travelled over the range it covered; 0 when there is none."""
    return log_of(ratio(total(TRUE_RANGE, rows), highest(HIGH, rows) - lowest(LOW, rows), neutral=1.0)) / log(rows)


def drawdown(rows: int) -> Expression:
    """Close under the highest close of the window."""
    return CLOSE - highest(CLOSE, rows)


FEATURES = (
    *(_volatility(f"volatility_{n}", realised(n), "sample standard deviation") for n in (6, 24, 72, 168)),
    _volatility("volatility_balance_6_24", balance(realised(6), realised(24), least=1e-12), "short against long"),
    _volatility("volatility_balance_24_168", balance(realised(24), realised(168), least=1e-12), "short against long"),
    _volatility("volatility_rank_168", rank(absolute(RETURN), 168, alike=1e-12), "rank of the newest move"),
    _volatility("volatility_of_volatility_72", deviation(absolute(RETURN), 72), "deviation of absolute returns"),
    _volatility("parkinson_24", parkinson(24), "Parkinson 1980"),
    _volatility("garman_klass_24", garman_klass(24), "Garman and Klass 1980"),
    _volatility("rogers_satchell_24", rogers_satchell(24), "Rogers and Satchell 1991"),
    _volatility("yang_zhang_24", yang_zhang(24), "Yang and Zhang 2000"),
    _volatility("natr_14", wilder(TRUE_RANGE, 14), "Wilder 1978 (ATR), of log prices"),
    _volatility("range_score_72", score(RANGE, 72), "standard score of the bar's range"),
    _volatility("bollinger_position_20", bollinger_position(20), "Bollinger 2001 (%b), of log prices"),
    _volatility("bollinger_width_20", 4 * path_deviation(RETURN, 20), "Bollinger 2001 (BandWidth), of log prices"),
    _volatility("keltner_position_20", keltner_position(20), "Keltner 1960, Raschke's form"),
    _volatility("jump_share_48", jump_share(48), "Barndorff-Nielsen and Shephard 2004"),
    _volatility("semivariance_balance_72", semivariance_balance(72), "Barndorff-Nielsen et al. 2010, signed"),
    _volatility("choppiness_14", choppiness(14), "Dreiss 1993"),
    _volatility("drawdown_168", drawdown(168), "distance from the highest close"),
    _volatility("recovery_168", CLOSE - lowest(CLOSE, 168), "distance from the lowest close"),
    _volatility("opening_gap", OPEN - lag(CLOSE), "open over the close before"),
)
