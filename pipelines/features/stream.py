"""Features one bar at a time."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from pipelines.features.market import Market, market_of
from trading.bars import COLUMNS
from trading.errors import BarError, EngineError

if TYPE_CHECKING:
    from pipelines.features.engine import FeatureEngine

# Rows kept beyond the warm-up. None is needed; they make what is left of the history's start a little smaller still.
_MARGIN = 50


class FeatureStream:
    """Computes the newest row from a bounded history through the batch code.

    The row equals the batch's over the whole history to 1e-9, because no feature remembers more than its warm-up.

    Parameters
    ----------
    engine
        What is computed.
    history
        Bars before the first update, or None.

    Raises
    ------
    BarError
        If the history is not what bars are.
    """

    def __init__(self, engine: FeatureEngine, history: pd.DataFrame | None = None) -> None:
        self._engine = engine
        self._bars: deque[tuple[pd.Timestamp, tuple[float, ...]]] = deque(maxlen=engine.warmup + 1 + _MARGIN)
        if history is not None:
            market_of(history, engine.bar)  # refuses what no feature can be computed from
            tail = history[COLUMNS].iloc[-(self._bars.maxlen or 0) :]
            self._bars.extend(zip(tail.index, tail.astype(float).itertuples(index=False, name=None), strict=True))

    @property
    def last(self) -> pd.Timestamp | None:
        """Opening of the newest bar; None before the first."""
        return self._bars[-1][0] if self._bars else None

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
            If a value is missing, no number, or off the grid. The stream stays as it was.
        EngineError
            If the bar is not later than the last one. The stream stays as it was.
        """
        stamp, values = _read(bar)
        if self.last is not None and stamp <= self.last:
            raise EngineError(
                f"the bar of {stamp} comes after that of {self.last}",
                rule="bars arrive in time order, each once",
                remedy="send only bars later than the last one",
            )
        kept = [*self._bars, (stamp, values)][-(self._bars.maxlen or 0) :]
        index = pd.DatetimeIndex([opened for opened, _ in kept], name="timestamp")
        market = Market(index, np.array([row for _, row in kept]), self._engine.bar)
        row = self._engine.compute(market)[-1]
        self._bars.append((stamp, values))
        return pd.Series(row, index=self._engine.names, name=stamp)


def _read(bar: Mapping[str, Any] | pd.Series) -> tuple[pd.Timestamp, tuple[float, ...]]:
    try:
        stamp = pd.Timestamp(bar["timestamp"] if "timestamp" in bar else getattr(bar, "name", "NaT"))
        values = tuple(float(bar[name]) for name in COLUMNS)
    except (KeyError, TypeError, ValueError) as error:
        raise BarError(
            f"not a bar: {error}",
            rule=f"timestamp and the numbers {', '.join(COLUMNS)}",
            remedy="send all of them",
        ) from error
    if pd.isna(stamp) or stamp.tz is None:
        raise BarError(
            "a bar without a stamp in UTC", rule="timestamp is the opening, with its offset", remedy="add it"
        )
    return stamp.tz_convert("UTC"), values
