"""What a scenario did to an account: loss, worst point, recovery, limits that would have fired."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from pipelines.stress.account import Worth

DAY = pd.Timedelta(days=1)


@dataclass(frozen=True)
class Outcome:
    """What happened to an account over some bars, as fractions of its equity at the close before them.

    Parameters
    ----------
    loss
        From that close to the last bar's; negative is a gain.
    drawdown
        Largest loss from an earlier close, that one included, to the worst price of a bar.
    daily_loss
        Largest loss of a day: from the close 24 hours before to the worst price of a bar.
    recovery_bars
        Bars from the first one to the close, at or after the worst point, at which equity is what it was; 0 where it
        never was less; None if that is not among the bars at hand.
    """

    loss: float
    drawdown: float
    daily_loss: float
    recovery_bars: int | None

    def fired(self, drawdown: float, daily_loss: float) -> list[str]:
        """Names of the limits that were reached."""
        reached = {"drawdown": self.drawdown >= drawdown, "daily_loss": self.daily_loss >= daily_loss}
        return [name for name, fired in reached.items() if fired]


def outcome(worth: Worth, first: int, after: int) -> Outcome:
    """What happened between two bars, the second excluded; recovery is looked for to the end.

    Parameters
    ----------
    worth
        The account's.
    first, after
        Numbers of bars; at least one is before ``first``. An account that has nothing left there has lost everything.
    """
    close, worst = worth.close, worth.worst[first:after]
    start = close[first - 1]
    if not start > 0:
        return Outcome(1.0, 1.0, 1.0, None)
    peaks = np.maximum.accumulate(close[first - 1 : after - 1])
    day_before = worth.index.searchsorted(worth.index[first:after] - DAY, side="right") - 1
    # Nothing is left to lose once a day began with nothing.
    then = close[np.maximum(day_before, 0)]
    days = np.divide(worst, then, out=np.ones_like(worst), where=then > 0)
    trough = int(worst.argmin())
    recovery: int | None = 0
    if worst[trough] < start:
        above = np.flatnonzero(close[first + trough :] >= start)
        recovery = int(above[0]) + trough + 1 if len(above) else None
    return Outcome(
        loss=float(1.0 - close[after - 1] / start),
        drawdown=float(np.maximum(1.0 - worst / peaks, 0.0).max()),
        daily_loss=float(np.maximum(1.0 - days, 0.0).max()),
        recovery_bars=recovery,
    )
