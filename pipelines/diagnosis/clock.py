"""Stamps of any spelling as UTC times, cell by cell, with what is odd about how they are written."""

from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from pipelines.diagnosis.fault import NAT, Ints, Mask

# Between these years a stamp can be a bar's; markets of coins are younger than the first.
_PLAUSIBLE = (pd.Timestamp("1990-01-01").value // 1000, pd.Timestamp("2100-01-01").value // 1000)
_POSSIBLE = pd.Timestamp("1971-01-01").value // 1000
# From 1973 to 5138 the four units do not overlap, so that magnitude decides.
_UNITS = {"s": (1e8, 1e11), "ms": (1e11, 1e14), "us": (1e14, 1e17), "ns": (1e17, 1e20)}
_MICROS = {"s": 10**6, "ms": 10**3, "us": 1}
_FACTORS = (1_000, 1_000_000, 1_000_000_000)
_EXCEL = (36_526.0, 73_051.0)  # 2000 to 2100 in days since 1899-12-30
_DAY = 86_400_000_000

# Spellings beside ISO 8601; where a day could be a month, the one that leaves the stamps more regular is taken.
_FORMATS = (
    "%Y-%m-%d %I-%p",
    *(f"%Y{mark}%m{mark}%d {time}" for mark in (".", "/") for time in ("%H:%M", "%H:%M:%S")),
    *(
        f"{first}{mark}{second}{mark}%Y{time}"
        for mark in ("/", ".", "-")
        for first, second in (("%d", "%m"), ("%m", "%d"))
        for time in ("", " %H:%M", " %H:%M:%S", " %I:%M %p", " %I:%M:%S %p")
    ),
    *("%Y.%m.%d", "%Y/%m/%d", "%Y%m%d %H%M%S", "%Y%m%d %H:%M:%S", "%Y%m%d %H%M"),
    *("%b %d, %Y", "%d %b %Y", "%d %b %Y %H:%M", "%d %b %Y %H:%M:%S", "%b %d %Y %H:%M:%S", "%B %d, %Y"),
)
_ZONES = {
    **{"EST": -5, "EDT": -4, "CST": -6, "CDT": -5, "MST": -7, "MDT": -6, "PST": -8, "PDT": -7},
    **{"CET": 1, "CEST": 2, "BST": 1, "MSK": 3, "HKT": 8, "SGT": 8, "KST": 9, "JST": 9},
}


@dataclass(frozen=True)
class Clock:
    """Times of a column.

    Parameters
    ----------
    at
        µs since 1970 in UTC, :data:`NAT` where a cell is no time. Text without an offset is taken as UTC.
    written
        ``iso``, ``s``, ``ms``, ``us``, ``ns``, or another spelling.
    other_unit
        Cells in another unit of time than most, or in none: mended in ``at``.
    unit_text
        What ``other_unit`` is about.
    offset
        Minutes east of UTC that each cell says; ``None`` where all of them say UTC, or none says anything.
    naive
        Cells of text that say no offset.
    zone
        Abbreviation of the zone that the cells name, such as ``EST``.
    notes
        Remarks on the spelling.
    """

    at: Ints
    written: str
    other_unit: Mask
    unit_text: str = ""
    offset: Ints | None = None
    naive: Mask = field(default_factory=lambda: np.zeros(0, dtype=np.bool_))
    zone: str | None = None
    notes: tuple[str, ...] = ()


def read_clock(column: pd.Series) -> Clock:
    """Times of a column of numbers, text or datetimes; no cell is refused for another one's sake."""
    none = np.zeros(len(column), dtype=np.bool_)
    if isinstance(column.dtype, pd.DatetimeTZDtype) or column.dtype.kind == "M":
        return _from_datetimes(column, none)
    if column.dtype.kind in "iuf":
        return _from_numbers(column.to_numpy(), none)
    if column.dtype.kind in "bm":
        return Clock(np.full(len(column), NAT), "nothing", none)
    numbers = pd.to_numeric(column, errors="coerce")
    given = numbers.notna().to_numpy(dtype=np.bool_)
    if given.mean() > 0.5:
        return _from_numbers(_integers(column, numbers, given), none)
    return _from_text(column, numbers, given, none)


def _integers(column: pd.Series, numbers: pd.Series, given: Mask) -> np.ndarray:
    """Numbers from text; whole ones stay integers, which epochs in ns need."""
    if numbers.dtype.kind in "iu" or given.all():
        return numbers.to_numpy()
    text = column[given].astype("string").str.strip()
    if not text.str.fullmatch(r"\d{1,18}|\d{19}").all():
        return numbers.to_numpy(dtype=np.float64, na_value=np.nan)
    whole = np.zeros(len(column), dtype=np.int64)
    whole[given] = pd.to_numeric(text).to_numpy(dtype=np.int64)
    return whole


def _from_datetimes(column: pd.Series, none: Mask) -> Clock:
    zone = getattr(column.dtype, "tz", None)
    index = pd.DatetimeIndex(column)
    index = index.tz_localize("UTC") if index.tz is None else index.tz_convert("UTC")
    missing = index.isna()
    # A second read as a nanosecond is lost in microseconds, so the finest resolution is looked at.
    fine = 1000 if index.unit == "ns" else 1
    at, other, text = _plausible(index.asi8 if fine == 1000 else index.as_unit("us").asi8, fine)
    notes = (f"the stamps are in the zone {zone} and were converted",) if zone and str(zone) != "UTC" else ()
    return Clock(at, "iso", other, text, naive=~np.asarray(missing, dtype=np.bool_) & (zone is None), notes=notes)


def _plausible(raw: Ints, fine: int = 1) -> tuple[Ints, Mask, str]:
    """Bring stamps of impossible years to possible ones, where a unit taken for another explains them.

    ``raw`` counts the ``fine``-th part of a microsecond; the times returned count microseconds.
    """
    given = raw != NAT
    at = np.where(given, raw // fine, NAT)
    odd = given & ((at < _PLAUSIBLE[0]) | (at >= _PLAUSIBLE[1]))
    if not odd.any():
        return at, odd, ""
    size = np.abs(at[odd].astype(np.float64))
    best, found = at[odd], np.zeros(int(odd.sum()), dtype=np.bool_)
    factor_text = ""
    for factor in _FACTORS:
        for up in (True, False):
            moved = size * factor if up else size / factor
            fits = ~found & (moved >= _PLAUSIBLE[0]) & (moved < _PLAUSIBLE[1])
            exact = raw[odd][fits]
            best[fits] = exact * factor // fine if up else exact // (factor * fine)
            found |= fits
            if fits.any() and not factor_text:
                factor_text = f"read in a unit {factor:,} times too {'small' if up else 'large'}"
    # What no unit explains is no time of a bar: a slip of the pen must not make a gap of centuries.
    mended = np.where(odd & ((at < _POSSIBLE) | (at >= _PLAUSIBLE[1])), NAT, at)
    places = np.flatnonzero(odd)[found]
    mended[places] = best[found]
    other = np.zeros(len(at), dtype=np.bool_)
    other[places] = True
    return mended, other, factor_text


def _from_numbers(numbers: np.ndarray, none: Mask) -> Clock:
    size = numbers.astype(np.float64)
    inside = {unit: (size >= low) & (size < high) for unit, (low, high) in _UNITS.items()}
    counts = {unit: int(cells.sum()) for unit, cells in inside.items()}
    main = max(counts, key=lambda unit: counts[unit])
    if (digits := _from_digits(numbers, size)) is not None:
        return digits
    if not counts[main]:
        return _from_no_unit(size, none)
    at = np.full(len(size), NAT)
    for unit, cells in inside.items():
        at[cells] = _to_micros(numbers[cells], unit)
    other = np.logical_or.reduce([cells for unit, cells in inside.items() if unit != main])
    text = ", ".join(f"{counts[unit]} in {unit}" for unit in _UNITS if counts[unit])
    return Clock(at, main, other, f"stamps in several units: {text}" if other.any() else "")


def _to_micros(numbers: np.ndarray, unit: str) -> Ints:
    # Integers stay integers: an epoch in ns does not fit a float64.
    if numbers.dtype.kind in "iu":
        whole = numbers.astype(np.int64)
        return np.asarray(whole // 1000 if unit == "ns" else whole * _MICROS[unit], dtype=np.int64)
    scale = 1e-3 if unit == "ns" else float(_MICROS[unit])
    return np.rint(numbers.astype(np.float64) * scale).astype(np.int64)


def _from_digits(numbers: np.ndarray, size: np.ndarray) -> Clock | None:
    """Dates written as whole numbers, such as 20190331 or 20190331130000."""
    given = np.isfinite(size) & (size > 0)
    if not given.any():
        return None
    for low, high, form in ((1.9e7, 2.1e7, "%Y%m%d"), (1.9e11, 2.1e11, "%Y%m%d%H%M"), (1.9e13, 2.1e13, "%Y%m%d%H%M%S")):
        if not ((size[given] >= low) & (size[given] < high)).mean() > 0.9:
            continue
        text = pd.Series(np.where(given, size, 0).astype(np.int64)).astype("string")
        times = pd.to_datetime(text, format=form, utc=True, errors="coerce")
        if times.notna().sum() > 0.9 * given.sum():
            at = np.where(times.isna(), NAT, pd.DatetimeIndex(times).as_unit("us").asi8)
            example = text[given].iloc[0]
            return Clock(at, form, at != NAT, f"whole numbers such as {example} are dates in digits, no epoch")
    return None


def _from_no_unit(size: np.ndarray, none: Mask) -> Clock:
    days = (size >= _EXCEL[0]) & (size < _EXCEL[1])
    if days.mean() > 0.5:
        since = np.rint((size[days] - 25_569.0) * _DAY / 1e6).astype(np.int64) * 1_000_000
        at = np.full(len(size), NAT)
        at[days] = since
        return Clock(at, "days", days, "numbers such as a spreadsheet's days since 1899-12-30, no epoch")
    given = np.isfinite(size)
    at = np.full(len(size), NAT)
    at[given] = np.rint(np.clip(size[given], -1e15, 1e15) * 1000).astype(np.int64)
    at, other, text = _plausible(at)
    at[~other] = NAT
    return Clock(at, "numbers", other, text and "numbers that are no epoch in s, ms, µs or ns")


def _from_text(column: pd.Series, numbers: pd.Series, given: Mask, none: Mask) -> Clock:
    text = column.astype("string").str.strip()
    notes: list[str] = []
    zone, shift = None, np.zeros(len(text), dtype=np.int64)
    sample = text.dropna()
    last = sample.str.extract(r"\s([A-Z]{3,4})$")[0] if len(sample) else pd.Series(dtype="string")
    named = last.isin(list(_ZONES))
    if len(named) and named.mean() > 0.5:
        # Both names of a zone may occur: summer and winter.
        hours = text.str.extract(r"\s([A-Z]{3,4})$")[0].map(_ZONES).fillna(0).to_numpy(dtype=np.int64)
        zone, shift = str(last[named].mode()[0]), np.multiply(hours, 3_600_000_000, dtype=np.int64)
        text = text.str.replace(r"\s[A-Z]{3,4}$", "", regex=True)
    text = text.str.replace(r"\s*(?:UTC|GMT)$", "Z", regex=True)
    times = pd.to_datetime(text, format="ISO8601", utc=True, errors="coerce")
    written = "iso"
    if times.notna().mean() <= 0.5:
        spelling, note = _spelling(text)
        if spelling is not None:
            written, times = spelling, pd.to_datetime(text, format=spelling, utc=True, errors="coerce")
            notes += [note]
    at = np.where(times.isna(), NAT, pd.DatetimeIndex(times).as_unit("us").asi8)
    if zone is not None:
        at = np.where(at == NAT, NAT, at - shift)
    other, unit_text = none.copy(), ""
    if given.any():
        # ISO takes 2019 for a year and 20190331 for a day: numbers among text are epochs.
        epochs = np.flatnonzero(given)
        inner = read_clock(numbers[given])
        other[epochs], unit_text = inner.at != NAT, "some stamps are epochs, the others text"
        at[epochs] = inner.at
    at, odd, odd_text = _plausible(at)
    offset, naive = _offsets(text, at)
    return Clock(
        at,
        written,
        other | odd,
        unit_text or odd_text,
        offset=offset,
        naive=naive & ~given,
        zone=zone,
        notes=tuple(notes),
    )


def _offsets(text: pd.Series, at: Ints) -> tuple[Ints | None, Mask]:
    """Minutes east of UTC that each cell says, and which cells say nothing."""
    known = at != NAT
    said = (text.str.endswith("Z") | text.str.contains(r"\d[+-]\d{2}:?\d{2}$", regex=True)).fillna(False)
    aware = said.to_numpy(dtype=np.bool_) & known
    naive = known & ~aware
    # A date such as 01-02-2019 ends like an offset; a time of day always stands before one.
    aware &= text.str.contains(":", regex=False).fillna(False).to_numpy(dtype=np.bool_) | ~naive.any()
    naive = known & ~aware
    if not aware.any():
        return None, naive
    minutes = np.zeros(len(text), dtype=np.int64)
    ending = text[aware].str[-6:]
    unique = {end: _minutes(end) for end in ending.unique()}
    minutes[aware] = ending.map(unique).to_numpy(dtype=np.int64)
    return minutes if minutes.any() or naive.any() else None, naive


def _minutes(ending: str) -> int:
    if ending.endswith("Z"):
        return 0
    digits = ending.replace(":", "")[-5:]
    sign = -1 if digits[0] == "-" else 1
    return sign * (int(digits[1:3]) * 60 + int(digits[3:5]))


def _spelling(text: pd.Series) -> tuple[str | None, str]:
    """The format that reads most of a sample, and among several the one that leaves the times more regular."""
    sample = text.dropna()
    if sample.empty:
        return None, ""
    sample = sample.iloc[np.unique(np.linspace(0, len(sample) - 1, 500).astype(np.int64))]
    head = text.dropna().iloc[:2000]
    best: tuple[float, float] = (0.5, -1.0)
    chosen = None
    for form in _FORMATS:
        share = float(pd.to_datetime(sample, format=form, errors="coerce").notna().mean())
        if share < best[0] or share <= 0.5:
            continue
        regular = _regularity(pd.to_datetime(head, format=form, errors="coerce"))
        if (share, regular) > best:
            best, chosen = (share, regular), form
    if chosen is None:
        return None, ""
    plain = chosen.replace("%Y", "year").replace("%m", "month").replace("%d", "day").replace("%b", "month")
    return chosen, (
        f"stamps such as {sample.iloc[0]!r} were read as {plain}; ingest takes ISO 8601 or epochs, so export them in "
        "one of these"
    )


def _regularity(times: pd.Series) -> float:
    steps = np.diff(times.dropna().astype("datetime64[s]").astype("int64").to_numpy())
    if not len(steps):
        return 0.0
    return float(np.unique(steps, return_counts=True)[1].max() / len(steps))
