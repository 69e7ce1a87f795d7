"""The one definition of every feature, executed over a whole history or bar by bar."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from pipelines.artifacts import content_hash
from pipelines.features import calendar, multi_timeframe, technical, volume
from pipelines.features.feature import Feature
from pipelines.features.market import Array, Market, market_of
from pipelines.features.stream import FeatureStream
from trading.errors import EngineError, ParamsError
from trading.instrument import duration

GROUPS = ("technical", "volume", "calendar", "multi_timeframe")

# Other symbols' bars and external series by name; no feature of these groups reads any.
External = Mapping[str, pd.DataFrame]


def declared(group: str, bar: pd.Timedelta) -> tuple[Feature, ...]:
    """Features of a group at a base timeframe.

    Raises
    ------
    ParamsError
        If there is no such group.
    InstrumentError
        If the group cannot be computed at the timeframe.
    """
    match group:
        case "technical":
            return technical.FEATURES
        case "volume":
            return volume.FEATURES
        case "calendar":
            return calendar.FEATURES
        case "multi_timeframe":
            return multi_timeframe.features(bar)
        case _:
            raise ParamsError(
                f"unknown feature group {group!r}",
                rule=f"one of {', '.join(GROUPS)}",
                remedy="correct features.groups in params.yaml",
            )


class FeatureEngine:
    """Features of the groups asked for, at one timeframe.

    Row t of what it computes uses bars up to t only: it is known at the close of bar t and tradable from the open of
    t+1. After a feature's warm-up its values are finite, do not depend on where the history starts (to 1e-9), and do
    not depend on the level of prices or the unit of volume. Rows are consecutive bars that exist; a missing bar is told
    by ``missing_bars_24``, not filled.

    Parameters
    ----------
    groups
        Some of ``technical volume calendar multi_timeframe``, in any order; columns come in this one.
    timeframe
        Base timeframe such as ``1h``.

    Raises
    ------
    ParamsError
        If a group is unknown, or none is given.
    InstrumentError
        If the timeframe is not one, or no longer bars stand behind it.
    """

    def __init__(self, groups: Sequence[str], timeframe: str) -> None:
        self.timeframe = timeframe
        self.bar = duration(timeframe)
        chosen = {group: declared(group, self.bar) for group in groups}
        if not chosen:
            raise ParamsError(
                "no feature group", rule="one group or more", remedy="fill features.groups in params.yaml"
            )
        self.groups = tuple(group for group in GROUPS if group in chosen)
        self.features = tuple(feature for group in self.groups for feature in chosen[group])

    @property
    def names(self) -> list[str]:
        """Columns, in order."""
        return [feature.name for feature in self.features]

    @property
    def warmup(self) -> int:
        """Leading rows in which some feature is blank: the longest warm-up, in bars."""
        return max(feature.warmup for feature in self.features)

    def spec(self) -> dict[str, Any]:
        """What is computed, as JSON takes it."""
        return {
            "schema": 1,
            "timeframe": self.timeframe,
            "groups": list(self.groups),
            "warmup": self.warmup,
            "features": [
                {
                    "name": feature.name,
                    "group": feature.group,
                    "warmup": feature.warmup,
                    "formula": feature.formula,
                    "source": feature.source,
                }
                for feature in self.features
            ],
        }

    @property
    def spec_hash(self) -> str:
        """SHA-256 of the spec: equal hashes are equal columns."""
        return content_hash(self.spec())

    def batch(self, bars: pd.DataFrame, context: External | None = None) -> pd.DataFrame:
        """Features of a whole history.

        Parameters
        ----------
        bars
            n bars; see :mod:`trading.bars`.
        context
            Other symbols' bars and external series. No present feature reads any.

        Returns
        -------
        DataFrame
            n rows on the index of ``bars``, float64; NaN in each column's first ``warmup`` rows and nowhere else.

        Raises
        ------
        BarError
            If the bars are not what they claim to be.
        EngineError
            If context is given, which nothing here reads.
        """
        refuse_external(context)
        market = market_of(bars, self.bar)
        return pd.DataFrame(self.compute(market), index=bars.index, columns=self.names)

    def stream(self, history: pd.DataFrame | None = None, context: External | None = None) -> FeatureStream:
        """Features bar by bar, continuing a history.

        Parameters
        ----------
        history
            Bars before the first update; the last ``warmup`` and a margin are kept.
        context
            As :meth:`batch`.

        Raises
        ------
        BarError, EngineError
            As :meth:`batch`.
        """
        refuse_external(context)
        return FeatureStream(self, history)

    def compute(self, market: Market) -> Array:
        """Rows of features as an array, one column for each; see :meth:`batch`."""
        rows = len(market)
        table = np.full((rows, len(self.features)), np.nan)
        for column, feature in enumerate(self.features):
            if feature.warmup < rows:
                values = feature.compute(market)[feature.warmup :]
                if not np.isfinite(values).all():
                    raise FloatingPointError(f"{feature.name} is not finite after its warm-up of {feature.warmup} bars")
                table[feature.warmup :, column] = values
        return table


def refuse_external(context: External | None) -> None:
    """Say that nothing reads the external series, rather than leave them unread."""
    if context:
        raise EngineError(
            f"nobody reads the context {', '.join(context)}",
            rule="no feature of these groups is computed from other symbols or external series",
            remedy="call without context",
        )
