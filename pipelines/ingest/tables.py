"""Files of any supported format as tables, before anybody asks what their columns mean."""

import codecs
import gzip
import statistics
import warnings
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

import pandas as pd

from pipelines.ingest.columns import known, positional
from trading.errors import BarError

_HEAD = 1 << 16
_LINES = 50
_FORMATS = "CSV (also gzipped), Parquet or Feather"
_MAGIC = {b"PAR1": "parquet", b"ARRO": "feather", b"FEA1": "feather", b"\x1f\x8b": "csv.gz"}
# Fewest columns a bar can have: time, four prices, volume.
_WIDTH = 6


@dataclass(frozen=True)
class Table:
    """What a file holds.

    Parameters
    ----------
    frame
        Cells as found; columns are the file's own names, or positions where it has none.
    named
        Whether the columns have names.
    format
        ``csv``, ``csv.gz``, ``parquet`` or ``feather``, by content and not by the file's name.
    remarks
        What was skipped before the first row.
    """

    frame: pd.DataFrame
    named: bool
    format: str
    remarks: tuple[str, ...]


def read_table(path: Path) -> Table:
    """A file as a table.

    Raises
    ------
    BarError
        If the file is missing, unreadable, empty, binary, or holds a header only.
    """
    try:
        with path.open("rb") as stream:
            head = stream.read(_HEAD)
    except FileNotFoundError as error:
        raise BarError("the file is not there", where=str(path), remedy="check its name") from error
    except OSError as error:
        raise BarError(
            f"the file cannot be read: {error.strerror}", where=str(path), remedy="check its permissions"
        ) from error
    if not head.strip():
        raise BarError("the file is empty", where=str(path), remedy="export the bars again")
    kind = next((kind for magic, kind in _MAGIC.items() if head.startswith(magic)), "csv")
    try:
        table = _columnar(path, kind) if kind in ("parquet", "feather") else _csv(path, kind, head)
    except (OSError, EOFError, ValueError, zlib.error, pd.errors.ParserWarning) as error:
        # The parsers of pandas and Arrow raise ValueErrors; a gzip stream that breaks off raises the others.
        raise BarError(
            f"the file is damaged: {str(error).strip().splitlines()[0]}",
            where=str(path),
            rule=f"a whole file in the format {kind}",
            remedy="mend the line it names, or export the bars again",
        ) from error
    if table.frame.empty:
        raise BarError("the file has a header but no rows", where=str(path), remedy="export the bars again")
    return table


def _columnar(path: Path, kind: str) -> Table:
    frame = pd.read_parquet(path) if kind == "parquet" else pd.read_feather(path)
    if isinstance(frame.index, pd.DatetimeIndex) and frame.index.name not in frame:
        frame = frame.set_axis(frame.index.rename(frame.index.name or "timestamp")).reset_index()
    named = not positional(list(frame.columns))
    return Table(frame if named else frame.set_axis(range(frame.shape[1]), axis=1), named, kind, ())


def _csv(path: Path, kind: str, head: bytes) -> Table:
    if kind == "csv.gz":
        with gzip.open(path) as stream:
            head = stream.read(_HEAD)
    lines = _lines(head, path)
    filled = [line for line in lines if line.strip()]
    separator = max(",;\t|", key=lambda mark: statistics.median_high([line.count(mark) for line in filled]))
    width = statistics.median_high([line.count(separator) for line in filled]) + 1
    if width < _WIDTH:
        raise BarError(
            f"the file has {width} column(s)",
            where=str(path),
            rule="a time, open, high, low and close prices, and a volume",
            remedy="export bars (candles), with commas between the columns",
        )
    start = next(at for at, line in enumerate(lines) if line.count(separator) + 1 >= _WIDTH)
    header = _is_header([cell.strip().strip('"') for cell in lines[start].split(separator)])
    with warnings.catch_warnings():
        # Rows longer than the header would otherwise lose their last cells under a mere warning.
        warnings.simplefilter("error", pd.errors.ParserWarning)
        frame = pd.read_csv(
            path,
            sep=separator,
            header=0 if header else None,
            skiprows=start,
            index_col=False,
            low_memory=False,
            float_precision="round_trip",
            skipinitialspace=True,
            encoding="utf-8-sig",
            compression="gzip" if kind == "csv.gz" else None,
        )
    frame = _without_row_numbers(frame)
    named = header and not positional(list(frame.columns))
    skipped = [line.strip() for line in lines[:start] if line.strip()]
    remarks = (f"skipped before the first row: {' / '.join(skipped)}",) if skipped else ()
    return Table(frame if named else frame.set_axis(range(frame.shape[1]), axis=1), named, kind, remarks)


def _is_header(cells: list[str]) -> bool:
    """Whether a first line names columns: known names, positions, or at least no number anywhere."""
    numbers = pd.to_numeric(pd.Series(cells, dtype="object"), errors="coerce").notna()
    return any(known(cell) for cell in cells) or positional([cell for cell in cells if cell]) or not numbers.any()


def _without_row_numbers(frame: pd.DataFrame) -> pd.DataFrame:
    """A first column without a name is an index that was written along: row numbers, or the time."""
    name = str(frame.columns[0])
    if not name.startswith("Unnamed:"):
        return frame
    column = frame.iloc[:, 0]
    if column.dtype.kind in "iu" and (column.reset_index(drop=True) == column.index).mean() > 0.5:
        return frame.iloc[:, 1:]
    return frame if "timestamp" in frame else frame.rename(columns={name: "timestamp"})


def _lines(head: bytes, path: Path) -> list[str]:
    if b"\0" in head:
        _refuse_binary(path)
    try:
        text = codecs.getincrementaldecoder("utf-8-sig")().decode(head)
    except UnicodeDecodeError:
        _refuse_binary(path)
    lines = text.splitlines()[:_LINES]
    if not any(line.strip() for line in lines):
        raise BarError("the file is empty", where=str(path), remedy="export the bars again")
    return lines


def _refuse_binary(path: Path) -> NoReturn:
    raise BarError(
        "the file is binary, or text that is not UTF-8",
        where=str(path),
        rule=_FORMATS,
        remedy=f"export the bars as {_FORMATS}",
    )
