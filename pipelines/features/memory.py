"""What happened some bars ago, each bar by itself: means and sums over windows forget in which order things came."""

from functools import partial

from pipelines.features.expression import Expression
from pipelines.features.feature import Feature
from pipelines.features.operators import (
    absolute,
    clip,
    deviation,
    greater,
    lag,
    latest,
    latest_but_one,
    mean,
    ratio,
    sign,
)
from pipelines.features.series import RETURN, VOLUME

_memory = partial(Feature, "memory")

LAGS = 24
# Rows after which an event is forgotten, so that nothing has to be remembered forever.
_ROWS = 72

SCALED_RETURN = clip(ratio(RETURN, deviation(RETURN, 72)), -5, 5)
"""Return of a bar over the standard deviation of three days of hours, in [-5, 5]."""


def large_move(times: float) -> Expression:
    """Direction of a bar that moved more than so many standard deviations of the bars before it, else 0."""
    return sign(RETURN) * greater(absolute(RETURN), times * lag(deviation(RETURN, 72)))


def busy_move(times: float) -> Expression:
    """Direction of a bar that traded more than so many times the mean volume of the bars before it, else 0."""
    return sign(RETURN) * greater(VOLUME, times * lag(mean(VOLUME, 24)))


FEATURES = (
    *(_memory(f"return_lag_{k}", lag(SCALED_RETURN, k), "autoregression (Yule 1927)") for k in range(1, LAGS + 1)),
    *(
        _memory(f"large_move_{name}", latest(large_move(times), _ROWS), "direction of the latest large move")
        for name, times in (("15", 1.5), ("20", 2.0), ("25", 2.5))
    ),
    *(
        _memory(f"large_move_{name}_before", latest_but_one(large_move(times), _ROWS), "and of the one before it")
        for name, times in (("15", 1.5), ("20", 2.0))
    ),
    *(
        _memory(f"busy_move_{name}", latest(busy_move(times), _ROWS), "direction of the latest bar of large volume")
        for name, times in (("15", 1.5), ("25", 2.5))
    ),
)
