"""Values of slower series in the rows of bars: as of their publication, with an age, neutral once they are too old.

An observation is a value, the moment it was published, and perhaps a moment before which it cannot be used although it
bears an older stamp: it came late, or corrects what was there. It may be used from

    usable = max(published + delay, not_before)

on. The row of a bar known at K holds, of all observations usable by K, the one published last; of several published at
the same moment the one that became usable last, and then the one that was given last. So a late arrival is used from
its arrival on, and only as long as nothing newer is known; no row before its arrival changes. The age is K minus the
publication. Beyond ``max_age`` the value is neutral, the row is marked as missing and the age stays at ``max_age``, as
it does before the first observation.

Moments are ns since 1970 (int64), lengths of time are ns. :func:`join` and :class:`ExternalStream` agree bit for bit.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from heapq import heapify, heappop, heappush
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from trading.errors import EngineError, ParamsError

Floats = NDArray[np.float64]
Moments = NDArray[np.int64]

NOT_BEFORE = "not_before"
DAY = 86_400_000_000_000


@dataclass(frozen=True, slots=True)
class Joined:
    """What rows know of a series.

    Parameters
    ----------
    value
        n rows, or n rows of k columns, as the values that were joined.
    age
        n ages in days, at most ``max_age``.
    missing
        n flags: 1.0 where the value is neutral because nothing young enough is known, else 0.0.
    """

    value: Floats
    age: Floats
    missing: Floats

    def table(self) -> Floats:
        """Values, age and missing side by side: n rows of k + 2 columns."""
        return np.column_stack([self.value, self.age, self.missing])


def join(
    known_at: Moments,
    published: Moments,
    values: Floats,
    *,
    delay: int,
    max_age: int,
    neutral: float | Sequence[float],
    not_before: Moments | None = None,
) -> Joined:
    """Join a series to rows; see the module for the rule.

    Parameters
    ----------
    known_at
        n moments at which rows are known, in any order.
    published
        m moments of publication, in any order; later positions count as given later.
    values
        m values, or m rows of k values. A row that holds NaN is no observation.
    delay
        ns from publication to use.
    max_age
        ns after publication at which a value is last used; more than ``delay``.
    neutral
        Value of rows without one; for k columns one number, or k.
    not_before
        m moments before which an observation is not used, whatever its stamp; None for none.

    Raises
    ------
    ParamsError
        If no value could ever be used: ``max_age`` is not above ``delay``, or ``delay`` is negative.
    """
    check_reach(delay, max_age)
    published, usable, values = _observed(published, values, delay, not_before)
    rows = len(known_at)
    filler = np.broadcast_to(np.asarray(neutral, dtype=np.float64), values.shape[1:])
    if not len(published):
        blank = np.array(np.broadcast_to(filler, (rows, *values.shape[1:])))
        return Joined(blank, np.full(rows, float(max_age) / DAY), np.ones(rows))
    by_rank = np.lexsort((usable, published))
    rank = np.empty(len(by_rank), dtype=np.int64)
    rank[by_rank] = np.arange(len(by_rank))
    by_use = np.argsort(usable, kind="stable")
    best = by_rank[np.maximum.accumulate(rank[by_use])]
    at = np.searchsorted(usable[by_use], known_at, side="right") - 1
    chosen = best[np.maximum(at, 0)]
    age = known_at - published[chosen]
    missing = (at < 0) | (age > max_age)
    mask = missing.reshape(-1, *[1] * (values.ndim - 1))
    return Joined(
        np.where(mask, filler, values[chosen]),
        np.where(missing, max_age, age) / DAY,
        missing.astype(np.float64),
    )


class ExternalStream:
    """The same join, observation by observation and row by row.

    An observation that is pushed when it should have been used already changes no row that was given: it is used from
    the next one on.

    Parameters
    ----------
    delay, max_age, neutral
        As :func:`join`; the number of neutral values is the number of values an observation has.

    Raises
    ------
    ParamsError
        As :func:`join`.
    """

    def __init__(self, *, delay: int, max_age: int, neutral: float | Sequence[float]) -> None:
        check_reach(delay, max_age)
        self.delay, self.max_age = delay, max_age
        self.neutral = _numbers(neutral)
        self._known: int | None = None
        self._pushed = 0
        self._best: tuple[int, int, int, tuple[float, ...]] | None = None  # published, usable, order, values
        self._waiting: list[tuple[int, int, int, tuple[float, ...]]] = []  # usable, published, order, values

    def push(self, published_at: int, value: float | Sequence[float], not_before: int | None = None) -> None:
        """Take an observation, at any time and in any order.

        Raises
        ------
        ValueError
            If the number of values is not the declared one.
        """
        values = _numbers(value)
        if len(values) != len(self.neutral):
            raise ValueError(f"{len(values)} value(s) where {len(self.neutral)} are declared")
        if not all(number == number for number in values):
            return
        usable = published_at + self.delay
        if not_before is not None:
            usable = max(usable, not_before)
        if self._known is not None:
            usable = max(usable, self._known + 1)
        heappush(self._waiting, (usable, published_at, self._pushed, values))
        self._pushed += 1

    def at(self, known_at: int) -> tuple[tuple[float, ...], float, float]:
        """Values, age in days and missing flag of the row known at a moment.

        Raises
        ------
        EngineError
            If a later row was asked for before.
        """
        if self._known is not None and known_at < self._known:
            raise EngineError(
                f"a row known at {_moment(known_at)} after one known at {_moment(self._known)}",
                rule="rows are asked for in time order",
                remedy="restore the stream's state from before that row, or join the whole history at once",
            )
        self._known = known_at
        while self._waiting and self._waiting[0][0] <= known_at:
            usable, published, order, values = heappop(self._waiting)
            if self._best is None or (published, usable, order) >= self._best[:3]:
                self._best = (published, usable, order, values)
        if self._best is None or known_at - self._best[0] > self.max_age:
            return self.neutral, float(self.max_age) / DAY, 1.0
        return self._best[3], float(known_at - self._best[0]) / DAY, 0.0

    def state(self) -> dict[str, Any]:
        """Everything the stream knows, as JSON takes it."""
        return {
            "delay": self.delay,
            "max_age": self.max_age,
            "neutral": list(self.neutral),
            "known": self._known,
            "pushed": self._pushed,
            "best": None if self._best is None else [*self._best[:3], list(self._best[3])],
            "waiting": [[*entry[:3], list(entry[3])] for entry in sorted(self._waiting)],
        }

    @classmethod
    def restored(cls, state: Mapping[str, Any]) -> "ExternalStream":
        """A stream that goes on where :meth:`state` was taken."""
        stream = cls(delay=state["delay"], max_age=state["max_age"], neutral=state["neutral"])
        stream._known, stream._pushed = state["known"], state["pushed"]
        if state["best"] is not None:
            published, usable, order, values = state["best"]
            stream._best = (published, usable, order, tuple(values))
        stream._waiting = [(*entry[:3], tuple(entry[3])) for entry in state["waiting"]]
        heapify(stream._waiting)
        return stream


def arrays_of(frame: pd.DataFrame, columns: Sequence[str]) -> tuple[Moments, Floats, Moments | None]:
    """Published moments, values and ``not_before`` of a frame, as :func:`join` takes them.

    Parameters
    ----------
    frame
        m rows on an index ``published_at`` (UTC), float columns and perhaps ``not_before`` (UTC, NaT for none).
    columns
        The k columns wanted.

    Raises
    ------
    EngineError
        If the index has no time zone, or a column is not there.
    """
    if not isinstance(frame.index, pd.DatetimeIndex) or frame.index.tz is None:
        raise EngineError(
            "a series without times of publication",
            where=f"an index of type {type(frame.index).__name__}",
            rule="a DatetimeIndex in UTC, of the moments at which values became public",
            remedy="set the column of these moments as the index",
        )
    if absent := [name for name in columns if name not in frame]:
        raise EngineError(
            f"a series without {', '.join(absent)}",
            where=f"a frame of {', '.join(map(str, frame.columns)) or 'no columns'}",
            rule=f"columns {', '.join(columns)}",
            remedy="read the series with pipelines.sentiment.reader.read_series",
        )
    values = frame[list(columns)].to_numpy(dtype=np.float64)
    published = frame.index.as_unit("ns").asi8
    if NOT_BEFORE not in frame:
        return published, values, None
    later = pd.DatetimeIndex(frame[NOT_BEFORE])
    return published, values, np.where(later.isna(), published, later.as_unit("ns").asi8)


def check_reach(delay: int, max_age: int) -> None:
    """Refuse a delay and a greatest age that leave no moment at which a value could be used.

    Raises
    ------
    ParamsError
        If ``max_age`` is not above ``delay``, or ``delay`` is negative.
    """
    if not 0 <= delay < max_age:
        raise ParamsError(
            f"delay {pd.Timedelta(delay)} and max_age {pd.Timedelta(max_age)} leave no moment for any value",
            rule="0 <= delay < max_age: a value is used from its publication plus delay until it is max_age old",
            remedy="shorten the delay, or raise the greatest age above it",
        )


def _observed(
    published: Moments, values: Floats, delay: int, not_before: Moments | None
) -> tuple[Moments, Moments, Floats]:
    """Published and usable moments and values, without the rows that hold NaN."""
    known = ~np.isnan(values).any(axis=tuple(range(1, values.ndim)))
    published, values = published[known], values[known]
    usable = published + delay
    return published, usable if not_before is None else np.maximum(usable, not_before[known]), values


def _numbers(value: float | Sequence[float]) -> tuple[float, ...]:
    return (float(value),) if isinstance(value, (int, float)) else tuple(float(number) for number in value)


def _moment(moment: int) -> pd.Timestamp:
    return pd.Timestamp(moment, unit="ns", tz="UTC")
