"""Files of any supported format as tables, before anybody asks what their columns mean."""

import codecs
import gzip
import statistics
import warnings
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

import pandas as pd
from pandas.io.parsers import TextFileReader

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
    """What a file holds, or consecutive rows of it.

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
    return next(read_tables(path, None))


def read_tables(path: Path, rows: int | None) -> Iterator[Table]:
    """A file as tables of at most ``rows`` rows, one at least; Feather comes in the pieces that it was written in.

    What the columns are called, and whether the first of them numbers the rows, is told by the first table. Types are
    told table by table.

    Parameters
    ----------
    path
        The file.
    rows
        None for all of them in one table.

    Raises
    ------
    BarError
        As :func:`read_table`; a damaged place is met when it is reached.
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
    tables = _csv(path, kind, head, rows) if kind.startswith("csv") else _columnar(path, head[:4], kind, rows)
    found = False
    while table := _next_table(tables, path, kind):
        if not table.frame.empty:
            found = True
            yield table
    if not found:
        raise BarError("the file has a header but no rows", where=str(path), remedy="export the bars again")


def _next_table(tables: Iterator[Table], path: Path, kind: str) -> Table | None:
    try:
        with warnings.catch_warnings():
            # Rows longer than the header would otherwise lose their last cells under a mere warning.
            warnings.simplefilter("error", pd.errors.ParserWarning)
            return next(tables, None)
    except (OSError, EOFError, ValueError, zlib.error, pd.errors.ParserWarning) as error:
        # The parsers of pandas and Arrow raise ValueErrors; a gzip stream that breaks off raises the others.
        raise BarError(
            f"the file is damaged: {str(error).strip().splitlines()[0]}",
            where=str(path),
            rule=f"a whole file in the format {kind}",
            remedy="mend the line it names, or export the bars again",
        ) from error


def _columnar(path: Path, magic: bytes, kind: str, rows: int | None) -> Iterator[Table]:
    for frame in _arrow_frames(path, magic, kind, rows):
        if isinstance(frame.index, pd.DatetimeIndex) and frame.index.name not in frame:
            frame = frame.set_axis(frame.index.rename(frame.index.name or "timestamp")).reset_index()
        named = not positional(list(frame.columns))
        yield Table(frame if named else frame.set_axis(range(frame.shape[1]), axis=1), named, kind, ())


def _arrow_frames(path: Path, magic: bytes, kind: str, rows: int | None) -> Iterator[pd.DataFrame]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    if kind == "parquet" and rows is not None:
        # With a buffer a column is read bit by bit, and not as much of it as there is in a group of rows.
        with pq.ParquetFile(path, buffer_size=_HEAD) as file:
            for batch in file.iter_batches(rows):
                yield pa.Table.from_batches([batch]).to_pandas()
    elif magic == b"ARRO" and rows is not None:
        with pa.OSFile(str(path)) as stream, pa.ipc.open_file(stream) as file:
            for at in range(file.num_record_batches):
                yield pa.Table.from_batches([file.get_batch(at)]).to_pandas()
    else:
        yield pd.read_parquet(path) if kind == "parquet" else pd.read_feather(path)


def _csv(path: Path, kind: str, head: bytes, rows: int | None) -> Iterator[Table]:
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
    skipped = [line.strip() for line in lines[:start] if line.strip()]
    remarks = (f"skipped before the first row: {' / '.join(skipped)}",) if skipped else ()
    with pd.read_csv(
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
        iterator=True,
    ) as reader:
        frame = _next_rows(reader, rows)
        numbered = _row_numbers(frame)
        while not frame.empty:
            frame = frame.iloc[:, 1:] if numbered else _with_named_times(frame)
            named = header and not positional(list(frame.columns))
            yield Table(frame if named else frame.set_axis(range(frame.shape[1]), axis=1), named, kind, remarks)
            frame = _next_rows(reader, rows)


def _is_header(cells: list[str]) -> bool:
    """Whether a first line names columns: known names, positions, or at least no number anywhere."""
    numbers = pd.to_numeric(pd.Series(cells, dtype="object"), errors="coerce").notna()
    return any(known(cell) for cell in cells) or positional([cell for cell in cells if cell]) or not numbers.any()


def _next_rows(reader: TextFileReader, rows: int | None) -> pd.DataFrame:
    """The next rows of a CSV file, none at its end."""
    try:
        return reader.read(rows)
    except StopIteration:
        return pd.DataFrame()


def _unnamed(frame: pd.DataFrame) -> bool:
    """Whether the first column has no name: it is an index that was written along, row numbers or the time."""
    return str(frame.columns[0]).startswith("Unnamed:")


def _row_numbers(frame: pd.DataFrame) -> bool:
    """Whether the first column numbers the rows."""
    if frame.empty or not _unnamed(frame):
        return False
    column = frame.iloc[:, 0]
    return column.dtype.kind in "iu" and bool((column.reset_index(drop=True) == column.index).mean() > 0.5)


def _with_named_times(frame: pd.DataFrame) -> pd.DataFrame:
    if not _unnamed(frame) or "timestamp" in frame:
        return frame
    return frame.rename(columns={frame.columns[0]: "timestamp"})


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
