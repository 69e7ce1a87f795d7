"""What stands beside the bars: other instruments and external series, joined as of their publication."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pipelines.features.external import ExternalStream, arrays_of, join
from pipelines.features.kernels import Array
from pipelines.sentiment.declared import ExternalSeries
from trading.errors import EngineError

# Frames on an index `published_at` by the name of the series.
Published = Mapping[str, pd.DataFrame]


def require_all(series: Sequence[ExternalSeries], context: Published) -> None:
    """Hold what is given against what is read.

    Raises
    ------
    EngineError
        If a series is missing, or one is given that nothing reads.
    """
    names = [one.name for one in series]
    if missing := [name for name in names if name not in context]:
        raise EngineError(
            f"no {', '.join(missing)} in the context",
            where=f"given: {', '.join(context) or 'nothing'}",
            rule="every series that a feature reads is given, if only as an empty frame",
            remedy="give it, or leave its group out of features.groups in params.yaml",
        )
    if unread := [name for name in context if name not in names]:
        raise EngineError(
            f"nobody reads the context {', '.join(unread)}",
            rule=f"features are computed from {', '.join(names) or 'the bars alone'}",
            remedy="leave it out, or name it among the features' series",
        )


def nothing(series: ExternalSeries) -> pd.DataFrame:
    """A series of which nothing was published."""
    index = pd.DatetimeIndex([], tz="UTC", name="published_at")
    return pd.DataFrame(index=index, columns=list(series.columns), dtype=np.float64)


def joined(series: Sequence[ExternalSeries], known_at: NDArray[np.int64], context: Published) -> Array:
    """Columns of all series at the rows: one row for each of ``ExternalSeries.features``.

    Parameters
    ----------
    known_at
        n closes of bars, ns since 1970.
    context
        What was published, by series; see :func:`pipelines.features.external.arrays_of`.
    """
    require_all(series, context)
    tables = []
    for one in series:
        published, values, not_before = arrays_of(context[one.name], one.columns)
        tables.append(join(known_at, published, values, not_before=not_before, **one.terms).table().T)
    return np.vstack([np.empty((0, len(known_at))), *tables])


class ContextStream:
    """The same columns, row by row, from what was published meanwhile."""

    def __init__(self, series: Sequence[ExternalSeries]) -> None:
        self._series = {one.name: one for one in series}
        self._streams = {one.name: ExternalStream(**one.terms) for one in series}

    def publish(self, context: Published) -> None:
        """Take what was published, of some of the series.

        Raises
        ------
        EngineError
            If nothing reads it, or it is no frame of its series. Nothing is taken.
        """
        require_all([self._series[name] for name in context if name in self._series], context)
        taken = {name: arrays_of(frame, self._series[name].columns) for name, frame in context.items()}
        for name, (published, values, not_before) in taken.items():
            late = [None] * len(published) if not_before is None else [int(moment) for moment in not_before]
            for moment, row, after in zip(published, values, late, strict=True):
                self._streams[name].push(int(moment), tuple(row), after)

    def at(self, known_at: int) -> list[float]:
        """Columns of the row known at a moment, ns since 1970."""
        row: list[float] = []
        for stream in self._streams.values():
            values, age, missing = stream.at(known_at)
            row += [*values, age, missing]
        return row

    def save(self) -> str:
        """All that is remembered, as JSON."""
        return json.dumps({name: stream.state() for name, stream in self._streams.items()})

    def restore(self, saved: str) -> None:
        """Go on from what :meth:`save` gave."""
        self._streams = {name: ExternalStream.restored(state) for name, state in json.loads(saved).items()}
