"""How sure a ranking is: the rows are drawn again, in blocks, and everything is ranked again."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

Array = NDArray[np.float64]


def resampled_means(folds: Sequence[Array], block: int, resamples: int, generator: np.random.Generator) -> Array:
    """Means of the columns over resampled rows.

    Circular block bootstrap (Politis and Romano 1992) inside each fold, so that every fold keeps its share of the rows.

    Parameters
    ----------
    folds
        Tables of the same columns, rows in time order, one row or more each.
    block
        Rows drawn together: at least as many as neighbouring rows depend on each other.
    resamples
        Number of means.
    generator
        Draws where blocks start.

    Returns
    -------
    array
        Shape (resamples, columns).
    """
    total = np.zeros((resamples, folds[0].shape[1]))
    for values in folds:
        rows = len(values)
        length = min(block, rows)
        pieces = -(-rows // length)
        running = np.cumsum(np.vstack([np.zeros((1, values.shape[1])), values, values[: length - 1]]), axis=0)
        sums = running[length:] - running[:-length]
        starts = generator.integers(rows, size=(resamples, pieces))
        for row, start in enumerate(starts):
            total[row] += sums[start].sum(axis=0) * (rows / (pieces * length))
    return total / sum(len(values) for values in folds)


def interval(samples: Array, confidence: float) -> tuple[Array, Array]:
    """Lower and upper quantiles of each column of ``samples`` that hold ``confidence`` between them."""
    low, high = np.quantile(samples, [(1 - confidence) / 2, (1 + confidence) / 2], axis=0)
    return low, high


def rank_interval(samples: Array, confidence: float) -> tuple[Array, Array]:
    """The same of each column's rank among the columns: 1 for the largest mean; equals share the best rank."""
    low, high = interval(rankdata(-samples, method="min", axis=1).astype(np.float64), confidence)
    return np.floor(low), np.ceil(high)
