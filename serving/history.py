"""The bars that a service remembers of one instrument, and what newer ones must look like to be believed."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from trading.bars import COLUMNS
from trading.errors import ServingError
from trading.instrument import Instrument

# Two sources of one bar agree to the digits that an exchange prints.
_AGREE = 1e-8


class History:
    """The newest bars of an instrument. Immutable: :meth:`extended` makes another.

    Parameters
    ----------
    instrument
        Whose bars they are.
    bars
        Valid bars in time order.
    rows
        Rows to remember: what the versions that are served need.
    max_gap
        Absent bars in a row after which what came before says nothing any more.
    """

    def __init__(self, instrument: Instrument, bars: pd.DataFrame, *, rows: int, max_gap: int) -> None:
        self.instrument = instrument
        self.bars = bars.iloc[-rows:]
        self.rows = rows
        self.max_gap = max_gap

    @classmethod
    def union(cls, instrument: Instrument, parts: Sequence[pd.DataFrame], *, rows: int, max_gap: int) -> "History":
        """History from those of several versions.

        Where two speak of one bar, the one that ends later is right; what lies before too wide a gap is left out.
        """
        newest_first = sorted(parts, key=lambda part: part.index[-1], reverse=True)
        bars = pd.concat([part[COLUMNS] for part in newest_first])
        bars = bars[~bars.index.duplicated()].sort_index()
        wide = np.flatnonzero(_missing(bars.index, instrument) > max_gap)
        return cls(instrument, bars.iloc[wide[-1] + 1 if len(wide) else 0 :], rows=rows, max_gap=max_gap)

    def extended(self, newer: pd.DataFrame, now: pd.Timestamp) -> "History":
        """History with newer bars at its end.

        Bars that overlap the history must agree with it and change nothing; what the history lacks within its span (a
        gap, a quarantined bar) stays lacking, since features have been computed without it.

        Parameters
        ----------
        newer
            Closed bars in time order. Whether a bar is final cannot be seen from its numbers; one that ``now`` lies in
            is refused.
        now
            The time.

        Raises
        ------
        ServingError
            For bars out of order, off the grid, impossible, unfinished, at odds with the history, or far from its end.
        """
        self._in_order(newer)
        self._possible(newer)
        self._finished(newer, now)
        self._agreeing(newer)
        fresh = newer.loc[newer.index > self.bars.index[-1], COLUMNS]
        if fresh.empty:
            return self
        self._connected(fresh)
        return History(self.instrument, pd.concat([self.bars, fresh]), rows=self.rows, max_gap=self.max_gap)

    def _in_order(self, newer: pd.DataFrame) -> None:
        late = np.flatnonzero(newer.index[1:] <= newer.index[:-1])
        if len(late):
            raise self._refused(
                newer.index[late[0] + 1],
                f"it comes after the bar of {newer.index[late[0]].isoformat()}",
                rule="bars in time order, each stamp once",
                remedy="sort the bars and send each once",
            )
        off = np.flatnonzero((newer.index - self.bars.index[-1]) % self.instrument.bar != pd.Timedelta(0))
        if len(off):
            raise self._refused(
                newer.index[off[0]],
                "its stamp is not the open of a bar",
                rule=f"stamps lie on the {self.instrument.timeframe} grid of the history",
                remedy=f"send {self.instrument.timeframe} bars stamped with their open, in UTC",
            )

    def _possible(self, newer: pd.DataFrame) -> None:
        prices = newer[["open", "high", "low", "close"]]
        for wrong, text, rule in (
            (~np.isfinite(newer[COLUMNS]).all(axis=1), "a value is not a number", "finite numbers"),
            ((prices <= 0).any(axis=1), "a price is not above zero", "prices above zero"),
            (newer["volume"] < 0, "its volume is negative", "volume of zero or more"),
            (newer["high"] < newer["low"], "its high is below its low", "low <= high"),
            (prices.max(axis=1) > newer["high"], "a price is above its high", "low <= open, close <= high"),
            (prices.min(axis=1) < newer["low"], "a price is below its low", "low <= open, close <= high"),
        ):
            if wrong.any():
                raise self._refused(
                    newer.index[np.flatnonzero(wrong)[0]], text, rule=rule, remedy="mend the bar at its source"
                )

    def _finished(self, newer: pd.DataFrame, now: pd.Timestamp) -> None:
        open_still = newer.index[newer.index > now - self.instrument.bar]
        if len(open_still):
            raise self._refused(
                open_still[0],
                f"it closes at {(open_still[0] + self.instrument.bar).isoformat()}, and it is {now.isoformat()}",
                rule="only closed bars",
                remedy="leave out the bar that is still open",
            )

    def _agreeing(self, newer: pd.DataFrame) -> None:
        common = newer.index.intersection(self.bars.index)
        sent, known = newer.loc[common, COLUMNS], self.bars.loc[common, COLUMNS]
        differs = ~np.isclose(sent, known, rtol=_AGREE, atol=0.0)
        if differs.any():
            row, column = (int(found[0]) for found in np.nonzero(differs))
            ours, theirs = float(known.to_numpy()[row, column]), float(sent.to_numpy()[row, column])
            raise self._refused(
                common[row],
                f"its {COLUMNS[column]} is {theirs:g}, and the history has {ours:g}",
                rule="bars that overlap the history agree with it",
                remedy="send bars of the source that the model learned from, or only newer ones",
            )

    def _connected(self, fresh: pd.DataFrame) -> None:
        stamps = self.bars.index[-1:].append(fresh.index)
        missing = _missing(stamps, self.instrument)
        wide = np.flatnonzero(missing > self.max_gap)
        if len(wide):
            before, after = stamps[wide[0]], stamps[wide[0] + 1]
            raise ServingError(
                f"{missing[wide[0]]:.0f} bars are missing between {before.isoformat()} and {after.isoformat()}",
                where=self.instrument.name,
                rule=f"at most {self.max_gap} absent bars in a row",
                remedy=f"send the bars after {before.isoformat()} as well, or run `engine run` on newer data",
            )

    def _refused(self, stamp: pd.Timestamp, problem: str, *, rule: str, remedy: str) -> ServingError:
        return ServingError(
            f"the bar of {stamp.isoformat()} is refused: {problem}",
            where=self.instrument.name,
            rule=rule,
            remedy=remedy,
        )


def _missing(stamps: pd.Index, instrument: Instrument) -> np.ndarray:
    """Bars that are absent between each stamp and the next."""
    return np.asarray(np.diff(stamps.to_numpy()) / instrument.bar.to_timedelta64()) - 1
