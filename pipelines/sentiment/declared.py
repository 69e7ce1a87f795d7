"""The external series that the engine knows: their columns, and when and how long each value may be used."""

from dataclasses import dataclass
from typing import TypedDict

import pandas as pd

from trading.errors import ParamsError

_HOUR = pd.Timedelta("1h")

WINDOWS = (4, 24)
"""Hours over which headlines are counted."""


class Terms(TypedDict):
    """When a value may be used, in ns, and what stands in for it."""

    delay: int
    max_age: int
    neutral: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class ExternalSeries:
    """What a series declares about itself.

    Parameters
    ----------
    name
        Name, which its file in the context folder of a run bears too.
    columns
        k columns of the frame that :func:`pipelines.sentiment.reader.read_series` gives; features of the same names.
    delay
        From publication to use, for what a stamp does not say: rounding, the time a source takes to answer.
    max_age
        Since publication; an older value is missing.
    neutral
        k values of rows in which the series is missing.
    formula
        k definitions, in symbols.
    source
        Where the definition and the data come from.
    """

    name: str
    columns: tuple[str, ...]
    delay: pd.Timedelta
    max_age: pd.Timedelta
    neutral: tuple[float, ...]
    formula: tuple[str, ...]
    source: str

    @property
    def terms(self) -> Terms:
        """Delay, greatest age and neutral values, as the join and its stream take them."""
        return {
            "delay": self.delay.as_unit("ns").value,
            "max_age": self.max_age.as_unit("ns").value,
            "neutral": self.neutral,
        }

    @property
    def age(self) -> str:
        """Name of the column of ages, in days since publication, at most ``max_age``."""
        return f"{self.name}_age"

    @property
    def missing(self) -> str:
        """Name of the column of flags: 1 where the columns are neutral because nothing young enough is known."""
        return f"{self.name}_missing"

    @property
    def features(self) -> tuple[str, ...]:
        """All k + 2 columns of features: values, age, missing."""
        return (*self.columns, self.age, self.missing)


DECLARED = (
    # The stamp is the midnight that begins the day on which the index is shown. Nobody records the minute it appears,
    # and mirrors may name the day it is about: a day and an hour is certain under both readings.
    ExternalSeries(
        name="fear_greed",
        columns=("fear_greed",),
        delay=25 * _HOUR,
        max_age=96 * _HOUR,
        neutral=(0.0,),
        formula=("(index - 50) / 50",),
        source="Crypto Fear & Greed Index, alternative.me",
    ),
    # The rate of a settlement is known when it is settled, and exchanges stamp it some milliseconds late.
    ExternalSeries(
        name="funding_rate",
        columns=("funding_rate",),
        delay=pd.Timedelta("5min"),
        max_age=24 * _HOUR,
        neutral=(0.0,),
        formula=("rate of one settlement / 0.1 %, within -5 and 5",),
        source="perpetual funding, ccxt fetch_funding_rate_history",
    ),
    # Newsrooms round stamps down, often to the hour.
    ExternalSeries(
        name="headlines",
        columns=tuple(f"headlines_{what}_{hours}h" for hours in WINDOWS for what in ("score", "count")),
        delay=_HOUR,
        max_age=48 * _HOUR,
        neutral=(0.0,) * (2 * len(WINDOWS)),
        formula=tuple(
            text.format(hours)
            for hours in WINDOWS
            for text in ("mean score in [-1, 1] of the last {} h; 0 without any", "log(1 + headlines of the last {} h)")
        ),
        source="VADER compound score, Hutto & Gilbert 2014",
    ),
)


def declared(name: str) -> ExternalSeries:
    """A series by its name.

    Raises
    ------
    ParamsError
        If there is none of this name.
    """
    for series in DECLARED:
        if series.name == name:
            return series
    raise ParamsError(
        f"unknown external series {name!r}",
        rule=f"one of {', '.join(series.name for series in DECLARED)}",
        remedy="name its file in the context folder so",
    )
