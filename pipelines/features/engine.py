"""The one definition of every feature, executed over a whole history or bar by bar."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from math import isfinite
from typing import Any

import numpy as np
import pandas as pd

from pipelines.artifacts import content_hash
from pipelines.features import cross_asset, order_flow
from pipelines.features.catalogue import GROUPS, declared
from pipelines.features.context import Published, joined
from pipelines.features.execution import Execution
from pipelines.features.kernels import Array
from pipelines.features.market import Market, market_of
from pipelines.features.program import Program
from pipelines.features.stream import FeatureStream
from pipelines.sentiment.declared import DECLARED
from pipelines.sentiment.declared import declared as external_series
from trading.bars import COLUMNS
from trading.errors import BarError, ParamsError
from trading.instrument import duration


class FeatureEngine:
    """Features of the groups asked for, at one timeframe.

    Row t of what it computes uses bars up to t only: it is known at the close of bar t and tradable from the open of
    t+1. After a feature's warm-up its values are finite, do not depend on where the history starts (to 1e-9), and do
    not depend on the level of prices or the unit of volume. Rows are consecutive bars that exist; a missing bar is told
    by ``missing_bars_24``, not filled.

    Parameters
    ----------
    groups
        Some of :data:`GROUPS`, in any order; columns come in that one.
    timeframe
        Base timeframe such as ``1h``.
    assets
        Symbols of the instruments that cross_asset looks at.
    series
        Names of the external series that sentiment looks at; see :mod:`pipelines.sentiment`.

    Attributes
    ----------
    features
        What is computed, in the order of the columns.
    names
        Columns, in order.
    warmup
        Leading rows in which some feature is blank: the longest warm-up, in bars.
    columns
        What is read of the bars.
    series
        What is read beside them, in the order of their columns.

    Raises
    ------
    ParamsError
        If a group is unknown, or none is given.
    InstrumentError
        If the timeframe is not one, or no longer bars stand behind it.
    """

    def __init__(
        self, groups: Sequence[str], timeframe: str, assets: Sequence[str] = (), series: Sequence[str] = ()
    ) -> None:
        self.timeframe = timeframe
        self.bar = duration(timeframe)
        external = [external_series(name) for name in series]
        chosen = {group: declared(group, self.bar, assets, external) for group in groups}
        if not chosen:
            raise ParamsError(
                "no feature group", rule="one group or more", remedy="fill features.groups in params.yaml"
            )
        self.groups = tuple(group for group in GROUPS if group in chosen)
        self.features = tuple(feature for group in self.groups for feature in chosen[group])
        self.names = [feature.name for feature in self.features]
        self._warmups = [feature.warmup for feature in self.features]
        self.warmup = max(self._warmups)
        read = frozenset[str]().union(*(feature.expression.columns for feature in self.features))
        self.columns = [*COLUMNS, *(name for name in order_flow.COLUMNS if name in read)]
        others = [cross_asset.series(symbol, self.bar) for symbol in assets]
        self.series = [one for one in [*others, *external] if read & set(one.features)]
        self._program = Program.compile([feature.expression for feature in self.features])

    def spec(self) -> dict[str, Any]:
        """What is computed, as JSON takes it."""
        return {
            "schema": 2,
            "timeframe": self.timeframe,
            "groups": list(self.groups),
            "series": [
                {"name": one.name, "delay": str(one.delay), "max_age": str(one.max_age), "neutral": list(one.neutral)}
                for one in self.series
            ],
            "warmup": self.warmup,
            "features": [
                {
                    "name": feature.name,
                    "group": feature.group,
                    "warmup": feature.warmup,
                    "inputs": feature.inputs,
                    "formula": feature.formula,
                    "source": feature.source,
                    "definition": feature.expression.identity,
                }
                for feature in self.features
            ],
        }

    @property
    def spec_hash(self) -> str:
        """SHA-256 of the spec: equal hashes are equal columns."""
        return content_hash(self.spec())

    def batch(self, bars: pd.DataFrame, context: Published | None = None) -> pd.DataFrame:
        """Features of a whole history.

        Parameters
        ----------
        bars
            n bars; see :mod:`trading.bars`.
        context
            What was published beside them, by the names of :attr:`series`: bars of the other instruments at the same
            timeframe, frames of :func:`pipelines.sentiment.reader.read_series`.

        Returns
        -------
        DataFrame
            n rows on the index of ``bars``, float64; NaN in each column's first ``warmup`` rows and nowhere else.

        Raises
        ------
        BarError
            If the bars are not what they claim to be.
        EngineError
            If the context is not what is read.
        """
        return next(self.batches([bars], context), pd.DataFrame(index=bars.index, columns=self.names, dtype=np.float64))

    def batches(self, pieces: Iterable[pd.DataFrame], context: Published | None = None) -> Iterator[pd.DataFrame]:
        """Features of a history that comes in pieces, each continuing the one before; equal to those of the whole.

        Parameters
        ----------
        pieces
            Frames of bars in time order.
        context
            As :meth:`batch`, for all of them.

        Yields
        ------
        DataFrame
            As :meth:`batch`, of each piece that holds a bar.

        Raises
        ------
        BarError
            If the bars are not what they claim to be, or a piece does not come after the one before.
        """
        execution = self.begin()
        beside = self.published(context or {})
        last: pd.Timestamp | None = None
        for bars in pieces:
            market = self.market(bars, beside)
            if not len(market):
                continue
            if last is not None and not bars.index[0] > last:
                raise BarError(
                    f"the bar of {bars.index[0]} comes after that of {last}",
                    rule="pieces come in time order and do not overlap",
                    remedy="cut the history at increasing stamps",
                )
            last = bars.index[-1]
            yield pd.DataFrame(self.compute(execution, market).T, index=bars.index, columns=self.names)

    def stream(self, history: pd.DataFrame | None = None, context: Published | None = None) -> FeatureStream:
        """Features bar by bar, continuing a history.

        Parameters
        ----------
        history
            Bars before the first update; the longer, the fewer blank values.
        context
            What was published by then, as :meth:`batch`.

        Raises
        ------
        BarError
            As :meth:`batch`.
        """
        return FeatureStream(self, history, context)

    def published(self, context: Published) -> dict[str, pd.DataFrame]:
        """What was published beside the bars, on the moments of publication: bars of others are so at their close."""
        by_name = dict(context)
        for one in self.series:
            if one.name in by_name and one.name not in {known.name for known in DECLARED}:
                by_name[one.name] = cross_asset.published(by_name[one.name], self.bar, one.name)
        return by_name

    def market(self, bars: pd.DataFrame, published: Published) -> Market:
        """Bars as arrays, with every column that a feature reads.

        Raises
        ------
        BarError
            As :meth:`batch`.
        """
        market = market_of(bars, self.bar, self.columns)
        if not self.series and not published:
            return market
        known_at = pd.DatetimeIndex(bars.index).as_unit("ns").asi8 + self.bar.as_unit("ns").value
        return Market(market.opened, np.vstack([market.values, joined(self.series, known_at, published)]))

    def begin(self) -> Execution:
        """An execution that has seen no bar."""
        beside = [name for one in self.series for name in one.features]
        return Execution(self._program, self.bar, [*self.columns, *beside])

    def compute(self, execution: Execution, market: Market) -> Array:
        """Next rows of features, as an array with a row for each feature; blank before their warm-ups."""
        done = execution.done
        values = execution.advance(market.opened, market.values)
        blank = []
        if done < self.warmup:
            blank = [(at, warmup - done) for at, warmup in enumerate(self._warmups) if warmup > done]
        for at, rows in blank:
            values[at, :rows] = 0.0
        # Of finite values this sum is finite, and one pass over them is all that a single bar can afford.
        if not isfinite(values.sum()):
            feature = self.features[int((~np.isfinite(values)).any(axis=1).argmax())]
            raise FloatingPointError(f"{feature.name} is not finite after its warm-up of {feature.warmup} bars")
        for at, rows in blank:
            values[at, :rows] = np.nan
        return values
