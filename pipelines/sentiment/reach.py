"""How much of a run's bars a series says something about."""

from dataclasses import dataclass

import pandas as pd

from pipelines.features.external import arrays_of, join
from pipelines.sentiment.declared import ExternalSeries
from pipelines.sentiment.errors import UnreachedError

# Markets have outages and indices fail to appear; what is missing more often than this is said.
_USUAL = 0.95


@dataclass(frozen=True)
class Reach:
    """Rows that have a value of a series.

    Attributes
    ----------
    share
        Of all rows.
    newest
        Whether the newest row is among them.
    note
        What a reader has to be told about it; empty where nothing is unusual.
    """

    share: float
    newest: bool
    note: str


def ensure_reaches(series: ExternalSeries, frame: pd.DataFrame, known_at: pd.DatetimeIndex) -> Reach:
    """Tell how far a series reaches.

    Parameters
    ----------
    series, frame
        What was read; see :func:`pipelines.sentiment.reader.read_series`.
    known_at
        n moments at which bars are known.

    Raises
    ------
    UnreachedError
        If no row has a value.
    """
    published, values, not_before = arrays_of(frame, series.columns)
    joined = join(known_at.as_unit("ns").asi8, published, values, not_before=not_before, **series.terms)
    span = f"published from {frame.index.min()} to {frame.index.max()}" if len(frame) else "empty by then"
    bars = f"bars are known from {known_at.min()} to {known_at.max()}"
    share = float(1.0 - joined.missing.mean())
    if not share:
        raise UnreachedError(
            f"{series.name} says nothing about any bar: it is missing in all {len(known_at)} rows",
            where=f"{span}; {bars}",
            rule=f"used from {series.delay} after publication until it is {series.max_age} old",
            remedy="give a series of the same years, or take its file out of the context folder",
        )
    newest = not joined.missing[-1]
    ended = "" if newest else ", the newest row among them"
    unusual = share < _USUAL or not newest
    note = f"{series.name} is missing in {1 - share:.0%} of the rows{ended}: {span}; {bars}" if unusual else ""
    return Reach(share, newest, note)
