"""A file's table and which of its columns is which, read with more patience than ingest has."""

import re
import statistics
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd

from pipelines.diagnosis.fault import Kind
from pipelines.ingest.columns import REQUIRED, key, match_columns, match_positions
from pipelines.ingest.tables import Table, read_table
from trading.bars import COLUMNS
from trading.errors import BarError

# Times that ingest does not take for a bar's open: the bar's end, and clocks that say they are not UTC.
_CLOSE_TIME = ("close_time", "closetime", "close_timestamp", "time_close", "time_period_end", "end_time", "end")
_LOCAL_TIME = re.compile(
    r"(?:(?:local|exchange)_?(?:date_?)?time|(?:date_?)?time_local|date_local"
    r"|(?:date_?)?time_(?:est|edt|et|cst|pst|pt|ny|new_york|cet|cest|bst|jst|kst|hkt|ist|msk))"
)
_SYMBOLS = ("symbol", "ticker", "tic", "pair", "instrument", "instrument_id", "inst_id", "product_id", "market", "coin")
_VENUES = ("exchange", "venue", "asset", "currency", "base", "security", "name", "code")
_FIELDS = frozenset({"open", "high", "low", "close"})
_NOT_BARS = (
    ({"bid", "ask"}, "quotes (bid and ask)", "build bars from trades; quotes have no volume that traded"),
    ({"side", "price", "is_snapshot"}, "updates of an order book", "give bars, or trades to build them from"),
    ({"price", "qty"}, "trades", "build bars from them first"),
    ({"price", "amount"}, "trades", "build bars from them first"),
    ({"price", "size"}, "trades", "build bars from them first"),
    ({"price", "volume"}, "one price a row", "give bars with open, high, low and close"),
    ({"funding_rate"}, "funding rates", "give it as an external series, not as bars"),
    ({"funding_mean"}, "funding rates", "give it as an external series, not as bars"),
    ({"title"}, "headlines", "give it as an external series, not as bars"),
    ({"fng"}, "a sentiment index", "give it as an external series, not as bars"),
)


@dataclass(frozen=True)
class Source:
    """A table and the meaning of its columns.

    Parameters
    ----------
    frame
        Cells as found, numbered from 0.
    columns
        Canonical name (:data:`pipelines.ingest.columns.REQUIRED`, ``quote_volume``) to the file's own name.
    format
        ``csv``, ``csv.gz``, ``parquet`` or ``feather``.
    named
        Whether the columns have names.
    stamps_say
        What the name of the time column claims: ``close_stamped``, ``local_time`` or nothing.
    series_columns
        Columns that tell one series of bars from another, such as a symbol.
    notes
        What was skipped or put together while reading.
    torn_commas
        Lines of an export in which decimal commas separate columns as well.
    """

    frame: pd.DataFrame
    columns: dict[str, str | int]
    format: str
    named: bool
    stamps_say: Kind | None = None
    series_columns: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    torn_commas: int = 0
    tidy: str | None = None
    extra: tuple[str | int, ...] = field(default=())


def read_source(path: Path) -> Source:
    """Read a file and find its columns.

    Raises
    ------
    BarError
        If it is missing, empty, binary or damaged, or holds something else than bars.
    """
    if path.is_dir():
        raise BarError("this is a folder", where=str(path), rule="one file of bars", remedy="name a file in it")
    notes: list[str] = []
    torn = 0
    quoted = _with_commas_quoted(path)
    try:
        table = read_table(path) if quoted is None else _read_lines(quoted)
    except BarError as refused:
        mended = _readable_lines(path)
        if mended is None:
            raise
        text, said, torn = mended
        try:
            table = _read_lines(text)
        except BarError:
            raise refused from None
        notes += said
    notes += table.remarks
    frame = table.frame
    if not table.named:
        columns: dict[str, str | int] = dict(match_positions(frame, str(path)))
        order = sorted(columns, key=lambda name: columns[name])
        notes.append(f"no header; taken as {', '.join(order)} from the number of columns and the prices")
        extra = tuple(at for at in range(frame.shape[1]) if at not in columns.values())
        return Source(frame, columns, table.format, False, notes=tuple(notes), torn_commas=torn, extra=extra)
    frame = _with_index(frame).reset_index(drop=True)
    frame = frame.set_axis([str(name) for name in frame.columns], axis=1)
    return _named_source(frame, table.format, notes, torn, str(path))


def _named_source(frame: pd.DataFrame, form: str, notes: list[str], torn: int, where: str) -> Source:
    tidy = _tidy_field(frame)
    if tidy:
        return Source(frame, {}, form, True, notes=tuple(notes), tidy=tidy)
    frame, joined = _join_date_and_time(frame)
    notes += joined
    names = list(frame.columns)
    keys = {name: key(name) for name in names}
    says: Kind | None = None
    aliases: dict[str, str] = {}
    placeholders: list[str] = []
    try:
        columns = match_columns(names, where)
    except BarError as refused:
        if "both claim" in refused.what:
            raise
        # Names are handed over again, with the times ingest would not take, and a volume that is not there.
        for name in names:
            if keys[name] in _CLOSE_TIME:
                says, aliases = "close_stamped", {"timestamp": name}
            elif _LOCAL_TIME.fullmatch(keys[name]):
                says, aliases = "local_time", {"timestamp": name}
                break
        offered = [candidate for candidate in ("timestamp", "volume") if candidate not in keys.values()]
        columns = {}
        for extra in ([], offered[:1], offered[1:], offered):
            if "timestamp" in extra and not aliases:
                continue
            try:
                columns = match_columns([*names, *extra], where)
            except BarError:
                continue
            placeholders = [name for name in extra if columns.get(name) == name]
            break
        if not columns:
            raise _not_bars(names, refused, where) from None
        if "timestamp" not in placeholders:
            says, aliases = None, {}
    found: dict[str, str | int] = {name: aliases.get(name, own) for name, own in columns.items()}
    for name in placeholders:
        if name not in aliases:
            found.pop(name)
    used = set(found.values())
    series = tuple(
        name
        for name in names
        if name not in used
        and (keys[name] in _SYMBOLS or (keys[name] in _VENUES and not pd.api.types.is_numeric_dtype(frame[name])))
    )
    extra_columns = tuple(name for name in names if name not in used and name not in series)
    return Source(frame, found, form, True, says, series, tuple(notes), torn, extra=extra_columns)


