"""Features of the clock at a bar's close, UTC: the moment the decision is taken, just before the next bar trades."""

from functools import partial
from math import pi

from pipelines.features.expression import Expression
from pipelines.features.feature import Feature
from pipelines.features.operators import clip, cos, floor, modulo, month_passed, sin, year_passed
from pipelines.features.series import KNOWN_AT

_calendar = partial(Feature, "calendar")

HOUR = modulo(KNOWN_AT, 86_400) / 3_600
"""Hour of the day in [0, 24), with its fraction."""

WEEKDAY = modulo(floor(KNOWN_AT / 86_400) - 4, 7)
"""Day of the week, Monday 0; the first Monday was 1970-01-05."""


def session(opens: int, closes: int) -> Expression:
    """1 from the opening hour up to the closing hour, else 0."""
    since = floor(modulo(HOUR - opens, 24) / (closes - opens))
    return 1 - clip(since, 0, 1)


def since_open(opens: int) -> Expression:
    """Hours since a session opened last, over 24."""
    return modulo(HOUR - opens, 24) / 24


def _cycle(name: str, turn: Expression, source: str) -> tuple[Feature, Feature]:
    """A place on a circle, so that the end of the cycle is next to its start."""
    return (
        _calendar(f"{name}_sin", sin(2 * pi * turn), source),
        _calendar(f"{name}_cos", cos(2 * pi * turn), source),
    )


FEATURES = (
    *_cycle("hour", HOUR / 24, "cyclic encoding of the hour of the day"),
    *_cycle("weekday", WEEKDAY / 7, "cyclic encoding of the day of the week, Monday 0"),
    *_cycle("month", month_passed(KNOWN_AT), "cyclic encoding of the share of the month that has passed"),
    *_cycle("year", year_passed(KNOWN_AT), "cyclic encoding of the share of the year that has passed"),
    *_cycle("funding", modulo(HOUR, 8) / 8, "cyclic encoding of the eight hours between fundings of perpetuals"),
    _calendar("weekend", clip(WEEKDAY - 4, 0, 1), "1 on Saturday and Sunday"),
    _calendar("session_asia", session(0, 8), "usual trading hours, 00:00 to 08:00"),
    _calendar("session_europe", session(7, 16), "usual trading hours, 07:00 to 16:00"),
    _calendar("session_america", session(13, 22), "usual trading hours, 13:00 to 22:00"),
    _calendar("since_america_opens", since_open(13), "share of a day since 13:00"),
)
