"""A mended copy of a file: only what the file itself says how to mend, and nothing invented."""

import gzip
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import numpy as np
import pandas as pd

from pipelines.artifacts import Artifacts
from pipelines.diagnosis.fault import NAT, Ints, Mask
from pipelines.diagnosis.order import judge_duplicates
from pipelines.diagnosis.record import Diagnosis, Mending
from pipelines.diagnosis.rows import PRICES
from pipelines.diagnosis.shape import exchanged, swapped_high_low
from pipelines.diagnosis.volume import compare_volumes
from trading.errors import BarError

_STAMPS = ("epoch_unit", "mixed_offsets", "local_time", "close_stamped", "jitter")
_EPOCHS = {"s": 1_000_000, "ms": 1_000, "us": 1}


@dataclass(frozen=True)
class Mended:
    """A table as it should be written.

    Parameters
    ----------
    frame
        The file's columns, mended.
    fixed
        Kinds of faults that were mended.
    """

    frame: pd.DataFrame
    fixed: tuple[str, ...]


def mend(diagnosis: Diagnosis) -> Mended:
    """Apply the safe fixes.

    Text becomes numbers and stamps one spelling of UTC opens; exchanged cells are put back; rows that repeat another,
    hold nothing or had not closed are left out, and so are columns of later returns; the rest is sorted. Prices are
    never changed, no bar is made up, and of rows that contradict each other all are kept.

    Parameters
    ----------
    diagnosis
        What :func:`pipelines.diagnosis.diagnose.diagnose` found.
    """
    found = diagnosis.mending
    safe: set[str] = {fault.kind for fault in diagnosis.faults if fault.safe_fix}
    if found is None or not safe:
        return Mended(pd.DataFrame() if found is None else found.reading.source.frame, ())
    fixed: list[str] = []
    frame = found.reading.source.frame.copy()
    columns = found.reading.source.columns
    if (texts := [kind for kind in ("text_numbers", "decimal_comma") if kind in safe]) and _write_numbers(frame, found):
        fixed += texts
    at = _stamps(diagnosis, safe, found)
    if at is not None:
        frame[columns["timestamp"]] = _spelt(at, found)
        fixed += [kind for kind in _STAMPS if kind in safe]
    rows = found.reading.rows(found.at if at is None else at)
    if "high_low_swapped" in safe:
        _exchange(frame, found, "high", "low", swapped_high_low(rows.cells))
        fixed.append("high_low_swapped")
    if "volume_swapped" in safe:
        _exchange(frame, found, "volume", "quote_volume", compare_volumes(exchanged(rows.cells))[0])
        fixed.append("volume_swapped")
    dropped = np.zeros(len(frame), dtype=np.bool_)
    if "duplicates_agreeing" in safe:
        for places in found.series:
            agreeing, _ = judge_duplicates(rows.take(places))
            dropped[places[agreeing]] = True
        fixed.append("duplicates_agreeing")
    if "nan_rows" in safe:
        bare = np.logical_and.reduce([np.isnan(rows.cells[name]) for name in PRICES])
        dropped |= bare | (rows.at == NAT)
        fixed.append("nan_rows")
    if "unfinished_last_bar" in safe:
        dropped[list(found.unfinished)] = True
        fixed.append("unfinished_last_bar")
    if "extra_column_return" in safe:
        frame = frame.drop(columns=[name for name in frame.columns if str(name) in found.leaking])
        fixed.append("extra_column_return")
    order = np.flatnonzero(~dropped)
    if safe & {"order_descending", "order_mixed"}:
        # Rows without a time stay at the end.
        when = np.where(rows.at[order] == NAT, np.iinfo(np.int64).max, rows.at[order])
        order = order[np.argsort(when, kind="stable")]
        fixed += [kind for kind in ("order_descending", "order_mixed") if kind in safe]
    return Mended(frame.iloc[order].reset_index(drop=True), tuple(dict.fromkeys(fixed)))


