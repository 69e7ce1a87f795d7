"""The bar contract: what a frame of bars looks like, when a bar is known, and how bars become longer bars."""

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from trading.errors import BarError
from trading.instrument import duration

COLUMNS = ["open", "high", "low", "close", "volume"]
# Bars may carry both of these beside them, or neither: what takers bought, in the unit of the volume, and a count.
ORDER_FLOW = ["taker_buy_volume", "trades"]

# A Monday at midnight, so that weeks start where exchanges start them; days and shorter bars start at the same
# stamps as if they were counted from 1970-01-01.
_ORIGIN = pd.Timestamp("1970-01-05", tz="UTC")


def known_at(index: pd.DatetimeIndex, timeframe: str) -> pd.DatetimeIndex:
    """Clock time at which each bar is known: its close.

    Parameters
    ----------
    index
        Open stamps of the bars.
    timeframe
        Bar length such as ``1h``.

    Returns
    -------
    DatetimeIndex
        ``index`` moved by one bar; same length and order.
    """
    return index + duration(timeframe)


def infer_timeframe(index: pd.DatetimeIndex) -> pd.Timedelta:
    """Bar length as the most frequent distance between neighbouring stamps; the shortest of equally frequent ones.

    Parameters
    ----------
    index
        Stamps in time order. Repeated stamps are ignored.

    Raises
    ------
    BarError
        If fewer than two different stamps are there.
    """
    distances = Distances()
    distances.add(index)
    return distances.timeframe()


class Distances:
    """How often each distance between neighbouring stamps occurs, of stamps that come in pieces.

    Attributes
    ----------
    stamps
        Number of stamps.
    """

    def __init__(self) -> None:
        self.stamps = 0
        self._last: int | None = None
        self._counts: dict[int, int] = {}

    def add(self, index: pd.DatetimeIndex) -> None:
        """Take the next stamps, which are not before the ones already here."""
        at = index.as_unit("ns").asi8
        if not len(at):
            return
        spacing = np.diff(at, prepend=at[0] if self._last is None else self._last)
        lengths, counts = np.unique(spacing[spacing > 0], return_counts=True)
        for length, count in zip(lengths.tolist(), counts.tolist(), strict=True):
            self._counts[length] = self._counts.get(length, 0) + count
        self.stamps += len(at)
        self._last = int(at[-1])

    def timeframe(self) -> pd.Timedelta:
        """Bar length, as :func:`infer_timeframe` tells it; raises as it does."""
        if not self._counts:
            raise BarError(
                f"cannot tell the timeframe of {self.stamps} bar(s)",
                rule="two bars with different stamps, in time order",
                remedy="give a longer file",
            )
        return pd.Timedelta(min(self._counts, key=lambda length: (-self._counts[length], length)), "ns")


def bucket_numbers(index: pd.DatetimeIndex, length: pd.Timedelta) -> NDArray[np.int64]:
    """Number of the bar of some length that each stamp lies in, counted from a Monday at midnight UTC.

    Parameters
    ----------
    index
        n stamps.
    length
        Of the bars that are counted.
    """
    buckets: NDArray[np.int64] = (index - _ORIGIN).as_unit("ns").asi8 // length.as_unit("ns").value
    return buckets


def resample(bars: pd.DataFrame, source: pd.Timedelta, target: pd.Timedelta) -> tuple[pd.DataFrame, int]:
    """Build longer bars, only where every shorter one is present.

    Longer bars start at whole multiples of their length, counted from midnight UTC (weeks from Monday). An unusable
    price does not vanish in the aggregation: a NaN makes the longer bar's value NaN.

    Parameters
    ----------
    bars
        Bars of length ``source``, index strictly increasing and on the grid of ``source``.
    source, target
        Present and wanted bar length. Equal lengths return the bars as they are.

    Returns
    -------
    tuple of DataFrame and int
        Bars of length ``target`` (columns :data:`COLUMNS`, and :data:`ORDER_FLOW` where the bars have it; index
        ``timestamp``), each known at its own close, and the number of target bars left out because a source bar is
        missing (the unfinished last one included). Stretches without any bar are not counted.

    Raises
    ------
    BarError
        If ``target`` is not a multiple of ``source``, or the index is not in order or off the grid.
    """
    if source <= pd.Timedelta(0) or target < source or target % source != pd.Timedelta(0):
        raise BarError(
            f"bars of {source} cannot become bars of {target}",
            rule="the target timeframe is a whole multiple of the file's",
            remedy="ask for a coarser timeframe or give a file with finer bars",
        )
    index = pd.DatetimeIndex(bars.index)
    if not (index.is_monotonic_increasing and index.is_unique):
        raise BarError("bars out of order", rule="stamps increase strictly", remedy="sort and deduplicate the bars")
    flow = [name for name in ORDER_FLOW if name in bars]
    values = {name: bars[name].to_numpy(dtype=np.float64) for name in [*COLUMNS, *flow]}
    if target == source or not len(index):
        return pd.DataFrame(values, index=index.rename("timestamp")), 0

    since = (index - _ORIGIN).as_unit("ns").asi8
    off_grid = since % source.as_unit("ns").value != 0
    if off_grid.any():
        raise BarError(
            f"{off_grid.sum()} bar(s) off the {source} grid",
            where=f"first at {index[int(off_grid.argmax())]}",
            rule="a bar opens at a whole multiple of its length",
            remedy="correct the stamps, or name the timeframe that the file really has",
        )
    # One group per target bar. Groups are contiguous because the index is in order; reduceat keeps NaN, unlike a
    # groupby aggregation.
    bucket = bucket_numbers(index, target)
    starts = np.flatnonzero(np.diff(bucket, prepend=bucket[0] - 1))
    ends = np.append(starts[1:], len(bucket))
    complete = ends - starts == target // source
    frame = pd.DataFrame(
        {
            "open": values["open"][starts],
            "high": np.maximum.reduceat(values["high"], starts),
            "low": np.minimum.reduceat(values["low"], starts),
            "close": values["close"][ends - 1],
            **{name: np.add.reduceat(values[name], starts) for name in ["volume", *flow]},
        },
        index=(_ORIGIN + pd.to_timedelta(bucket[starts] * target.as_unit("ns").value, unit="ns"))
        .as_unit(index.unit)
        .rename("timestamp"),
    )
    return frame[complete], int((~complete).sum())
