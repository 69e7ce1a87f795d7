"""Headlines that callers bring, put on top of the windows that a version stored."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pipelines.features.external import arrays_of
from pipelines.sentiment import headlines
from pipelines.sentiment.declared import WINDOWS, ExternalSeries
from pipelines.sentiment.lexicon import Scorer

_DAY = 86_400_000_000_000
_UNIT = 1_000_000
_NEVER = np.iinfo(np.int64).min
_IDENTITY = ["said", "title"]
_SENT = pd.DataFrame(
    {
        "said": pd.Series(dtype="int64"),
        "published": pd.Series(dtype="int64"),
        "since": pd.Series(dtype="int64"),
        "title": pd.Series(dtype="string"),
        "score": pd.Series(dtype="float64"),
    }
)

Moments = NDArray[np.int64]


@dataclass(frozen=True)
class _Windows:
    """Whole numbers behind rows of windows: at m moments the newest publication, counts, and sums of scores."""

    since: Moments
    newest: Moments
    amounts: NDArray[np.int64]

    @classmethod
    def of(cls, frame: pd.DataFrame, columns: tuple[str, ...]) -> _Windows:
        published, values, since = arrays_of(frame, columns)
        since = published if since is None else since
        scores, counts = values[:, ::2], np.rint(np.expm1(values[:, 1::2])).astype(np.int64)
        amounts = np.hstack([counts, np.rint(scores * counts * _UNIT).astype(np.int64)])
        # As the join has it: of the rows that hold by then, the one published last.
        by_rank, by_since = np.lexsort((since, published)), np.argsort(since, kind="stable")
        rank = np.empty(len(by_rank), dtype=np.int64)
        rank[by_rank] = np.arange(len(by_rank))
        best = by_rank[np.maximum.accumulate(rank[by_since])]
        return cls(since[by_since], published[best], amounts[best])

    def at(self, moments: Moments) -> tuple[Moments, NDArray[np.int64]]:
        """What holds at moments; nothing before the first row."""
        rows = np.searchsorted(self.since, moments, side="right")
        newest = np.concatenate([[_NEVER], self.newest])
        return newest[rows], np.vstack([np.zeros((1, self.amounts.shape[1]), dtype=np.int64), self.amounts])[rows]


@dataclass(frozen=True)
class Headlines:
    """The windows over headlines that a version stored, and the headlines that callers brought since. Immutable.

    Counts and sums of scores are whole numbers, so windows over both are what research would have computed from all of
    them at once.

    Parameters
    ----------
    series
        What the series declares.
    stored
        Its windows, as :func:`pipelines.sentiment.headlines.prepare` makes them.
    score
        What scores titles that bring no score.
    """

    series: ExternalSeries
    stored: pd.DataFrame
    score: Scorer
    sent: pd.DataFrame = field(default_factory=_SENT.copy)

    @cached_property
    def frame(self) -> pd.DataFrame:
        """Windows over all of them, in the form in which they are joined."""
        if self.sent.empty:
            return self.stored
        published, since = (self.sent[name].to_numpy(dtype=np.int64) for name in ("published", "since"))
        scores = self.sent["score"].to_numpy(dtype=np.float64)
        own = headlines.windows(published, since, scores, self.series.terms["delay"])
        new, old = _Windows.of(own, self.series.columns), _Windows.of(self.stored, self.series.columns)
        moments = np.unique(np.concatenate([old.since, new.since]))
        (newest, amounts), (newest_old, amounts_old) = new.at(moments), old.at(moments)
        counts, sums = np.hsplit(amounts + amounts_old, 2)
        values = np.empty((len(moments), 2 * len(WINDOWS)))
        values[:, ::2], values[:, 1::2] = sums / (_UNIT * np.maximum(counts, 1)), np.log1p(counts)
        index = pd.DatetimeIndex(np.maximum(newest, newest_old), tz="UTC", name="published_at")
        frame = pd.DataFrame(values, index=index, columns=list(self.series.columns))
        return frame.assign(not_before=pd.DatetimeIndex(moments, tz="UTC"))

    def extended(self, newer: pd.DataFrame, now: pd.Timestamp, seen: pd.Timestamp) -> tuple[Headlines, pd.DataFrame]:
        """With newer headlines, and the rows of windows that are new by them.

        What was published before the last stored headline is taken as known: the windows do not say which headlines
        they were made of. What comes late counts from the next bar on.

        Parameters
        ----------
        newer
            ``published_at`` (UTC) with ``title``, ``score`` or both.
        now
            The time.
        seen
            Close of the newest bar that features were computed of.

        Raises
        ------
        SeriesError
            If a headline has neither, or a score is not in [-1, 1].
        """
        last, delay = seen.as_unit("ns").value, self.series.terms["delay"]
        oldest = last - self.series.terms["max_age"]
        rows = headlines.rows(newer, f"context.{self.series.name}")
        said = pd.DatetimeIndex(rows["published_at"]).as_unit("ns").asi8
        rows = rows.assign(said=said, published=headlines.dated(said))
        rows = rows[(said > self._stored_until) & (rows["published"] >= oldest)]
        # A headline is known by what it says; one that is a score only, by that.
        rows["title"] = rows["title"].fillna(rows["score"].astype("string"))
        rows = rows.drop_duplicates(_IDENTITY)
        rows = rows[~pd.MultiIndex.from_frame(rows[_IDENTITY]).isin(pd.MultiIndex.from_frame(self.sent[_IDENTITY]))]
        if rows.empty:
            return self, self.stored.iloc[:0]
        unscored = rows["score"].isna()
        if unscored.any():
            rows.loc[unscored, "score"] = self.score(rows.loc[unscored, "title"].tolist())
        late = rows["published"] + delay <= last
        rows["since"] = rows["published"].where(~late, last + 1)
        sent = pd.concat([self.sent[self.sent["published"] >= oldest], rows[list(_SENT)]], ignore_index=True)
        after = replace(self, sent=sent)
        enters = np.maximum(rows["published"] + delay, rows["since"]).min()
        moments = pd.DatetimeIndex(after.frame["not_before"]).as_unit("ns").asi8
        return after, after.frame[moments >= enters]

    @cached_property
    def _stored_until(self) -> int:
        """Stamp of the newest stored headline; what stands at midnight was stamped with the midnight before."""
        dated = pd.DatetimeIndex(self.stored.index).as_unit("ns").asi8
        said = np.where(dated % _DAY == 0, dated - _DAY, dated)
        return int(said.max()) if len(said) else _NEVER
