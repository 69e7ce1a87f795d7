"""How well simple rules have foretold the latest bars: whether the market trends or turns just now, and on what.

Each is the information coefficient of a rule: the correlation, over a window, of its value at a bar's close with the
return of the bar after (Grinold and Kahn 1999, "Active Portfolio Management", chapter 6). The last pair is complete at
the close of the row. A model that knows both the rule and its coefficient can follow a rule while it works.
"""

from functools import partial

from pipelines.features.expression import Expression
from pipelines.features.feature import Feature
from pipelines.features.memory import SCALED_RETURN
from pipelines.features.operators import (
    balance,
    change,
    clip,
    correlation,
    deviation,
    from_mean,
    lag,
    mean,
    ratio,
    sign,
)
from pipelines.features.series import CLOSE, RETURN, VOLUME

_adaptive = partial(Feature, "adaptive")

_RELATIVE_VOLUME = balance(VOLUME, mean(VOLUME, 24))


def scaled(x: Expression, rows: int) -> Expression:
    """A move over so many rows in its standard deviations, in [-5, 5]."""
    return clip(ratio(x, rows**0.5 * deviation(RETURN, 72)), -5, 5)


RULES = {
    "return_1": SCALED_RETURN,
    **{f"return_{n}": scaled(change(CLOSE, n), n) for n in (3, 6, 12, 24)},
    "sma_distance_24": scaled(from_mean(RETURN, 24), 24),
    "relative_volume_24": _RELATIVE_VOLUME,
    "volume_return": _RELATIVE_VOLUME * sign(RETURN),
}
"""Value of each rule at a bar's close: larger speaks for a rise, or against it where its coefficient is negative."""


def information_coefficient(rule: Expression, rows: int) -> Expression:
    """Correlation over so many bars of their returns with what the rule said at the close before each."""
    return correlation(SCALED_RETURN, lag(rule), rows)


FEATURES = tuple(
    _adaptive(f"ic_{name}_{rows}", information_coefficient(rule, rows), "rolling information coefficient")
    for name, rule in RULES.items()
    for rows in (48, 168)
)
