"""How much each label tells: less where many are about the same bars, more where the price moved far.

Labels that overlap share returns, so they are not as many observations as they are rows. Everything here is known when
the label is, at its ``t_end``: what is counted at a bar are the positions open in it, which its close decides. So
weights are made once, for all splits; scaling them and letting them fade with age depends on which rows are trained
on, and is left to :meth:`pipelines.dataset.Dataset.training_weights`.

References
----------
M. López de Prado, *Advances in Financial Machine Learning*, Wiley 2018, sections 4.3, 4.4 and 4.6.
"""

import numpy as np
from numpy.typing import NDArray

from pipelines.labels.spans import Spans

Array = NDArray[np.float64]


def concurrency(spans: Spans) -> NDArray[np.int64]:
    """Number of positions that are open in each bar.

    Parameters
    ----------
    spans
        Of n rows.

    Returns
    -------
    ndarray
        n counts, known at each bar's close.
    """
    rows = len(spans.first)
    opened = spans.bars > 0
    begin = np.bincount(spans.first[opened], minlength=rows + 1)
    end = np.bincount(spans.stop[opened], minlength=rows + 1)
    return np.cumsum(begin - end, dtype=np.int64)[:rows]


def average_uniqueness(spans: Spans) -> Array:
    """Mean over a span's bars of one over the positions open in each: 1 for a label that shares no bar.

    Parameters
    ----------
    spans
        Of n rows.

    Returns
    -------
    ndarray
        n values in (0, 1], NaN where no position was opened; each is known when its span ends.
    """
    share = 1.0 / np.maximum(concurrency(spans), 1)
    total = np.concatenate([[0.0], np.cumsum(share)])
    with np.errstate(invalid="ignore"):
        unique: Array = (total[spans.stop] - total[spans.first]) / spans.bars
    return unique


def return_attribution(spans: Spans, open_: Array, exit_price: Array) -> Array:
    """Absolute log return of a span, with each bar's return shared among the positions open in it.

    Parameters
    ----------
    spans
        Of n rows.
    open_
        Opens of the n bars. A bar's return is from its open to the next one.
    exit_price
        At which each row's position ended, in its last bar or at the open after it; NaN where there is no label.

    Returns
    -------
    ndarray
        n values, not negative, NaN where there is no label; each is known when its span ends.
    """
    weight = np.full(len(open_), np.nan)
    rows = np.flatnonzero(np.isfinite(exit_price) & (spans.bars > 0))
    shared = np.maximum(concurrency(spans), 1)
    total = np.concatenate([[0.0], np.cumsum(np.diff(np.log(open_)) / shared[:-1])])
    last = spans.stop[rows] - 1
    until = np.log(exit_price[rows] / open_[last]) / shared[last]
    weight[rows] = np.abs(total[last] - total[spans.first[rows]] + until)
    return weight
