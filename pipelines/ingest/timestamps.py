"""Stamps of any spelling as UTC times."""

import numpy as np
import pandas as pd

from trading.errors import BarError

# From 1973 to 5138 the four units do not overlap, so that magnitude decides.
_UNITS = {"s": (1e8, 1e11), "ms": (1e11, 1e14), "us": (1e14, 1e17), "ns": (1e17, 1e20)}
_MICROS = {"s": 10**6, "ms": 10**3, "us": 1, "ns": 1e-3}
# Hours as some daily and hourly exports spell them: 2020-05-18 11-PM.
_TWELVE_HOURS = "%Y-%m-%d %I-%p"


def parse_stamps(column: pd.Series, where: str, unit: str | None = None) -> tuple[pd.Series, str]:
    """Times of a column.

    Parameters
    ----------
    column
        Datetimes (naive ones are UTC), ISO 8601 text (naive is UTC, offsets are converted), or epochs as numbers or
        text in seconds, milliseconds, microseconds or nanoseconds; the median's magnitude decides which.
    where
        File and column, for the message.
    unit
        How the cells before these were read, where the column comes in pieces: so are these, whatever most of them are.

    Returns
    -------
    tuple of Series and str
        ``datetime64[us, UTC]`` on the index of ``column``, NaT where a cell is no time; and how it was read: ``iso``,
        ``s``, ``ms``, ``us`` or ``ns``.

    Raises
    ------
    BarError
        If most cells are no times, or epochs are in several units.
    """
    numbers = _numbers(column) if unit is None else None if unit == "iso" else pd.to_numeric(column, errors="coerce")
    if numbers is not None:
        return _from_epochs(numbers, where, unit)
    if isinstance(column.dtype, pd.DatetimeTZDtype) or column.dtype.kind == "M":
        times = pd.to_datetime(column, utc=True)
    else:
        text = column.astype("string").str.strip().str.replace(r"\s*(?:UTC|GMT)$", "Z", regex=True)
        times = pd.to_datetime(text, format="ISO8601", utc=True, errors="coerce")
        if times.isna().any():
            times = times.fillna(pd.to_datetime(text, format=_TWELVE_HOURS, utc=True, errors="coerce"))
    if unit is None and times.notna().mean() <= 0.5:
        raise BarError(
            f"{int(times.isna().sum())} of {len(times)} stamps are no times, the first is {_first(column, times)}",
            where=where,
            rule="ISO 8601 (2024-01-31 13:00:00+00:00), or an epoch in s, ms, µs or ns",
            remedy="export the time in one of these forms; 01/02/2024 could be January or February",
        )
    return times.dt.as_unit("us"), "iso"


def _numbers(column: pd.Series) -> pd.Series | None:
    """The column as numbers if most of its cells are."""
    if column.dtype.kind in "iuf":
        return column
    if column.dtype.kind == "M" or isinstance(column.dtype, pd.DatetimeTZDtype):
        return None
    numbers = pd.to_numeric(column, errors="coerce")
    return numbers if numbers.notna().mean() > 0.5 else None


def _from_epochs(numbers: pd.Series, where: str, unit: str | None) -> tuple[pd.Series, str]:
    size = numbers.to_numpy(dtype=np.float64, na_value=np.nan)
    inside = {unit: (size >= low) & (size < high) for unit, (low, high) in _UNITS.items()}
    before = unit is not None
    if unit is None:
        median = float(np.nanmedian(size))
        unit = next((unit for unit, (low, high) in _UNITS.items() if low <= median < high), None)
        if unit is None:
            raise BarError(
                f"{median:.0f}, the median stamp, is no epoch",
                where=where,
                rule="an epoch in s, ms, µs or ns lies between 1973 and 5138",
                remedy="export the time as ISO 8601 or as an epoch",
            )
    if mixed := {other: int(found.sum()) for other, found in inside.items() if found.any() and other != unit}:
        counts = ", ".join(f"{count} in {other}" for other, count in mixed.items())
        here = f"all before these in {unit}" if before else f"{int(inside[unit].sum())} in {unit}"
        raise BarError(
            f"stamps in several units: {here}, {counts}",
            where=where,
            rule="one unit in one file",
            remedy="export the whole period in one unit, or split the file by unit into a folder",
        )
    usable = inside[unit]
    whole = numbers[usable].to_numpy()
    # Integers stay integers: an epoch in ns does not fit a float64.
    if whole.dtype.kind in "iu":
        micros = whole.astype(np.int64) // 1000 if unit == "ns" else whole.astype(np.int64) * _MICROS[unit]
    else:
        micros = np.rint(whole.astype(np.float64) * _MICROS[unit]).astype(np.int64)
    times = pd.Series(pd.to_datetime(micros, unit="us", utc=True).as_unit("us"), index=numbers.index[usable])
    return times.reindex(numbers.index), unit


def _first(column: pd.Series, times: pd.Series) -> str:
    return repr(str(column[times.isna()].iloc[0]))
