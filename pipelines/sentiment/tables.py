"""Files of any supported format as tables of cells, before anybody asks what they mean."""

import gzip
import io
import json
import zlib
from pathlib import Path

import pandas as pd

from pipelines.sentiment.errors import SeriesError

_FORMATS = "JSON, CSV (also gzipped), Parquet or Feather"


def load(path: Path) -> pd.DataFrame:
    """A file as a table with lower-case names; text and numbers as found.

    JSON is a list of records, such a list under ``data``, or one record a line. The API of alternative.me wraps CSV
    into JSON when it is asked for CSV; that is read as well, without names, because its header names the columns in
    another order than they have.

    Raises
    ------
    SeriesError
        If the file is missing, unreadable, damaged, or without rows.
    """
    try:
        content = path.read_bytes()
        table = _parsed(content)
    except (OSError, EOFError, ValueError, zlib.error) as error:
        # The parsers of JSON, CSV and Arrow raise ValueErrors.
        missing = isinstance(error, FileNotFoundError)
        raise SeriesError(
            "the file is not there" if missing else f"the file cannot be read: {str(error).strip().splitlines()[0]}",
            where=str(path),
            rule=_FORMATS,
            remedy="check its name" if missing else "mend or export it again",
        ) from error
    if table.empty:
        raise SeriesError("the file has no rows", where=str(path), rule=_FORMATS, remedy="export the series again")
    return table.set_axis([_name(column) for column in table.columns], axis=1)


def _parsed(content: bytes) -> pd.DataFrame:
    if content.startswith(b"\x1f\x8b"):
        content = gzip.decompress(content)
    if content.startswith((b"PAR1", b"ARROW1", b"FEA1")):
        read = pd.read_parquet if content.startswith(b"PAR1") else pd.read_feather
        table = read(io.BytesIO(content))
        return table.reset_index() if isinstance(table.index, pd.DatetimeIndex) else table
    text = content.decode("utf-8-sig").strip()
    if text.startswith(("{", "[")):
        return _json(text)
    return _csv(text) if text else pd.DataFrame()


def _json(text: str) -> pd.DataFrame:
    try:
        found = json.loads(text)
    except json.JSONDecodeError:
        lines = text.splitlines()
        if lines[0].rstrip().endswith("}"):
            return pd.DataFrame([json.loads(line) for line in lines if line.strip()])
        start = next((at for at, line in enumerate(lines) if line.rstrip().endswith("[")), None)
        if start is None:
            raise
        inside = [line.strip() for line in lines[start + 1 :]]
        rows = inside[1 : next((at for at, line in enumerate(inside) if line.startswith("]")), None)]
        return pd.DataFrame([row.split(",") for row in rows if row])
    records = found.get("data") if isinstance(found, dict) else found
    if not isinstance(records, list) or not all(isinstance(record, dict) for record in records):
        raise ValueError("the JSON holds no list of records, neither at the top nor under data") from None
    return pd.DataFrame(records)


def _csv(text: str) -> pd.DataFrame:
    head = text.splitlines()[0]
    separator = max(",;\t|", key=head.count)
    # Cells stay text: a stamp must not lose the offset it was written with.
    return pd.read_csv(io.StringIO(text), sep=separator, dtype="string", index_col=False, skipinitialspace=True)


def _name(column: object) -> str:
    return str(column).strip().lower().replace(" ", "_").replace("-", "_")
