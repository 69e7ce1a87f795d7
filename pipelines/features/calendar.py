"""Features of the clock at a bar's close, UTC: the moment the decision is taken, just before the next bar trades."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from pipelines.features.feature import Feature
from pipelines.features.market import Array, Market

_HOUR = 3_600_000_000_000
_DAY = 24 * _HOUR
_FIRST_MONDAY = 4 * _DAY  # 1970-01-05; 1970-01-01 was a Thursday


def hour(market: Market) -> Array:
    """Hour of the day in [0, 24), with its fraction."""
    return (market.known_at % _DAY) / _HOUR


def weekday(market: Market) -> NDArray[np.int64]:
    """Day of the week, Monday 0."""
    days: NDArray[np.int64] = (market.known_at - _FIRST_MONDAY) // _DAY % 7
    return days


def month_fraction(market: Market) -> Array:
    """Share of the month that has passed, in [0, 1)."""
    stamps = market.known_at.astype("datetime64[ns]")
    month = stamps.astype("datetime64[M]")
    start, end = month.astype("datetime64[ns]"), (month + 1).astype("datetime64[ns]")
    return np.asarray((stamps - start) / (end - start))


def session(market: Market, opens: int, closes: int) -> Array:
    """1.0 from the opening hour up to the closing hour, else 0.0."""
    now = hour(market)
    return ((now >= opens) & (now < closes)).astype(np.float64)


def _clock(name: str, formula: str, source: str, compute: Callable[[Market], Array]) -> Feature:
    return Feature(name, "calendar", 0, formula, source, compute)


def _cycle(name: str, angle: str, turn: Callable[[Market], Array]) -> tuple[Feature, Feature]:
    """A place on a circle, so that the end of the cycle is next to its start."""
    return (
        _clock(f"{name}_sin", f"sin(2 pi {angle})", "cyclic encoding", lambda market: np.sin(2 * np.pi * turn(market))),
        _clock(f"{name}_cos", f"cos(2 pi {angle})", "cyclic encoding", lambda market: np.cos(2 * np.pi * turn(market))),
    )


def _session(name: str, opens: int, closes: int) -> Feature:
    formula = f"1 from {opens:02d}:00 up to {closes:02d}:00, else 0"
    return _clock(f"session_{name}", formula, "usual trading hours", lambda market: session(market, opens, closes))


FEATURES = (
    *_cycle("hour", "hour / 24", lambda market: hour(market) / 24),
    *_cycle("weekday", "weekday / 7, Monday 0", lambda market: weekday(market) / 7),
    *_cycle("month", "share of the month passed", month_fraction),
    _clock("weekend", "1 on Saturday and Sunday", "calendar", lambda market: (weekday(market) >= 5).astype(np.float64)),
    _session("asia", 0, 8),
    _session("europe", 7, 16),
    _session("america", 13, 22),
)
