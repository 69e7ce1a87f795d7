"""Everything that is wrong with one file, in one object."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from pipelines.diagnosis.against import compare_sources
from pipelines.diagnosis.bad_prints import find_bad_prints, prints_fault
from pipelines.diagnosis.daylight import find_daylight_jumps
from pipelines.diagnosis.fault import NAT, Fault, Finding, Ints, Mask, found_rows, spoken, stamp
from pipelines.diagnosis.gaps import find_gaps
from pipelines.diagnosis.hourly_rhythm import find_moved_rhythm
from pipelines.diagnosis.last_bar import FINISHED, find_unfinished, says_unfinished
from pipelines.diagnosis.leak import find_leaking_columns
from pipelines.diagnosis.merge import labelled, merge
from pipelines.diagnosis.order import find_disorder, find_duplicates
from pipelines.diagnosis.other_clocks import compare_clocks, flags_of, zone_faults
from pipelines.diagnosis.reading import Reading, read_cells, read_file
from pipelines.diagnosis.record import Diagnosis, Mending
from pipelines.diagnosis.rows import Bars, Rows, first_of_each, on_grid
from pipelines.diagnosis.scale import find_scale_change
from pipelines.diagnosis.series import split_series, tidy_finding
from pipelines.diagnosis.shape import exchanged, find_contradictions, find_text, find_unusable
from pipelines.diagnosis.source import read_source
from pipelines.diagnosis.spacing import Spacing, claimed_length, look_at_spacing
from pipelines.diagnosis.stale import find_stale
from pipelines.diagnosis.volume import find_zero_volume, judge_quote_volume
from pipelines.diagnosis.volume_unit import find_volume_change
from pipelines.ingest.columns import key
from trading.instrument import duration

_CLAIMING = ("timeframe", "interval", "granularity", "resolution", "freq", "frequency", "period")


def diagnose(
    path: Path,
    *,
    max_missing: float,
    against: Path | None = None,
    timeframe: str | None = None,
    now: pd.Timestamp | None = None,
) -> Diagnosis:
    """Look at a file of bars as it is and name what is wrong with it. Nothing is written.

    Parameters
    ----------
    path
        CSV (also gzipped), Parquet or Feather.
    max_missing
        ``validate.max_missing_fraction`` of ``params.yaml``: share of bars that may be missing, or be without a trade.
    against
        A second source of the same market.
    timeframe
        What length the bars are said to have.
    now
        The clock; default: that of the machine.

    Raises
    ------
    BarError
        If a file cannot be read at all, or holds something else than bars.
    InstrumentError
        If ``timeframe`` is none.
    """
    moment = (now if now is not None else pd.Timestamp.now(tz="UTC")).value // 1000
    claims = {"--timeframe": _microseconds(timeframe)} if timeframe else {}
    if (named := claimed_length(path.name)) is not None:
        claims["the file's name"] = named
    source = read_source(path)
    if source.tidy is not None:
        found = tidy_finding(source, len(source.frame))
        return Diagnosis(str(path), len(source.frame), found.faults, (*source.notes, *found.notes))
    reading = read_cells(source, path)
    clock_finding, right = compare_clocks(source, reading.clock)
    rows = reading.rows(right)
    findings = [
        Finding(tuple(zone_faults(reading.clock, rows.number)), (*source.notes, *reading.clock.notes)),
        clock_finding,
        Finding(tuple(_claims_of_column_name(reading))),
        Finding(tuple(_torn_commas(reading))),
        Finding(tuple(find_text(rows, reading.numbers, reading.raw()))),
        Finding(tuple(find_unusable(rows, reading.unread()))),
        Finding(tuple(find_contradictions(rows))),
    ]
    claims |= _claims_of_rows(reading)
    parts, several, remarks = split_series(rows, source)
    findings.append(Finding(tuple(several), remarks))
    other = _second(against) if against is not None else None
    series, of_series, unfinished = [], [], []
    for label, places in parts:
        looked = _look_at_series(rows.take(places), reading, claims, max_missing, moment)
        finding = looked.finding
        if other is not None and against is not None:
            finding = _with_second(finding, compare_sources(looked.bars, other, against.name))
        merged = merge([finding], same_rows=True)
        if any(fault.kind == "unfinished_last_bar" for fault in merged.faults):
            unfinished.append(int(looked.bars.number[-1]))
        series.append(looked)
        of_series.append(labelled(merged, label))
    found = merge([*findings, merge(of_series, same_rows=False)], same_rows=True)
    mending = Mending(
        reading,
        rows.at,
        tuple(places for _, places in parts),
        _joined([looked.moved for looked in series]),
        tuple(unfinished),
        tuple(dict.fromkeys(name for looked in series for name in looked.leaking)),
    )
    return Diagnosis(str(path), len(rows), found.faults, found.notes, mending)


def _with_second(own: Finding, compared: Finding) -> Finding:
    """What the file says by itself, and a second source; of the clock the latter knows more."""
    told = {fault.kind for fault in compared.faults} & {"local_time", "clock_shift"}
    kept = tuple(fault for fault in own.faults if fault.kind not in told)
    return Finding(kept + compared.faults, own.notes + compared.notes)


@dataclass(frozen=True)
class _Looked:
    finding: Finding
    bars: Bars
    moved: tuple[Ints, Ints]
    leaking: tuple[str, ...] = ()


def _look_at_series(rows: Rows, reading: Reading, claims: dict[str, int], max_missing: float, now: int) -> _Looked:
    """All looks at one series of bars, the later ones at what the earlier ones made usable."""
    distinct = first_of_each(rows)
    if not len(distinct):
        return _Looked(Finding(), Bars(distinct.number, distinct.at, distinct.at, 1, distinct.cells), _nothing())
    spacing = look_at_spacing(distinct, claims)
    daylight = find_daylight_jumps(on_grid(rows, spacing.written, spacing.meant), spacing.bars, distinct.at)
    faults = [*spacing.finding.faults, *daylight.faults]
    notes = list(spacing.finding.notes)
    faults += find_disorder(rows, daylight.doubled)
    faults += find_duplicates(rows, daylight.doubled)
    if spacing.regular:
        gaps = find_gaps(spacing.bars, daylight.missing | spacing.foreign, max_missing)
        faults += gaps.faults
        notes = [_extent(spacing), *notes, *gaps.notes]
    whole = spacing.bars
    whole = Bars(whole.number, whole.at, whole.steps, whole.length, exchanged(whole.cells))
    bars = whole.priced()
    values, leaking = _look_at_values(bars, reading, max_missing, notes, spacing.regular)
    faults += values
    if spacing.regular:
        flags = _unfinished_flags(reading, bars)
        unfinished = find_unfinished(bars, now, spacing.last_off_grid, flags)
        faults += unfinished.faults
        notes += unfinished.notes
    old, new = spacing.written, spacing.meant
    moved = old[old != new], new[old != new]
    return _Looked(Finding(tuple(faults), tuple(notes)), bars, moved, leaking)


def _look_at_values(
    bars: Bars, reading: Reading, max_missing: float, notes: list[str], regular: bool
) -> tuple[list[Fault], tuple[str, ...]]:
    """Prices, volumes and other columns of bars in time order; and the columns that hold what comes later."""
    faults: list[Fault] = []
    bad, said = find_bad_prints(bars)
    stale, still = find_stale(bars)
    scale, short = find_scale_change(bars, bad | still)
    faults += scale
    faults += prints_fault(bars, bad | short, said)
    faults += stale
    volume, swapped = judge_quote_volume(bars)
    faults += volume
    zero = find_zero_volume(bars, max_missing)
    faults += zero.faults
    notes += zero.notes
    if not any(fault.kind == "volume_unit_change" for fault in volume):
        if swapped.any():
            base = np.where(swapped, bars.cells["quote_volume"], bars.cells["volume"])
            bars = Bars(bars.number, bars.at, bars.steps, bars.length, {**bars.cells, "volume": base})
        faults += find_volume_change(bars)
    if regular:
        rhythm = find_moved_rhythm(bars)
        faults += rhythm.faults
        notes += rhythm.notes
    frame = reading.source.frame
    extra = {str(name): frame[name].iloc[bars.number].reset_index(drop=True) for name in _numeric(reading)}
    leaks, leaking = find_leaking_columns(bars, extra)
    return faults + leaks, leaking


def _second(path: Path) -> Bars:
    """The bars of the other source, put in order."""
    reading = read_file(path)
    spacing = look_at_spacing(first_of_each(reading.rows()), {})
    bars = spacing.bars
    return Bars(bars.number, bars.at, bars.steps, bars.length, exchanged(bars.cells))


def _microseconds(timeframe: str) -> int:
    return duration(timeframe).value // 1000


def _extent(spacing: Spacing) -> str:
    bars = spacing.bars
    return f"bars of {spoken(bars.length)} from {stamp(int(bars.at[0]))} to {stamp(int(bars.at[-1]))}"


def _nothing() -> tuple[Ints, Ints]:
    return np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.int64)


def _joined(moved: list[tuple[Ints, Ints]]) -> tuple[Ints, Ints]:
    old = np.concatenate([one for one, _ in moved]) if moved else np.zeros(0, dtype=np.int64)
    new = np.concatenate([other for _, other in moved]) if moved else np.zeros(0, dtype=np.int64)
    old, first = np.unique(old, return_index=True)
    return old, new[first]


def _claims_of_column_name(reading: Reading) -> list[Fault]:
    """What the name of the time column says about the stamps."""
    says = reading.source.stamps_say
    if says is None:
        return []
    name = reading.source.columns["timestamp"]
    remedy = {
        "close_stamped": "stamp each bar with its open",
        "local_time": "export the time in UTC",
    }[says]
    at = reading.clock.at
    rows = reading.rows()
    return [found_rows(says, rows.number, at, lambda place: f"the column is called {name!r}", remedy, where=at != NAT)]


def _torn_commas(reading: Reading) -> list[Fault]:
    """Decimal commas that also separated columns, and were put together while reading."""
    if not reading.source.torn_commas:
        return []
    rows = reading.rows()
    return [
        found_rows(
            "decimal_comma",
            rows.number,
            rows.at,
            lambda place: "the decimal comma separates columns as well",
            "write decimal points",
            where=np.arange(len(rows)),
            safe_fix=True,
        )
    ]


def _claims_of_rows(reading: Reading) -> Mapping[str, int]:
    """Bar length that a column of the file states."""
    for name in reading.source.extra:
        if key(name) in _CLAIMING:
            values = reading.source.frame[name].dropna().unique()
            if len(values) == 1 and (length := claimed_length(str(values[0]))) is not None:
                return {f"column {name!r}": length}
    return {}


def _unfinished_flags(reading: Reading, bars: Bars) -> Mask | None:
    for name in reading.source.extra:
        if key(name) in FINISHED:
            return says_unfinished(flags_of(reading.source.frame[name].iloc[bars.number]))
    return None


def _numeric(reading: Reading) -> list[str | int]:
    frame = reading.source.frame
    return [name for name in reading.source.extra if frame[name].dtype.kind in "iufb" or frame[name].dtype == object]
