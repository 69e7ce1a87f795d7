"""From a forecast return to a position, through a band in which costs forbid to act."""

import numpy as np
import pandas as pd


def band_positions(edge: pd.Series, cost_per_side: float, hold_bars: int, round_trips: float) -> pd.Series:
    """Side of the latest forecast that beats its costs, held for its horizon.

    The position at t is the sign of the most recent ``edge`` among the last ``hold_bars`` rows, t included, with
    ``|edge| > 2 * cost_per_side * round_trips``; without one it is 0. A forecast inside the band thus neither opens
    nor closes anything, and the memory is finite: the last ``hold_bars`` rows suffice to recompute a position, which
    is what serving does.

    Parameters
    ----------
    edge
        Expected return over the horizon, a fraction, known at the close of its bar. NaN is no forecast.
    cost_per_side
        Costs of one fill as a fraction of its notional.
    hold_bars
        Rows for which a forecast stays in force: its horizon.
    round_trips
        Number of round trips of costs that a forecast must beat. 0 follows every forecast that is not zero.

    Returns
    -------
    Series
        ``position`` in {-1.0, 0.0, 1.0} on the index of ``edge``: decided at the close of bar t, tradable from the
        open of t+1.

    Raises
    ------
    ValueError
        If ``hold_bars`` is below 1, or ``cost_per_side`` or ``round_trips`` is negative.
    """
    if hold_bars < 1 or cost_per_side < 0 or round_trips < 0:
        raise ValueError(
            f"hold_bars={hold_bars}, cost_per_side={cost_per_side}, round_trips={round_trips}: "
            "expected at least 1, 0 and 0"
        )
    values = edge.to_numpy(dtype=np.float64)
    row = np.arange(len(values))
    acts = np.abs(values) > 2 * cost_per_side * round_trips
    latest = np.maximum.accumulate(np.where(acts, row, -hold_bars))
    side = np.where(row - latest < hold_bars, np.sign(values[np.maximum(latest, 0)]), 0.0)
    return pd.Series(side, index=edge.index, name="position")
