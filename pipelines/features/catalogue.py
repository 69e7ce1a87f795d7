"""Which groups of features there are."""

from collections.abc import Sequence
from typing import TypeVar

import pandas as pd

from pipelines.features import (
    adaptive,
    calendar,
    cross_asset,
    liquidity,
    memory,
    momentum,
    multi_timeframe,
    order_flow,
    sentiment,
    statistical,
    trend,
    volatility,
    volume,
)
from pipelines.features.feature import Feature
from pipelines.sentiment.declared import ExternalSeries
from trading.errors import ParamsError

T = TypeVar("T")

GROUPS = (
    "trend",
    "momentum",
    "volatility",
    "volume",
    "liquidity",
    "statistical",
    "calendar",
    "memory",
    "adaptive",
    "multi_timeframe",
    "order_flow",
    "cross_asset",
    "sentiment",
)

NEEDS = {
    "order_flow": "bars with taker_buy_volume and trades",
    "cross_asset": "another instrument in the run's context",
    "sentiment": "a series in the run's context",
}
"""What some groups are computed from beside prices and volume."""


def declared(
    group: str, bar: pd.Timedelta, assets: Sequence[str], series: Sequence[ExternalSeries]
) -> tuple[Feature, ...]:
    """Features of a group at a base timeframe.

    Raises
    ------
    ParamsError
        If there is no such group, or nothing that it could be computed from.
    InstrumentError
        If the group cannot be computed at the timeframe.
    """
    match group:
        case "trend":
            return trend.FEATURES
        case "momentum":
            return momentum.FEATURES
        case "volatility":
            return volatility.FEATURES
        case "volume":
            return volume.FEATURES
        case "liquidity":
            return liquidity.FEATURES
        case "statistical":
            return statistical.FEATURES
        case "calendar":
            return calendar.FEATURES
        case "memory":
            return memory.FEATURES
        case "adaptive":
            return adaptive.FEATURES
        case "multi_timeframe":
            return multi_timeframe.features(bar)
        case "order_flow":
            return order_flow.FEATURES
        case "cross_asset":
            return cross_asset.features(_some(assets, group, "assets"), bar)
        case "sentiment":
            return tuple(feature for one in _some(series, group, "series") for feature in sentiment.features(one))
        case _:
            raise ParamsError(
                f"unknown feature group {group!r}",
                rule=f"one of {', '.join(GROUPS)}",
                remedy="correct features.groups in params.yaml",
            )


def _some(given: Sequence[T], group: str, name: str) -> Sequence[T]:
    if not given:
        raise ParamsError(
            f"the group {group} without {name}",
            rule=f"{group} is computed from one or more {name}",
            remedy=f"name the {name}, or leave {group} out of the groups",
        )
    return given