def _with_index(frame: pd.DataFrame) -> pd.DataFrame:
    """Turn an index that was saved with the table, and may be the time, into a column."""
    if isinstance(frame.index, pd.RangeIndex):
        return frame
    names = [str(name) if name is not None else "timestamp" for name in frame.index.names]
    taken = {str(name) for name in frame.columns}
    if any(name in taken for name in names):
        return frame
    return frame.set_axis(frame.index.set_names(names), axis=0).reset_index()


def _tidy_field(frame: pd.DataFrame) -> str | None:
    """Name of a column that holds the names of prices: one row for each price instead of each bar."""
    for name in frame.columns:
        column = frame[name]
        if pd.api.types.is_numeric_dtype(column) or pd.api.types.is_datetime64_any_dtype(column):
            continue
        if {str(value).strip().lower() for value in column.dropna().unique()[:50]} >= _FIELDS:
            return str(name)
    return None


def _join_date_and_time(frame: pd.DataFrame) -> tuple[pd.DataFrame, list[str]]:
    """One time column from a date in one column and the time of day in another."""
    by_key = {key(name): name for name in frame.columns}
    date, time = by_key.get("date"), by_key.get("time")
    if date is None or time is None or "timestamp" in by_key:
        return frame, []
    clock = frame[time].astype("string").str.strip()
    if not clock.str.fullmatch(r"\d{1,2}:\d{2}(:\d{2})?").mean() > 0.5:
        return frame, []
    joined = frame[date].astype("string").str.strip().str.cat(clock, sep=" ")
    position = list(frame.columns).index(date)
    rest = frame.drop(columns=[date, time])
    rest.insert(position, "timestamp", joined)
    return rest, [f"the time is put together from the columns {date!r} and {time!r}"]


def _not_bars(names: Sequence[str], refused: BarError, where: str) -> BarError:
    """What a table without prices of bars seems to be instead."""
    keys = {key(name) for name in names}
    missing = [name for name in REQUIRED if name in COLUMNS[:4] and name in refused.what.split("(")[0]]
    for telling, what, remedy in _NOT_BARS:
        if telling <= keys and len(missing) >= 3:
            return BarError(
                f"these are not bars but, by the columns, {what}",
                where=where,
                rule="a time, open, high, low and close prices, and the volume",
                remedy=remedy,
            )
    return refused


def _read_lines(text: str) -> Table:
    """A table of lines that were prepared first."""
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "lines.csv"
        copy.write_text(text, encoding="utf-8")
        return read_table(copy)


def _with_commas_quoted(path: Path) -> str | None:
    """Lines with commas between quoted cells, for a file with decimal commas and another separator."""
    try:
        with path.open("rb") as stream:
            head = stream.read(1 << 16)
    except OSError:
        return None  # read_table says why
    first = next((line for line in head.splitlines() if line.strip()), b"")
    separator = max(";\t|", key=lambda mark: first.count(mark.encode()))
    if b"," in first or b"," not in head or b"\0" in head or first.count(separator.encode()) < len(REQUIRED) - 1:
        return None
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError:
        return None
    lines = [line.replace('"', "") for line in text.splitlines() if line.strip()]
    return "\n".join('"' + line.replace(separator, '","') + '"' for line in lines) + "\n"


def _readable_lines(path: Path) -> tuple[str, list[str], int] | None:
    """Text of a CSV file without the lines that have too many cells, or with torn decimal commas put together.

    ``None`` where the file is no text, or where that would not help.
    """
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except (OSError, UnicodeDecodeError):
        return None
    lines = [line for line in text.splitlines() if line.strip()]
    if len(lines) < 2:
        return None
    separator = max(",;\t|", key=lambda mark: statistics.median_high([line.count(mark) for line in lines[:50]]))
    counts = [line.count(separator) for line in lines]
    header, typical = counts[0], int(statistics.median_high(counts[1:]))
    if separator == "," and header >= 5 and typical == 2 * header:
        # Time, then pairs of whole and decimal digits.
        whole = [line for line, count in zip(lines[1:], counts[1:], strict=True) if count == typical]
        pairs = [[cells[0], *map(".".join, zip(cells[1::2], cells[2::2], strict=True))] for cells in map(_cells, whole)]
        body = [",".join(cells) for cells in pairs]
        dropped = len(lines) - 1 - len(body)
        notes = [f"{dropped} line(s) left out: their decimal commas cannot be told from separators"] if dropped else []
        return "\n".join([lines[0], *body]) + "\n", notes, len(body)
    kept = [line for line, count in zip(lines, counts, strict=True) if count <= max(header, typical)]
    wrong = [at for at, count in enumerate(counts) if count > max(header, typical)]
    if not wrong:
        return None
    numbers = ", ".join(str(at + 1) for at in wrong[:5]) + (", ..." if len(wrong) > 5 else "")
    return "\n".join(kept) + "\n", [f"{len(wrong)} line(s) with too many cells left out: {numbers}"], 0


def _cells(line: str) -> list[str]:
    return line.split(",")
