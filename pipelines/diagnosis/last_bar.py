"""Whether the last bar of a file had closed when the file was written."""

import numpy as np
import pandas as pd

from pipelines.diagnosis.fault import Finding, Floats, Mask, found_rows, number_text, stamp
from pipelines.diagnosis.rows import Bars

# Bars that say what the volume before a bar usually is, and how many bars it takes to judge by the volume at all.
_WINDOW = 50
_HISTORY = 200
# Share of the file's own bars that may look as unfinished as the last one does.
_RARE = 0.002
_SHORT_RANGE = 0.05
# Values of a column that says whether a bar is finished.
_OPEN = frozenset({"false", "0", "0.0", "n", "no", "open", "partial"})
_DONE = frozenset({"true", "1", "1.0", "y", "yes", "closed", "final", "complete"})
FINISHED = ("confirm", "confirmed", "closed", "is_closed", "complete", "completed", "is_final", "final", "is_finished")


def find_unfinished(bars: Bars, now: int, off_grid: bool, unfinished: Mask | None) -> Finding:
    """``unfinished_last_bar``, with the reason.

    Parameters
    ----------
    bars
        Bars in time order.
    now
        The clock, in µs since 1970.
    off_grid
        The last stamp alone is off the grid: the moment of the export.
    unfinished
        What the file's own column says of each bar, where it has one.
    """
    if len(bars) < 2:
        return Finding()
    last = len(bars) - 1
    ends = int(bars.at[last]) + bars.length
    reason = None
    # Stamps that reach far beyond the clock are not bars still forming.
    if now < ends <= now + bars.length:
        reason = f"it closes at {stamp(ends)}, and it is {stamp(now).floor('s')}"
    elif ends > now + bars.length:
        return Finding(notes=(f"the last stamp, {stamp(int(bars.at[last]))}, lies in the future",))
    elif unfinished is not None and unfinished[last] and unfinished.mean() < 0.5:
        reason = "the file itself says that it is not finished"
    elif off_grid:
        reason = "its stamp is off the grid: the moment of the export"
    elif (ratio := _thin_end(bars)) is not None:
        reason = f"its volume is {number_text(ratio)} of the usual one and its range short: hardly a bar is like it"
    if reason is None:
        return Finding()
    fault = found_rows(
        "unfinished_last_bar",
        bars.number,
        bars.at,
        lambda place: reason,
        "leave the last bar out: it had not closed when the file was written",
        where=np.array([last]),
        safe_fix=True,
    )
    return Finding((fault,))


def says_unfinished(texts: list[str]) -> Mask | None:
    """Cells of a column of flags as "not finished"; ``None`` if they are no flags."""
    known = _OPEN | _DONE
    if not texts or any(text not in known for text in texts):
        return None
    return np.array([text in _OPEN for text in texts], dtype=np.bool_)


def _thin_end(bars: Bars) -> float | None:
    """Volume of the last bar over the usual one, if hardly any other bar has so little of it and so short a range."""
    if len(bars) < _HISTORY:
        return None
    recent = slice(max(len(bars) - 20_000, 0), len(bars))
    volume, high, low = (bars.cells[name][recent] for name in ("volume", "high", "low"))
    with np.errstate(all="ignore"):
        width = np.log(high / low)
    ratio, reach = _to_usual(volume), _to_usual(width)
    known = np.isfinite(ratio) & np.isfinite(reach)
    if not known[-1] or known.sum() < _HISTORY:
        return None
    rare = float((ratio[known][:-1] <= ratio[-1]).mean())
    short = float((reach[known][:-1] <= reach[-1]).mean())
    # Few bars cannot show how rare something is: there the last one must be far below all of them.
    limit = _RARE if known.sum() >= 2 / _RARE else 0.0
    least = ratio[known][:-1].min()
    if rare > limit or short > _SHORT_RANGE or (limit == 0.0 and ratio[-1] > 0.5 * least):
        return None
    return float(ratio[-1])


def _to_usual(values: Floats) -> Floats:
    """Each value over the median of those before it."""
    usual = pd.Series(values).shift(1).rolling(_WINDOW, min_periods=20).median().to_numpy()
    with np.errstate(all="ignore"):
        return np.asarray(np.where(usual > 0, values / usual, np.nan), dtype=np.float64)
