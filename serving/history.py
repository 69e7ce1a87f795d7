"""The bars that a service remembers of one instrument, and what newer ones must look like to be believed."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from pipelines.validate.rules import broken_rules, off_grid_stamp
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
        Absent bars in a row that newer bars may leave: as many as the model has seen in training.
    max_jump
        Largest believable absolute log return over one bar, as when the training bars were validated.
    columns
        What is read of the bars.
    """

    def __init__(
        self,
        instrument: Instrument,
        bars: pd.DataFrame,
        *,
        rows: int,
        max_gap: int,
        max_jump: float,
        columns: Sequence[str] = COLUMNS,
    ) -> None:
        self.instrument = instrument
        self.columns = list(columns)
        self.bars = bars[self.columns].iloc[-rows:]
        self.rows = rows
        self.max_gap = max_gap
        self.max_jump = max_jump

    @classmethod
    def union(
        cls,
        instrument: Instrument,
        parts: Sequence[pd.DataFrame],
        *,
        rows: int,
        max_gap: int,
        max_jump: float,
        columns: Sequence[str] = COLUMNS,
    ) -> "History":
        """History from the stored bars of several versions.

        Where two speak of one bar, the one that ends later is right. An older part is joined only where it overlaps or
        touches what is newer: bars between two stored histories exist, and are merely not at hand. Holes within a part
        are holes of the market's data that a run has validated.
        """
        newest_first = sorted((part for part in parts if len(part)), key=lambda part: part.index[-1], reverse=True)
        bars = next(iter(newest_first), parts[0])[list(columns)]
        for older in newest_first[1:]:
            if older.index[-1] >= bars.index[0] - instrument.bar:
                bars = pd.concat([older.loc[older.index < bars.index[0], list(columns)], bars])
        return cls(instrument, bars, rows=rows, max_gap=max_gap, max_jump=max_jump, columns=columns)

    def fresh(self, newer: pd.DataFrame) -> pd.DataFrame:
        """Those of some bars that come after its last one."""
        after = newer.index > self.bars.index[-1] if len(self.bars) else np.ones(len(newer), dtype=np.bool_)
        return newer.loc[after, self.columns]

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
            For bars without a column that is read, out of order, off the grid, unfinished, at odds with the history,
            far from its end, or breaking a rule of validation.
        """
        self._complete(newer)
        self._in_order(newer)
        self._finished(newer, now)
        self._agreeing(newer)
        fresh = self.fresh(newer)
        if fresh.empty:
            return self
        self._believable(fresh)
        self._connected(fresh)
        return History(
            self.instrument,
            pd.concat([self.bars, fresh]),
            rows=self.rows,
            max_gap=self.max_gap,
            max_jump=self.max_jump,
            columns=self.columns,
        )

    def _complete(self, newer: pd.DataFrame) -> None:
        if missing := [name for name in self.columns if name not in newer]:
            raise ServingError(
                f"bars without {', '.join(missing)}",
                where=self.instrument.name,
                rule=f"the features that are served are computed from {', '.join(self.columns)}",
                remedy="send them with every bar, as the source has them that the model learned from",
            )

    def _in_order(self, newer: pd.DataFrame) -> None:
        late = np.flatnonzero(newer.index[1:] <= newer.index[:-1])
        if len(late):
            raise self._refused(
                newer.index[late[0] + 1],
                f"it comes after the bar of {newer.index[late[0]].isoformat()}",
                rule="bars in time order, each stamp once",
                remedy="sort the bars and send each once",
            )
        off = np.flatnonzero(off_grid_stamp(newer.rename_axis("timestamp").reset_index(), self.instrument.bar))
        if len(off):
            raise self._refused(
                newer.index[off[0]],
                "its stamp is not the open of a bar",
                rule=f"stamps lie on the {self.instrument.timeframe} grid",
                remedy=f"send {self.instrument.timeframe} bars stamped with their open, in UTC",
            )

    def _believable(self, fresh: pd.DataFrame) -> None:
        """Judge new bars by the rules that the training bars were validated by."""
        # The last known bar was believed in its own context; all that a newer one is measured from is its close.
        known = self.bars.iloc[-1:].copy()
        known[["open", "high", "low"]] = known[["close"] * 3].to_numpy()
        rows = pd.concat([known, fresh]).rename_axis("timestamp").reset_index()
        broken = broken_rules(rows, self.instrument.bar, self.max_jump).iloc[len(known) :]
        wrong = np.flatnonzero(broken.notna())
        if len(wrong):
            rule = str(broken.iloc[wrong[0]])
            raise self._refused(
                fresh.index[wrong[0]],
                rule.replace("_", " "),
                rule=f"{rule}, as when the training bars were validated (largest jump {self.max_jump:g})",
                remedy="mend the bar at its source, or leave it out",
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
        sent, known = newer.loc[common, self.columns], self.bars.loc[common]
        differs = ~np.isclose(sent, known, rtol=_AGREE, atol=0.0)
        if differs.any():
            row, column = (int(found[0]) for found in np.nonzero(differs))
            ours, theirs = float(known.to_numpy()[row, column]), float(sent.to_numpy()[row, column])
            raise self._refused(
                common[row],
                f"its {self.columns[column]} is {theirs:g}, and the history has {ours:g}",
                rule="bars that overlap the history agree with it",
                remedy="send bars of the source that the model learned from, or only newer ones",
            )

    def _connected(self, fresh: pd.DataFrame) -> None:
        stamps = self.bars.index[-1:].append(fresh.index)
        missing = np.asarray(np.diff(stamps.to_numpy()) / self.instrument.bar.to_timedelta64()) - 1
        wide = np.flatnonzero(missing > self.max_gap)
        if len(wide):
            first, count = stamps[wide[0]] + self.instrument.bar, round(missing[wide[0]])
            raise ServingError(
                f"{count} bars are missing before the bar of {stamps[wide[0] + 1].isoformat()};"
                f" the first of them is that of {first.isoformat()}",
                where=self.instrument.name,
                rule=f"at most {self.max_gap} missing in a row, the longest hole that the model was trained through",
                remedy=f"send the missing bars from {first.isoformat()} on as well, or run `engine run` on newer data",
            )

    def _refused(self, stamp: pd.Timestamp, problem: str, *, rule: str, remedy: str) -> ServingError:
        return ServingError(
            f"the bar of {stamp.isoformat()} is refused: {problem}",
            where=self.instrument.name,
            rule=rule,
            remedy=remedy,
        )
