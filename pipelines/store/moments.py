"""Moments as the store keeps them: in UTC, at microseconds."""

from datetime import UTC, datetime

import pandas as pd

from pipelines.store.errors import StoreError


def utc(moment: pd.Timestamp, name: str) -> pd.Timestamp:
    """A moment in UTC at microseconds, rounded down.

    Raises
    ------
    StoreError
        If it has no time zone; ``name`` says whose it was.
    """
    moment = pd.Timestamp(moment)
    if moment.tz is None:
        raise StoreError(
            f"{name} {moment} has no time zone", rule="times are in UTC", remedy='write pd.Timestamp(..., tz="UTC")'
        )
    return moment.tz_convert("UTC").as_unit("us")


def utc_or_none(moment: pd.Timestamp | None, name: str) -> pd.Timestamp | None:
    """As :func:`utc`; None stays None."""
    return None if moment is None else utc(moment, name)


def parsed(text: str | None, name: str) -> pd.Timestamp | None:
    """A moment that somebody typed: ISO 8601, in UTC where it names no offset; None stays None.

    Raises
    ------
    StoreError
        If it is no time.
    """
    if text is None:
        return None
    try:
        moment = datetime.fromisoformat(text.strip())
    except ValueError as error:
        raise StoreError(
            f"{text!r} is not a time",
            where=name,
            rule="ISO 8601, in UTC where it names no offset",
            remedy="write it as 2024-01-31 or 2024-01-31T12:00:00+00:00",
        ) from error
    return utc(pd.Timestamp(moment if moment.tzinfo else moment.replace(tzinfo=UTC)), name)


def micros(moment: pd.Timestamp | pd.Timedelta) -> int:
    """Microseconds since 1970 of a moment with a time zone, or those in a length of time."""
    return int(moment.value) // 1000


def from_micros(moment: int) -> pd.Timestamp:
    """The moment in UTC so many microseconds after 1970 began."""
    return pd.Timestamp(moment, unit="us", tz="UTC")
