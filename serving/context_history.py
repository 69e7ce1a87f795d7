"""What a service remembers beside the bars, and what newer observations must look like to be believed."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Protocol, Self

import pandas as pd

from pipelines.features.engine import FeatureEngine
from pipelines.sentiment import fear_greed, funding
from pipelines.sentiment.declared import DECLARED, ExternalSeries
from pipelines.sentiment.lexicon import vader
from serving.headlines import Headlines
from serving.history import History
from trading.bars import COLUMNS
from trading.errors import InstrumentError, ServingError
from trading.instrument import Instrument

Frames = Mapping[str, pd.DataFrame]
# Two machines' clocks need not agree better than this.
_TOLERANCE = pd.Timedelta("1min")


class Remembered(Protocol):
    """What is known of one series."""

    @property
    def frame(self) -> pd.DataFrame:
        """All of it, as the feature engine takes it."""

    def extended(self, newer: pd.DataFrame, now: pd.Timestamp, seen: pd.Timestamp) -> tuple[Self, pd.DataFrame]:
        """With newer observations, and those among them that were not known."""


@dataclass(frozen=True)
class OtherBars:
    """Bars of another instrument."""

    history: History

    @property
    def frame(self) -> pd.DataFrame:
        """Its bars."""
        return self.history.bars

    def extended(self, newer: pd.DataFrame, now: pd.Timestamp, seen: pd.Timestamp) -> tuple[OtherBars, pd.DataFrame]:
        """With newer bars; see :meth:`History.extended`."""
        after = self.history.extended(newer, now)
        return OtherBars(after), self.history.fresh(newer)


@dataclass(frozen=True)
class Values:
    """A series of one number: the Fear & Greed Index, or funding rates."""

    series: ExternalSeries
    frame: pd.DataFrame

    def extended(self, newer: pd.DataFrame, now: pd.Timestamp, seen: pd.Timestamp) -> tuple[Values, pd.DataFrame]:
        """With newer values; another value for a moment that is known corrects it from the next bar on.

        Raises
        ------
        SeriesError
            If there is no value, or it is not what the series can be.
        ServingError
            If two values claim one moment.
        """
        (name,), where = self.series.columns, f"context.{self.series.name}"
        kind = fear_greed if self.series.name == "fear_greed" else funding
        rows = kind.rows(newer, where).drop_duplicates()
        if (twice := rows["published_at"].duplicated()).any():
            raise ServingError(
                f"two values for {rows['published_at'][twice].iloc[0].isoformat()}",
                where=where,
                rule="one value for each moment of publication",
                remedy="send the one that is right",
            )
        if rows["value"].isna().any():
            raise ServingError("an observation without a value", where=where, rule="a number", remedy="leave it out")
        index = pd.DatetimeIndex(rows["published_at"], name="published_at").as_unit("ns")
        sent = pd.DataFrame({name: kind.prepare(rows["value"]).to_numpy()}, index=index).sort_index()
        # Older ones are missing in every row to come.
        oldest = seen - self.series.max_age
        frame = self.frame.set_axis(pd.DatetimeIndex(self.frame.index).as_unit("ns"))
        known = frame.loc[~frame.index.duplicated(keep="last"), name].reindex(sent.index)
        fresh = sent[(sent.index >= oldest) & (sent[name] != known)]
        if fresh.empty:
            return self, fresh
        after = pd.concat([frame[frame.index >= oldest], fresh]).sort_index(kind="stable")
        return replace(self, frame=after), fresh


class ContextHistory:
    """What is known of every series that a version's features read. Immutable: :meth:`extended` makes another.

    Parameters
    ----------
    instrument
        Beside whose bars they stand.
    series
        By name.
    """

    def __init__(self, instrument: Instrument, series: Mapping[str, Remembered]) -> None:
        self.instrument = instrument
        self._series = dict(series)

    @classmethod
    def union(
        cls, instrument: Instrument, engine: FeatureEngine, parts: Sequence[Frames], *, max_jump: float
    ) -> ContextHistory:
        """From what several versions stored.

        Parameters
        ----------
        instrument
            Beside whose bars they stand.
        engine
            What reads them.
        parts
            Stored frames, those of the newest version last. Where two speak of one time, the newer is right.
        max_jump
            As :class:`History`.
        """
        external = {one.name: one for one in DECLARED}
        known: dict[str, Remembered] = {}
        for name in (one.name for one in engine.series):
            stored = [part[name] for part in parts if name in part]
            if name not in external:
                rows = 1 + max(map(len, stored))
                # A hole in another market is a missing value, and no reason to refuse what follows it.
                bars = History.union(
                    Instrument(name, instrument.timeframe), stored, rows=rows, max_gap=sys.maxsize, max_jump=max_jump
                )
                known[name] = OtherBars(bars)
            elif name == "headlines":
                known[name] = Headlines(external[name], _joined(stored), vader())
            else:
                known[name] = Values(external[name], _joined(stored))
        return cls(instrument, known)

    @property
    def names(self) -> list[str]:
        """Series that are read."""
        return list(self._series)

    @property
    def frames(self) -> dict[str, pd.DataFrame]:
        """All that is known, as the feature engine takes it."""
        return {name: one.frame for name, one in self._series.items()}

    def named(self, newer: Frames) -> dict[str, pd.DataFrame]:
        """What is read of some frames, by the names it is read under; symbols may be given as slugs."""
        found = {}
        for given, frame in newer.items():
            name = given if given in self._series else _symbol(given, self.instrument.timeframe)
            if name in self._series and not frame.empty:
                found[name] = frame
        return found

    def extended(
        self, newer: Frames, now: pd.Timestamp, seen: pd.Timestamp
    ) -> tuple[ContextHistory, dict[str, pd.DataFrame]]:
        """Context with newer observations, and those that were not known before, as a stream takes them.

        Parameters
        ----------
        newer
            Of any series: bars (index ``timestamp``), or observations (column ``published_at``). Series that are not
            read are passed over.
        now
            The time.
        seen
            Close of the newest bar that features were computed of.

        Raises
        ------
        ServingError
            For observations that are published in the future, of the wrong kind, or bars that :meth:`History.extended`
            refuses.
        SeriesError
            For values that are not those of the series.
        """
        known, fresh = dict(self._series), {}
        for name, frame in self.named(newer).items():
            one = known[name]
            _require_kind(name, frame, bars=isinstance(one, OtherBars))
            if not isinstance(one, OtherBars):
                _require_published(name, frame, now)
            known[name], new = one.extended(frame, now, seen)
            if not new.empty:
                fresh[name] = new
        return (ContextHistory(self.instrument, known), fresh) if fresh else (self, fresh)


def _joined(parts: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """Observations of several versions: older ones' up to where the newest's begin."""
    joined = parts[0]
    for newer in parts[1:]:
        if len(newer):
            joined = pd.concat([joined[joined.index < newer.index[0]], newer])
    return joined


def _symbol(name: str, timeframe: str) -> str:
    try:
        return Instrument.parse(name, timeframe).symbol
    except InstrumentError:
        return name


def _require_kind(name: str, frame: pd.DataFrame, *, bars: bool) -> None:
    if bars != set(COLUMNS).issubset(frame.columns):
        raise ServingError(
            f"{name} is {'bars of an instrument' if bars else 'an external series'}, and something else was sent",
            where=f"context.{name}",
            rule="timestamp, open, high, low, close, volume" if bars else "published_at with a value, title or score",
            remedy="send it in that form",
        )


def _require_published(name: str, frame: pd.DataFrame, now: pd.Timestamp) -> None:
    ahead = frame["published_at"][frame["published_at"] > now + _TOLERANCE]
    if len(ahead):
        raise ServingError(
            f"an observation is published at {ahead.iloc[0].isoformat()}, and it is {now.isoformat()}",
            where=f"context.{name}",
            rule="only what is public",
            remedy="look at the zone and the unit of the stamps",
        )
