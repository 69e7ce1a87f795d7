"""Numbers of a column, and what stood there where it was not plainly a number."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from pipelines.diagnosis.fault import Floats, Mask

# 1.234,5 and 1234,5 have a decimal comma; so have one to three digits before and other than three behind it.
_THOUSANDS = r"[-+]?\d{1,3}(?:,\d{3})+(?:\.\d+)?"
_COMMA = r"[-+]?(?:\d+|\d{1,3}(?:\.\d{3})+),\d+(?:[eE][-+]?\d+)?"
_DOTTED = r"[-+]?\d{1,3}(?:\.\d{3})+"
_MULTIPLES = {"K": 1e3, "M": 1e6, "B": 1e9, "T": 1e12}
# Spaces of every width, apostrophes and underscores group digits.
_GROUPING = r"[\s\u00a0\u2009\u202f'’_]"
_CURRENCY = r"^(?:[$€£¥₿₩₹]|[A-Za-z]{2,5}(?=[\d.+-]))|(?:[$€£¥₿₩₹]|(?<=\d)[A-Za-z]{3,5})$"


@dataclass(frozen=True)
class Numbers:
    """A column as numbers.

    Parameters
    ----------
    values
        float64, NaN where there is none.
    text
        Cells that are text where a number should stand, decimal commas apart.
    comma
        Cells with a decimal comma.
    unreadable
        Those of ``text`` from which no number could be made.
    """

    values: Floats
    text: Mask
    comma: Mask
    unreadable: Mask


def read_numbers(column: pd.Series, *, parsed: bool) -> Numbers:
    """Numbers of a column.

    Parameters
    ----------
    column
        Cells as found.
    parsed
        Whether the file's format has no types (CSV), so that a column of text that reads as numbers is no fault.
    """
    none = np.zeros(len(column), dtype=np.bool_)
    if column.dtype.kind in "iuf":
        return Numbers(column.to_numpy(dtype=np.float64, na_value=np.nan), none, none, none)
    present = column.notna().to_numpy(dtype=np.bool_)
    if column.dtype.kind in "bmM" or isinstance(column.dtype, pd.DatetimeTZDtype):
        return Numbers(np.full(len(column), np.nan), present, none, present)
    values = pd.to_numeric(column, errors="coerce").to_numpy(dtype=np.float64, na_value=np.nan, copy=True)
    if column.dtype == object and not parsed:
        # Exact decimals are numbers that only Python's objects can hold.
        texts = np.fromiter((isinstance(cell, str) for cell in column), np.bool_, len(column))
    else:
        texts = present.copy()
    blank = none.copy()
    dirty = np.flatnonzero(texts & np.isnan(values))
    comma = none.copy()
    if len(dirty):
        said = column.iloc[dirty].astype("string").str.strip()
        empty = said.str.lower().isin(["", "nan", "null", "none", "n/a", "na", "-"]).to_numpy(dtype=np.bool_)
        blank[dirty[empty]] = True
        dirty, said = dirty[~empty], said[~empty]
    if len(dirty):
        read, commas = _from_text(said)
        values[dirty], comma[dirty] = read, commas
        if commas.any() and (dotted := np.flatnonzero(texts & ~comma & ~blank)).size:
            # Beside decimal commas, 1.234 is a whole number with its digits grouped.
            group = column.iloc[dotted].astype("string").str.strip()
            whole = group.str.fullmatch(_DOTTED).to_numpy(dtype=np.bool_)
            values[dotted[whole]] = group[whole].str.replace(".", "", regex=False).astype("float64")
            comma[dotted[whole]] = True
    text = texts & ~blank & ~comma
    if parsed:
        readable = np.ones(len(column), dtype=np.bool_)
        readable[dirty] = False
        text &= ~readable
    return Numbers(values, text, comma, text & np.isnan(values))


def _from_text(said: pd.Series) -> tuple[Floats, Mask]:
    """Numbers of cells that do not read as numbers, and which of them have a decimal comma."""
    bare = said.str.replace(_GROUPING, "", regex=True).str.replace(_CURRENCY, "", regex=True)
    suffix = bare.str[-1:].str.upper()
    multiple = suffix.map(_MULTIPLES).fillna(1.0).to_numpy(dtype=np.float64)
    bare = bare.mask(pd.Series(multiple != 1.0, index=bare.index), bare.str[:-1])
    grouped = bare.str.fullmatch(_THOUSANDS).to_numpy(dtype=np.bool_)
    comma = bare.str.fullmatch(_COMMA).to_numpy(dtype=np.bool_)
    # 1,234 can be either; the others of the column decide.
    comma &= ~grouped | bool((comma & ~grouped).any())
    plain = bare.where(~comma, bare.str.replace(".", "", regex=False).str.replace(",", ".", regex=False))
    plain = plain.where(~(grouped & ~comma), plain.str.replace(",", "", regex=False))
    return pd.to_numeric(plain, errors="coerce").to_numpy(dtype=np.float64, na_value=np.nan) * multiple, comma
