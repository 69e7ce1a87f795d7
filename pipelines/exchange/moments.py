"""Milliseconds since 1970 in UTC, which ccxt speaks, and timestamps, which everything else does."""

import pandas as pd


def millis(moment: pd.Timestamp) -> int:
    """Milliseconds since 1970; a fraction is dropped."""
    return int(moment.value // 1_000_000)


def moment(milliseconds: int) -> pd.Timestamp:
    """The timestamp, in UTC."""
    return pd.Timestamp(milliseconds, unit="ms", tz="UTC").as_unit("us")


def milliseconds_in(length: pd.Timedelta) -> int:
    """Milliseconds in a length of time."""
    return int(length // pd.Timedelta(1, "ms"))
