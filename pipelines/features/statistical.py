"""Properties of the recent path as a time series: memory, scaling, disorder, tails."""

from functools import partial

import numpy as np

from pipelines.features.expression import Expression, named
from pipelines.features.feature import Feature
from pipelines.features.operators import (
    absolute,
    balance,
    change,
    clip,
    correlation,
    entropy,
    from_mean,
    greater,
    highest,
    kurtosis,
    lag,
    log_of,
    rank,
    ratio,
    score,
    skewness,
    slope_on,
    variance,
    weighted,
)
from pipelines.features.series import CLOSE, RETURN

_statistical = partial(Feature, "statistical")

LAGS = (1, 2, 4, 8, 16)


def variance_ratio(step: int, rows: int) -> Expression:
    """Variance of returns over ``step`` bars against that of single ones: above 0 prices trend, below they revert."""
    return balance(variance(change(CLOSE, step), rows), step * variance(RETURN, rows), least=1e-18)


def hurst(rows: int) -> Expression:
    """Half the slope of log variance of changes on log lag: 0.5 for a random walk, and where nothing moves."""
    logs = np.log(LAGS)
    weights = (logs - logs.mean()) / ((logs - logs.mean()) ** 2).sum()
    base = variance(RETURN, rows)
    exponent = RETURN * 0 + 0.5
    for step, weight in zip(LAGS, weights, strict=True):
        if step == 1 or abs(weight) < 1e-9:
            continue  # the first has no excess, the middle one no weight
        # Against what a random walk would have, so that nothing moving anywhere adds nothing.
        excess = log_of(ratio(variance(change(CLOSE, step), rows), step * base, neutral=1.0, least=1e-18))
        exponent = exponent + float(weight) / 2 * excess
    return exponent


def fractional_difference(order: float, rows: int) -> Expression:
    """Log price differenced ``order`` times, as weights on the returns of a window.

    Differencing a level ``order`` times is differencing its returns ``order - 1`` times; so written, the level of the
    price does not enter (Hosking 1981; López de Prado 2018, section 5.5, fixed window).
    """
    weights = [1.0]
    for k in range(1, rows):
        weights.append(weights[-1] * (k - order) / k)
    return weighted(RETURN, weights, f"fracdiff {order:g} by {rows} steps of ")


def ordinal_pattern(x: Expression) -> Expression:
    """Which of the six orders three neighbouring values stand in: 0 to 5; equals count as falling."""
    a, b, c = lag(x, 2), lag(x, 1), x
    # Of the eight answers to three comparisons two cannot be; the six others are numbered without a hole.
    rises = 4 * greater(b, a) + 2 * greater(c, b) + greater(c, a)
    order = rises - greater(rises, 1.5 + rises * 0) - greater(rises, 6.5 + rises * 0)
    return named(f"order of three {x.formula}", order)


def sign_word(x: Expression) -> Expression:
    """Which of the eight words three neighbouring signs make: 0 to 7; 0 counts as falling."""
    up = greater(x, x * 0)
    return named(f"signs of three {x.formula}", 4 * lag(up, 2) + 2 * lag(up) + up)


def tail_balance(rows: int) -> Expression:
    """Largest gain against largest loss of the window, in [-1, 1]."""
    gain, loss = highest(absolute(RETURN) + RETURN, rows), highest(absolute(RETURN) - RETURN, rows)
    return balance(gain, loss)


def reversion(mean_rows: int, rows: int) -> Expression:
    """Slope of returns on how far the bar before stood from its mean, within -2 and 2: negative where it is closed."""
    return clip(slope_on(RETURN, lag(from_mean(RETURN, mean_rows)), rows), -2, 2)


FEATURES = (
    _statistical("autocorrelation_48", correlation(RETURN, lag(RETURN), 48), "Lo and MacKinlay 1988"),
    _statistical("autocorrelation_lag2_72", correlation(RETURN, lag(RETURN, 2), 72), "Lo and MacKinlay 1988"),
    _statistical("autocorrelation_lag24_168", correlation(RETURN, lag(RETURN, 24), 168), "the bar a day of hours ago"),
    _statistical(
        "volatility_clustering_72", correlation(absolute(RETURN), lag(absolute(RETURN)), 72), "Ding et al. 1993"
    ),
    _statistical("leverage_72", correlation(absolute(RETURN), lag(RETURN), 72), "Black 1976"),
    _statistical("variance_ratio_4_72", variance_ratio(4, 72), "Lo and MacKinlay 1988, bounded"),
    _statistical("variance_ratio_24_168", variance_ratio(24, 168), "Lo and MacKinlay 1988, bounded"),
    _statistical("hurst_168", hurst(168), "generalised Hurst exponent of order 2 (Di Matteo 2007)"),
    _statistical("fractional_difference_04_168", fractional_difference(0.4, 168), "Hosking 1981"),
    _statistical("permutation_entropy_72", entropy(ordinal_pattern(CLOSE), 72, 6), "Bandt and Pompe 2002, order 3"),
    _statistical("sign_entropy_72", entropy(sign_word(RETURN), 72, 8), "Shannon 1948, words of three signs"),
    _statistical("skewness_72", skewness(RETURN, 72), "third standardised moment"),
    _statistical("kurtosis_72", kurtosis(RETURN, 72), "fourth standardised moment"),
    _statistical("tail_balance_168", tail_balance(168), "largest gain against largest loss"),
    _statistical("return_score_72", score(RETURN, 72), "standard score"),
    _statistical("return_rank_168", rank(RETURN, 168, alike=1e-12), "rank in the window"),
    _statistical("reversion_24_72", reversion(24, 72), "Ornstein and Uhlenbeck 1930, by regression"),
)
