"""The newest rows of the features that a service computes, and the stream that goes on from them."""

from __future__ import annotations

import numpy as np
import pandas as pd

from pipelines.features.engine import FeatureEngine
from pipelines.features.external import Floats
from pipelines.features.stream import FeatureStream
from serving.context_history import ContextHistory, Frames


class FeatureTail:
    """The newest rows of one definition of features. Immutable: :meth:`told` and :meth:`extended` make others.

    The stream has seen every bar from ``since`` on, so a row equals what research computes of these bars, to the bit.
    It is shared and never advanced: a copy is.

    Parameters
    ----------
    engine
        The definition.
    stream
        As it is behind the last bar.
    table
        The newest rows, in time order.
    since
        Oldest bar that was looked at.
    context
        What was published beside the bars.
    """

    def __init__(
        self,
        engine: FeatureEngine,
        stream: FeatureStream,
        table: pd.DataFrame,
        since: pd.Timestamp,
        context: ContextHistory,
    ) -> None:
        self.engine = engine
        self.table = table
        self.since = since
        self.context = context
        self._stream = stream

    @classmethod
    def begin(cls, engine: FeatureEngine, bars: pd.DataFrame, context: ContextHistory, *, rows: int) -> FeatureTail:
        """Rows at the end of a history.

        Parameters
        ----------
        engine
            The definition.
        bars
            The history, one bar or more.
        context
            What was published beside it.
        rows
            How many rows to keep.

        Raises
        ------
        BarError
            If the bars are not what they claim to be.
        EngineError
            If the context is not what the features read.
        """
        stream = engine.stream(bars.iloc[:-rows], context.frames)
        newest = bars.iloc[-rows:]
        table = pd.DataFrame(_advanced(stream, engine, newest), index=newest.index, columns=engine.names)
        return cls(engine, stream, table, bars.index[0], context)

    @property
    def known_at(self) -> pd.Timestamp:
        """Close of the newest bar."""
        stamp: pd.Timestamp = self.table.index[-1] + self.engine.bar
        return stamp

    def told(self, newer: Frames, now: pd.Timestamp) -> FeatureTail:
        """With newer observations; they are seen from the next bar on, and change no row that is there.

        Parameters
        ----------
        newer
            As :meth:`ContextHistory.extended`.
        now
            The time.

        Raises
        ------
        EngineError
            As :meth:`ContextHistory.extended`.
        """
        context, fresh = self.context.extended(newer, now, self.known_at)
        if not fresh:
            return self
        stream = self._stream.copy()
        stream.publish(fresh)
        return FeatureTail(self.engine, stream, self.table, self.since, context)

    def extended(self, fresh: pd.DataFrame) -> FeatureTail:
        """With the rows of the bars that come next.

        Parameters
        ----------
        fresh
            Valid bars in time order, all of them later than the last one.
        """
        stream, rows = self._stream.copy(), len(self.table)
        values = np.vstack([self.table.to_numpy(), _advanced(stream, self.engine, fresh)])[-rows:]
        index = self.table.index.append(fresh.index)[-rows:]
        table = pd.DataFrame(values, index=index, columns=self.table.columns)
        return FeatureTail(self.engine, stream, table, self.since, self.context)


def _advanced(stream: FeatureStream, engine: FeatureEngine, bars: pd.DataFrame) -> Floats:
    """Rows of the next bars, n of all features; the stream is behind them afterwards."""
    columns = {name: bars[name].to_numpy(dtype=np.float64) for name in engine.columns}
    rows = [
        stream.update({"timestamp": stamp, **{name: values[at] for name, values in columns.items()}}).to_numpy()
        for at, stamp in enumerate(bars.index)
    ]
    return np.array(rows)