def mended_path(path: Path, output: Path | None = None) -> Path:
    """Where the mended copy of a file goes.

    Raises
    ------
    BarError
        If that is the file itself.
    """
    name = path.name
    suffix = ".csv.gz" if name.lower().endswith(".csv.gz") else path.suffix
    target = output or path.with_name(f"{name[: len(name) - len(suffix)]}.fixed{suffix}")
    if target.resolve() == path.resolve() or (target.exists() and target.samefile(path)):
        raise BarError(
            "the mended copy would overwrite the file itself",
            where=str(target),
            rule="what was found stays as it was",
            remedy="name another file with --output",
        )
    if target.is_dir():
        raise BarError("--output is a folder", where=str(target), remedy="name a file")
    return target


def write_table(frame: pd.DataFrame, target: Path, form: str, *, named: bool) -> Path:
    """Write a table in the format of the file it came from; a kill leaves the old file or the new one.

    Parameters
    ----------
    frame
        The table.
    target
        File to write.
    form
        ``csv``, ``csv.gz``, ``parquet`` or ``feather``.
    named
        Whether the columns have names.
    """
    files = Artifacts(target.parent)
    if form == "parquet":
        return files.write_frame(target.name, frame.set_axis([str(name) for name in frame.columns], axis=1))
    if form == "feather":
        buffer = BytesIO()
        frame.set_axis([str(name) for name in frame.columns], axis=1).to_feather(buffer)
        return files.write_bytes(target.name, buffer.getvalue())
    text = frame.to_csv(index=False, header=named)
    if form == "csv.gz":
        return files.write_bytes(target.name, gzip.compress(text.encode(), mtime=0))
    return files.write_text(target.name, text)


def _write_numbers(frame: pd.DataFrame, found: Mending) -> bool:
    """Replace columns of text by the numbers they hold; a column with a cell that says none stays as it is."""
    written = False
    for name, number in found.reading.numbers.items():
        if (number.text.any() or number.comma.any()) and not number.unreadable.any():
            frame[found.reading.source.columns[name]] = number.values
            written = True
    return written or found.reading.source.torn_commas > 0


def _stamps(diagnosis: Diagnosis, safe: set[str], found: Mending) -> Ints | None:
    """Right stamps, ``None`` where they are right already or nothing says what they should be."""
    unsafe = {fault.kind for fault in diagnosis.faults if not fault.safe_fix}
    spelling = found.reading.clock.written not in ("iso", "s", "ms", "us", "ns")
    if not (safe & set(_STAMPS)) and not spelling:
        return None
    at = found.at.copy()
    old, new = found.moved
    # Where a stretch was also shifted, nobody knows the open.
    if safe & {"close_stamped", "jitter"} and not unsafe & {"clock_shift", "local_time", "close_stamped", "jitter"}:
        place = np.clip(np.searchsorted(old, at), 0, max(len(old) - 1, 0))
        hit = old[place] == at if len(old) else np.zeros(len(at), dtype=np.bool_)
        at[hit] = new[place[hit]]
    return at


def _spelt(at: Ints, found: Mending) -> pd.Series:
    """Stamps as the column had them: epochs in its main unit, else times in UTC."""
    written = found.reading.clock.written
    missing = at == NAT
    if written in _EPOCHS or written == "ns":
        epochs = at * 1000 if written == "ns" else at // _EPOCHS[written]
        return pd.Series(epochs).mask(missing) if missing.any() else pd.Series(epochs)
    return pd.Series(pd.to_datetime(np.where(missing, 0, at), unit="us", utc=True).as_unit("us")).mask(missing)


def _exchange(frame: pd.DataFrame, found: Mending, one: str, other: str, where: Mask) -> None:
    """Exchange the cells of two columns in some rows."""
    columns, numbers = found.reading.source.columns, found.reading.numbers
    first, second = numbers[one].values.copy(), numbers[other].values.copy()
    first[where], second[where] = numbers[other].values[where], numbers[one].values[where]
    frame[columns[one]], frame[columns[other]] = first, second
