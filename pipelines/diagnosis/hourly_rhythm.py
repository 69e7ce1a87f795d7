"""The first bar of an hour trades more than the others: where it is another one, the clock is off by that much."""

import numpy as np
import pandas as pd

from pipelines.diagnosis.fault import Finding, Kind, found_rows, spoken
from pipelines.diagnosis.rows import Bars

_HOUR = 3_600_000_000
# Hours of data below which the rhythm is not looked for.
_HOURS = 2000
# Hours of the day, of 24, in which the same bar must be the busiest for it to be a rhythm, and its t statistic.
_AGREE = 18
_CLEAR = 6.0
# The bar that should be the busiest must not be so at all.
_ABSENT = 2.0


def find_moved_rhythm(bars: Bars) -> Finding:
    """``close_stamped`` or ``clock_shift`` from the bars of an hour that trade most.

    Markets that never close trade more in the bar that opens the hour, at every hour of the day: many orders are sent
    by clocks. From each bar's log volume the mean of the bars around is taken away; what stays is averaged by the bar's
    place within the hour. If another place than the first stands out, in most hours of the day, all stamps are late by
    its distance.
    """
    slots = _HOUR // bars.length if bars.length and _HOUR % bars.length == 0 else 0
    if slots < 2 or len(bars) < _HOURS:
        return Finding()
    volume = bars.cells["volume"]
    good = np.isfinite(volume) & (volume > 0)
    at, logs = bars.at[good], np.log(volume[good])
    frame = pd.DataFrame({"slot": at % _HOUR // bars.length, "hour": at // _HOUR % 24, "log": logs})
    around = 2 * slots + 1
    frame["rest"] = frame["log"] - frame["log"].rolling(around, center=True, min_periods=slots).mean()
    means = frame.groupby(["slot", "hour"])["rest"].mean().unstack("slot")
    if means.shape != (24, slots) or means.isna().any(axis=None):
        return Finding()
    by_slot = frame.groupby("slot")["rest"].agg(["mean", "std", "count"])
    clear = (by_slot["mean"] / (by_slot["std"] / np.sqrt(by_slot["count"]))).to_numpy()
    busiest = int(by_slot["mean"].to_numpy().argmax())
    agree = int((means.to_numpy().argmax(axis=1) == busiest).sum()) if slots <= 4 else int((means[busiest] > 0).sum())
    if busiest == 0 or clear[busiest] < _CLEAR or clear[0] > _ABSENT or agree < _AGREE:
        return Finding()
    late = busiest * bars.length
    kind: Kind = "close_stamped" if busiest == 1 else "clock_shift"
    fault = found_rows(
        kind,
        bars.number,
        bars.at,
        lambda place: f"the bars stamped {spoken(late)} past the hour trade most, in {agree} of 24 hours of the day",
        f"move the stamps by {spoken(-late)} after a look at a second source (--against): the bar that opens an hour "
        "is its busiest",
        where=np.arange(len(bars)),
    )
    return Finding((fault,))
