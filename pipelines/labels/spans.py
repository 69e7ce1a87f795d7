"""The bars during which the position that a label judges is open."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from pipelines.labels.grid import Rows


@dataclass(frozen=True, eq=False)
class Spans:
    """Rows ``first[t]`` to ``stop[t] - 1`` are the bars in which the position decided at row t is open.

    A position that has met a gap, or the end of the data, was open until then: what is counted at a bar is what was
    known at that bar's close, whether or not a label came of it. Where no position was opened, ``stop`` is ``first``.

    Attributes
    ----------
    first, stop : ndarray of shape (n,)
        Row of the bar at whose open row t's decision is filled, and the row after the last bar.
    """

    first: Rows
    stop: Rows

    @property
    def bars(self) -> Rows:
        """Number of bars in each span."""
        return self.stop - self.first


@dataclass(frozen=True, eq=False)
class Labelled:
    """Labels, and the spans of the positions they judge; see the function that made them."""

    labels: pd.DataFrame
    spans: Spans


def horizon_spans(slots: Rows, horizon_bars: int) -> Spans:
    """Spans of positions that are held for a horizon, or until a bar is missing.

    Parameters
    ----------
    slots
        Place of each row on the grid, from :func:`pipelines.labels.grid.grid_slots`.
    horizon_bars
        Bars from the fill at the next open to the exit.
    """
    rows = np.arange(len(slots), dtype=np.int64)
    breaks = np.append(np.flatnonzero(np.diff(slots) != 1) + 1, len(slots))
    whole_until = breaks[np.searchsorted(breaks, rows, side="right")]
    return Spans(rows + 1, np.minimum(rows + 1 + horizon_bars, whole_until))
