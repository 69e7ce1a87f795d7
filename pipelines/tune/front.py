"""What is best where several things count: the front of trials that no other beats, and its knee."""

import numpy as np
from numpy.typing import NDArray

Values = NDArray[np.float64]


def pareto_front(values: Values) -> list[int]:
    """Rows that no other row dominates, in order; of rows that are equal all or none are on it.

    Parameters
    ----------
    values : ndarray of shape (trials, objectives)
        Less is better.
    """
    at_most = (values[:, None, :] <= values[None, :, :]).all(axis=2)
    below = (values[:, None, :] < values[None, :, :]).any(axis=2)
    return [int(row) for row in np.flatnonzero(~(at_most & below).any(axis=0))]


def knee(values: Values, front: list[int]) -> int:
    """The row of the front that is nearest to the best of everything; the first of those that are equally near.

    Each objective is scaled to run from 0, its best on the front, to 1, its worst there; the distance is Euclidean
    (compromise programming: Zeleny 1973, with equal weights). With one objective this is the least value.
    """
    rows = values[front]
    low, spread = rows.min(axis=0), np.ptp(rows, axis=0)
    scaled = (rows - low) / np.where(spread > 0, spread, 1.0)
    return front[int(np.argmin(np.linalg.norm(scaled, axis=1)))]
