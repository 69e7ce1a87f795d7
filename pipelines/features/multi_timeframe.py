"""Features of longer bars, seen from the base bars: only bars whose own clock end has passed.

Two contexts stand behind a base timeframe b: the shortest lengths of ``LADDER`` that are multiples of b and at least
4 b and 24 b. For 1h these are 4h and 1d; for 1m 5m and 30m; for 4h 1d and 4d. Windows are finite: a slow average of
daily bars would remember its start for months.
"""

import pandas as pd

from pipelines.features.expression import Expression
from pipelines.features.feature import Feature
from pipelines.features.operators import (
    balance,
    change,
    clip,
    completed,
    deviation,
    from_mean,
    highest,
    lowest,
    mean,
    path_slope,
    positive,
    ratio,
)
from pipelines.features.series import CLOSE, HIGH, LOW, RETURN, TRUE_RANGE, VOLUME
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


def simple_rsi(rows: int) -> Expression:
    """Relative strength from plain means, in [0, 1]; 0.5 when closes do not move."""
    return 0.5 + balance(mean(positive(RETURN), rows), mean(positive(-RETURN), rows)) / 2


def features(bar: pd.Timedelta) -> tuple[Feature, ...]:
    """The features of both contexts of a base timeframe.

    Raises
    ------
    InstrumentError
        As :func:`contexts`.
    """
    return tuple(feature for name in contexts(bar) for feature in _of_context(name, duration(name) // bar))


def _of_context(name: str, per: int) -> tuple[Feature, ...]:
    def declare(stem: str, expression: Expression, source: str) -> Feature:
        return Feature("multi_timeframe", f"{stem}_{name}", expression, source)

    def seen(x: Expression) -> Expression:
        return completed(x, name, per)

    low, high = seen(lowest(LOW, 14)), seen(highest(HIGH, 14))
    return (
        declare("since_close", CLOSE - seen(CLOSE), "log return since the last complete bar"),
        declare("return_1", seen(RETURN), "log return"),
        declare("return_7", seen(change(CLOSE, 7)), "log return"),
        declare("volatility_14", seen(deviation(RETURN, 14, 1)), "sample standard deviation"),
        declare("rsi_14", seen(simple_rsi(14)), "Wilder 1978, Cutler's means"),
        declare("range_14", seen(mean(TRUE_RANGE, 14)), "Wilder 1978, plain mean, of log prices"),
        declare("slope_14", seen(path_slope(RETURN, 14)), "least-squares line through log prices"),
        declare("relative_volume_14", seen(balance(VOLUME, mean(VOLUME, 14))), "volume against its mean, bounded"),
        declare("sma_distance_14", CLOSE - seen(CLOSE) + seen(from_mean(RETURN, 14)), "moving average of log prices"),
        declare("range_position_14", clip(ratio(CLOSE - low, high - low, neutral=0.5), -1, 2), "Donchian channel"),
    )
