"""What a step returned, as a table of numbers whose rows have a time and whose columns are known at some."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pipelines.audit.known import Known, Times, Timing
from pipelines.audit.worlds import History, stamps_of
from trading.errors import EngineError

Array = NDArray[np.float64]

# Whole numbers beyond this are not all floats.
_EXACT = 2**53


class Codes:
    """Numbers for values that are none: text, categories, times. Equal values get equal numbers in every answer."""

    def __init__(self) -> None:
        self._known: dict[Any, int] = {}

    def of(self, values: pd.Series) -> Array:
        """One number a value, NaN for what is missing."""
        missing = values.isna().to_numpy()
        if pd.api.types.is_datetime64_any_dtype(values.dtype):
            # Microseconds of any time to come are whole floats; nanoseconds are not.
            ns = pd.DatetimeIndex(values).as_unit("ns").asi8
            if not (ns[~missing] % 1000).any():
                return np.where(missing, np.nan, ns // 1000)
        out = np.full(len(values), np.nan)
        known = self._known
        out[~missing] = [
            known.setdefault(value if _hashable(value) else repr(value), len(known)) for value in values[~missing]
        ]
        return out


@dataclass(frozen=True, eq=False)
class Answer:
    """What a step returned, ready to be compared.

    Attributes
    ----------
    rows
        Label of each row, unique: rows of one stamp are numbered.
    stamps
        Their times, ns.
    columns
        Labels of the columns.
    values
        Of shape (rows, columns): numbers, or codes for what is none.
    coded
        Whether a column holds codes.
    groups
        Positions of the columns that are known together, and when they are.
    declarations
        Columns that only say when others are known.
    """

    rows: pd.Index
    stamps: Times
    columns: pd.Index
    values: Array
    coded: NDArray[np.bool_]
    groups: list[tuple[NDArray[np.intp], Known]]
    declarations: frozenset[Any]


def answer_of(returned: object, history: History, timing: Timing, codes: Codes) -> Answer:
    """Read what a step returned.

    Raises
    ------
    EngineError
        If it is no frame with a time index and unique columns.
    """
    frame = _frame_of(returned)
    level = _time_level(frame.index)
    stamps = np.zeros(0, dtype=np.int64) if level is None else stamps_of(level)
    frame = frame.set_axis(_unique(frame.index))
    coded = np.zeros(len(frame.columns), dtype=bool)
    if (frame.dtypes == np.float64).all():
        values: Array = frame.to_numpy()
    else:
        values = np.empty(frame.shape, order="F")
        for place, name in enumerate(frame.columns):
            column = frame[name]
            coded[place] = not _is_number(column)
            values[:, place] = codes.of(column) if coded[place] else column.to_numpy(np.float64, na_value=np.nan)
    groups = [
        (frame.columns.get_indexer(pd.Index(names, tupleize_cols=False)), known)
        for names, known in timing.groups(frame, stamps, history.bars.index)
    ]
    return Answer(frame.index, stamps, frame.columns, values, coded, groups, frozenset(timing.declarations(frame)))


def _frame_of(returned: object) -> pd.DataFrame:
    if isinstance(returned, pd.Series):
        returned = returned.to_frame("value" if returned.name is None else returned.name)
    if not isinstance(returned, pd.DataFrame):
        raise EngineError(
            f"a step returned {type(returned).__name__}",
            rule="a DataFrame or Series whose rows have a time",
            remedy="return a frame on the index of the bars, or with a column timestamp",
        )
    if _time_level(returned.index) is None and "timestamp" in returned:
        returned = returned.set_index("timestamp")
    if _time_level(returned.index) is None and len(returned):
        raise EngineError(
            "rows without a time",
            where=f"an index of type {type(returned.index).__name__}",
            rule="a DatetimeIndex, a level of times, or a column timestamp",
            remedy="keep the index of the bars",
        )
    if not returned.columns.is_unique:
        twice = returned.columns[returned.columns.duplicated()][0]
        raise EngineError(
            f"two columns are called {twice!r}", rule="one name for each column", remedy="rename one of them"
        )
    return returned


def _time_level(index: pd.Index) -> pd.DatetimeIndex | None:
    levels = (index.get_level_values(number) for number in range(index.nlevels))
    return next((level for level in levels if isinstance(level, pd.DatetimeIndex)), None)


def _unique(index: pd.Index) -> pd.Index:
    """The index, with rows of one label numbered."""
    if index.is_unique:
        return index
    number = pd.Series(np.arange(len(index)), index=index).groupby(level=list(range(index.nlevels))).cumcount()
    return pd.MultiIndex.from_arrays(
        [*(index.get_level_values(level) for level in range(index.nlevels)), number.to_numpy()]
    )


def _is_number(column: pd.Series) -> bool:
    if pd.api.types.is_bool_dtype(column.dtype) or pd.api.types.is_float_dtype(column.dtype):
        return True
    if not pd.api.types.is_integer_dtype(column.dtype):
        return False
    return not len(column) or bool((column.abs() < _EXACT).all())


def _hashable(value: object) -> bool:
    return getattr(type(value), "__hash__", None) is not None
