"""Features one bar at a time, from what the bars before left behind."""

from __future__ import annotations

from collections.abc import Mapping
from copy import copy
from datetime import UTC
from io import BytesIO
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from pipelines.features.context import ContextStream, Published, nothing
from pipelines.features.market import Market
from trading.errors import BarError, EngineError

if TYPE_CHECKING:
    from pipelines.features.engine import FeatureEngine


class FeatureStream:
    """Computes each new row by the kernels that compute a whole history.

    Rows equal the batch's to 1e-9, and to the bit where both began at the same bar.

    Parameters
    ----------
    engine
        What is computed.
    history
        Bars before the first update, or None.
    context
        What was published by then; later: :meth:`publish`.

    Raises
    ------
    BarError
        If the history is not what bars are.
    EngineError
        If nothing reads the context.
    """

    def __init__(
        self, engine: FeatureEngine, history: pd.DataFrame | None = None, context: Published | None = None
    ) -> None:
        self._engine = engine
        self._execution = engine.begin()
        self._index = pd.Index(engine.names)
        self._needed = engine.columns
        self._bar = engine.bar.as_unit("ns").value
        self._last: int | None = None
        self._context = ContextStream(engine.series)
        beside = engine.published(context or {})
        self._context.publish(beside)
        if history is not None and len(history):
            every = {one.name: beside.get(one.name, nothing(one)) for one in engine.series}
            engine.compute(self._execution, engine.market(history, every))
            self._last = pd.Timestamp(history.index[-1]).value

    @property
    def last(self) -> pd.Timestamp | None:
        """Opening of the newest bar; None before the first."""
        return None if self._last is None else pd.Timestamp(self._last, tz="UTC")

    def publish(self, context: Published) -> None:
        """Take what was published since, of some of the series; see :meth:`FeatureEngine.batch`.

        It is seen from the first bar on at whose close it may be used. What comes late changes no row that was given.

        Raises
        ------
        EngineError
            If nothing reads it, or it is no such frame. Nothing is taken.
        """
        self._context.publish(self._engine.published(context))

    def update(self, bar: Mapping[str, Any] | pd.Series) -> pd.Series:
        """Take the next bar and give its row.

        Parameters
        ----------
        bar
            ``open high low close volume`` and ``timestamp`` (opening, UTC); a Series may carry the stamp as its name.

        Returns
        -------
        Series
            Features by name, named by the stamp; NaN for those whose warm-up is not over.

        Raises
        ------
        BarError
            If a value is missing, no number, not finite, or off the grid. The stream stays as it was.
        EngineError
            If the bar is not later than the last one. The stream stays as it was.
        """
        stamp, values = self._read(bar)
        opened = stamp.value
        if self._last is not None:
            if opened <= self._last:
                raise EngineError(
                    f"the bar of {stamp} comes after that of {self.last}",
                    rule="bars arrive in time order, each once",
                    remedy="send only bars later than the last one",
                )
            if (opened - self._last) % self._bar:
                raise BarError(
                    f"the bar of {stamp} is off the grid of {self._engine.timeframe}",
                    where=f"after that of {self.last}",
                    rule=f"stamps are whole multiples of {self._engine.timeframe} apart",
                    remedy="send bars of the timeframe that the features were asked for",
                )
        if self._engine.series:
            values += self._context.at(opened + self._bar)
        market = Market(np.array([opened / 1e9]), np.array(values)[:, None])
        row = self._engine.compute(self._execution, market)[:, 0]
        self._last = opened
        return pd.Series(row, index=self._index, name=stamp)

    def copy(self) -> FeatureStream:
        """Another stream that goes on from here; neither knows what the other is given afterwards."""
        other = copy(self)
        other._execution = self._engine.begin()
        other._execution.restore(self._execution.memory)
        other._context = ContextStream(self._engine.series)
        other._context.restore(self._context.save())
        return other

    def save(self) -> bytes:
        """All that is remembered, as an ``.npz`` of arrays: it holds no code."""
        buffer = BytesIO()
        last = np.array([-1 if self._last is None else self._last])
        np.savez_compressed(
            buffer,
            spec=np.array(self._engine.spec_hash),
            last=last,
            beside=np.array(self._context.save()),
            allow_pickle=False,
            **self._execution.memory,
        )
        return buffer.getvalue()

    @classmethod
    def restore(cls, engine: FeatureEngine, saved: bytes) -> FeatureStream:
        """Go on where a stream was saved.

        Raises
        ------
        EngineError
            If it was saved by an engine of other features.
        """
        stream = cls(engine)
        with np.load(BytesIO(saved), allow_pickle=False) as found:
            if str(found["spec"]) != engine.spec_hash:
                raise EngineError(
                    "the saved stream is of other features",
                    where=f"feature hash {str(found['spec'])[:12]}, here {engine.spec_hash[:12]}",
                    rule="a stream goes on by the definitions that it was begun with",
                    remedy="start a new stream from the history of bars",
                )
            stream._execution.restore({name: found[name] for name in found.files})
            stream._context.restore(str(found["beside"]))
            last = int(found["last"][0])
        stream._last = None if last < 0 else last
        return stream

    def _read(self, bar: Mapping[str, Any] | pd.Series) -> tuple[pd.Timestamp, list[float]]:
        try:
            stamp = pd.Timestamp(bar["timestamp"] if "timestamp" in bar else getattr(bar, "name", "NaT"))
            values = [float(bar[name]) for name in self._needed]
        except (KeyError, TypeError, ValueError) as error:
            raise BarError(
                f"not a bar: {error}",
                rule=f"timestamp and the numbers {', '.join(self._needed)}",
                remedy="send all of them",
            ) from error
        if pd.isna(stamp) or stamp.tz is None:
            raise BarError(
                "a bar without a stamp in UTC", rule="timestamp is the opening, with its offset", remedy="add it"
            )
        if not all(0 < value < np.inf for value in values[:4]) or not all(0 <= value < np.inf for value in values[4:]):
            raise BarError(
                f"a bar that no feature can be computed from: {dict(zip(self._needed, values, strict=True))}",
                where=str(stamp),
                rule="finite prices above 0, and finite volumes not below 0",
                remedy="send the bar as the exchange closed it",
            )
        return (stamp if stamp.tz is UTC else stamp.tz_convert(UTC)), values
