"""When each cell of a step's output is known: what is declared, or else what the contracts of the engine say.

======================  ==========================================  ==============================
what the row is         known at                                    of the bar that opens then
======================  ==========================================  ==============================
feature, position       close of its bar (``"close"``)              nothing
fill on its own row     open of its bar (``"open"``)                its open
fill on the row of its  open of the next bar that exists            its open
decision                (``"next_open"``)
label                   ``t_end``                                   its open
anything else           a column or Series of times, or a           its open, if it is the row's
                        Timedelta after the row's stamp             own bar; else nothing
======================  ==========================================  ==============================
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from trading.errors import EngineError

Times = NDArray[np.int64]
Declaration = str | pd.Timedelta | pd.Series

_WORDS = ("close", "open", "next_open")
NEVER = np.iinfo(np.int64).max
# Columns of labels, by contract and in the books; what else stands in their frame are features.
LABELS = {
    **dict.fromkeys(["label", "ret", "t_end", "gap", "touch", "both", "uniqueness", "weight"], "t_end"),
    **dict.fromkeys(["labels", "returns", "y", "target", "bin", "side", "barrier", "meta_label", "t1"], "t_end"),
    **dict.fromkeys(("horizon_ret", "horizon_end"), "horizon_end"),
}


@dataclass(frozen=True, eq=False)
class Known:
    """When the rows of some columns are known.

    Attributes
    ----------
    times
        Nanoseconds since 1970, one a row; :data:`NEVER` where nothing is claimed about the row.
    opened
        Whether the open of a bar that begins at that moment is known as well.
    """

    times: Times
    opened: NDArray[np.bool_]


@dataclass(frozen=True)
class Timing:
    """What is declared about the output of a step.

    Parameters
    ----------
    bar
        Length of a bar.
    known_at
        ``"close"``, ``"open"``, ``"next_open"``, the name of a column of times, a Series of times on the output's
        index, or a Timedelta after the row's stamp; or a mapping from columns to these, the others being known at the
        close. None: a column ``known_at`` if there is one; the open for a frame with a column ``decided_at``, which
        is one of fills; the close for any other.
    t_end
        A column or a Series with the end of the labels; or a mapping from label columns to these. None: a column
        ``t_end`` if there is one, which then holds for the columns that labels have by contract (:data:`LABELS`).
    """

    bar: pd.Timedelta
    known_at: Declaration | Mapping[str, Declaration] | None = None
    t_end: str | pd.Series | Mapping[str, str | pd.Series] | None = None

    def groups(self, frame: pd.DataFrame, stamps: Times, bars: pd.Index) -> list[tuple[list[Any], Known]]:
        """Columns that are known together.

        Parameters
        ----------
        frame
            What the step returned.
        stamps
            Time of each of its rows, ns.
        bars
            Index of the bars it was made from.
        """
        declared: dict[Any, tuple[str, Declaration]] = {column: self._declared(column, frame) for column in frame}
        found: dict[object, tuple[list[Any], Known]] = {}
        for column, (kind, what) in declared.items():
            key = (kind, id(what) if isinstance(what, pd.Series) else what)
            if key not in found:
                found[key] = ([], self._known(kind, what, frame, stamps, bars))
            found[key][0].append(column)
        return list(found.values())

    def declarations(self, frame: pd.DataFrame) -> set[Any]:
        """Columns that only say when others are known."""
        said = (self._declared(column, frame) for column in frame)
        names = {what for kind, what in said if isinstance(what, str) and (kind == "t_end" or what not in _WORDS)}
        return names & set(frame.columns)

    def _declared(self, column: Any, frame: pd.DataFrame) -> tuple[str, Declaration]:
        if isinstance(self.t_end, Mapping):
            if column in self.t_end:
                return "t_end", self.t_end[column]
        elif self.t_end is not None:
            return "t_end", self.t_end
        elif self.known_at is None and "t_end" in frame and (end := LABELS.get(column)) in frame:
            return "t_end", str(end)
        if isinstance(self.known_at, Mapping):
            return "known_at", self.known_at.get(column, "close")
        if self.known_at is not None:
            return "known_at", self.known_at
        if "known_at" in frame:
            return "known_at", "known_at"
        return "known_at", "open" if "decided_at" in frame else "close"

    def _known(self, kind: str, what: Declaration, frame: pd.DataFrame, stamps: Times, bars: pd.Index) -> Known:
        bar = self.bar.as_unit("ns").value
        no, yes = np.zeros(len(stamps), dtype=bool), np.ones(len(stamps), dtype=bool)
        if isinstance(what, pd.Timedelta):
            times = stamps + what.as_unit("ns").value
            return Known(times, times == stamps)
        match what if kind == "known_at" and isinstance(what, str) else None:
            case "close":
                return Known(stamps + bar, no)
            case "open":
                return Known(stamps, yes)
            case "next_open":
                opens = np.append(np.sort(pd.DatetimeIndex(bars).as_unit("ns").asi8), NEVER)
                return Known(opens[np.searchsorted(opens, stamps, side="right")], yes)
        if isinstance(what, str) and what not in frame:
            raise EngineError(
                f"nobody knows when {what!r} is",
                where=f"columns {', '.join(map(str, frame.columns[:8]))}",
                rule="close, open, next_open, or a column of times",
                remedy="correct known_at or t_end",
            )
        times = _ns(frame[what] if isinstance(what, str) else what.reindex(frame.index))
        return Known(times, yes if kind == "t_end" else times == stamps)


def _ns(times: pd.Series) -> Times:
    """Nanoseconds of a column of times; :data:`NEVER` for NaT."""
    if not isinstance(times.dtype, pd.DatetimeTZDtype) and times.dtype.kind != "M":
        raise EngineError(
            f"known_at is no column of times but of {times.dtype}",
            where=f"column {times.name}",
            rule="a clock time for each row, NaT where nothing is claimed",
            remedy="give it as timestamps in UTC",
        )
    values = pd.DatetimeIndex(times).as_unit("ns")
    return np.where(values.isna(), NEVER, values.asi8)
