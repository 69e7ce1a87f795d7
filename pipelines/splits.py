"""Cross-validation in time, purged by the moment at which each label became known."""

from collections.abc import Iterator
from typing import Any, ClassVar

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.model_selection import BaseCrossValidator

from trading.errors import EngineError, ParamsError, TooFewBarsError

Positions = NDArray[np.intp]


class PurgedWalkForward(BaseCrossValidator):
    """Anchored walk-forward: train on everything already known, test on the block that follows, move on.

    The rows after the first ``first_test_fraction`` are cut into ``n_splits`` contiguous test blocks whose sizes differ
    by one row at most. A block's training rows are the rows before it whose label was known, at ``t_end``, no later
    than ``embargo`` before the opening of the block's first bar. Measuring from the opening, and not from the close at
    which the first test decision is taken, leaves room for the bar that holds the label's last price to close.
    Rows whose label never became known (``t_end`` NaT) are never trained on; they stay in the test blocks.

    Parameters
    ----------
    n_splits
        Number of test blocks.
    first_test_fraction
        Share of the rows, in (0, 1), that comes before the first test block.
    embargo
        Time between the last training label and the first test bar, on top of the purge.

    Raises
    ------
    ParamsError
        If a value is out of range.

    Notes
    -----
    With metadata routing enabled, scikit-learn's model selection hands over the ``t_end`` it is given in ``params``.

    References
    ----------
    M. López de Prado, *Advances in Financial Machine Learning*, Wiley 2018, sections 7.4 and 12.2.

    Examples
    --------
    >>> index = pd.date_range("2024-01-01", periods=8, freq="h", tz="UTC")
    >>> t_end = pd.Series(index + pd.Timedelta(hours=2), index=index)
    >>> splitter = PurgedWalkForward(2, 0.5, pd.Timedelta(0))
    >>> [(train.tolist(), test.tolist()) for train, test in splitter.split(t_end.to_frame(), t_end=t_end)]
    [([0, 1, 2], [4, 5]), ([0, 1, 2, 3, 4], [6, 7])]
    """

    __metadata_request__split: ClassVar = {"t_end": True}

    def __init__(self, n_splits: int, first_test_fraction: float, embargo: pd.Timedelta) -> None:
        if n_splits < 1:
            raise ParamsError(f"{n_splits} splits", rule="one test block or more", remedy="raise the number of splits")
        if not 0 < first_test_fraction < 1:
            raise ParamsError(
                f"first_test_fraction is {first_test_fraction}",
                rule="above 0, so that there is something to train on, and below 1, so that there is something to test",
                remedy="0.5 is a good start",
            )
        if not embargo >= pd.Timedelta(0):  # also refuses NaT
            raise ParamsError(f"embargo is {embargo}", rule="a duration of zero or more", remedy="use 0 for none")
        self.n_splits = n_splits
        self.first_test_fraction = first_test_fraction
        self.embargo = embargo

    def get_n_splits(self, X: object = None, y: object = None, t_end: object = None) -> int:
        """Number of test blocks."""
        return self.n_splits

    def split(
        self, X: pd.DataFrame | pd.Series, y: Any = None, t_end: "pd.Series | None" = None, groups: None = None
    ) -> Iterator[tuple[Positions, Positions]]:
        """Yield the positions of training and test rows, one pair per test block, in time order.

        Parameters
        ----------
        X
            Any frame or series of n rows on a strictly increasing DatetimeIndex of bar openings.
        y, groups
            Ignored; scikit-learn's protocol has them.
        t_end
            Clock time at which each row's label is known; n rows on the index of ``X``.

        Raises
        ------
        EngineError
            If ``t_end`` is missing or does not belong to ``X``, or the index is not strictly increasing time.
        TooFewBarsError
            If there are fewer rows than blocks need, or a block would have no training row left.
        """
        index = _time_index(X)
        known = _known(t_end, index)
        blocks = self._blocks(len(index))
        for number, test in enumerate(blocks, start=1):
            train = np.flatnonzero(known[: test[0]] <= index[test[0]] - self.embargo)
            if not len(train):
                raise TooFewBarsError(
                    f"test block {number} of {self.n_splits} has no training row",
                    where=f"the block that opens at {index[test[0]]}, row {test[0]} of {len(index)}",
                    rule=f"a training label is known {self.embargo} before the block opens",
                    remedy="give more bars, or lower the embargo, the horizon or the number of splits",
                )
            yield train, test

    def _blocks(self, rows: int) -> list[Positions]:
        first = int(rows * self.first_test_fraction)
        if first < 1 or rows - first < self.n_splits:
            room = min(self.first_test_fraction, (1 - self.first_test_fraction) / self.n_splits)
            raise TooFewBarsError(
                f"{rows} rows are too few for {self.n_splits} test blocks",
                rule=f"each block and the training rows before the first ({self.first_test_fraction:.0%}) hold a row",
                remedy=f"give at least {int(np.ceil(1 / room)) + 1} rows, or lower the number of splits",
            )
        return np.array_split(np.arange(first, rows, dtype=np.intp), self.n_splits)


def _time_index(X: pd.DataFrame | pd.Series) -> pd.DatetimeIndex:
    index = getattr(X, "index", None)
    if not isinstance(index, pd.DatetimeIndex) or not index.is_monotonic_increasing or not index.is_unique:
        raise EngineError(
            "rows are not in time order",
            where=f"an index of type {type(index).__name__}",
            rule="a strictly increasing DatetimeIndex of bar openings",
            remedy="sort the frame by time and drop duplicate stamps before splitting",
        )
    return index


def _known(t_end: "pd.Series | None", index: pd.DatetimeIndex) -> pd.DatetimeIndex:
    if t_end is None:
        raise EngineError(
            "a purged split without t_end",
            rule="every purge is derived from the time at which each label is known",
            remedy="pass t_end, a column of the labels",
        )
    if not t_end.index.equals(index):
        raise EngineError(
            f"t_end has {len(t_end)} rows of an index that is not that of the {len(index)} rows to split",
            rule="t_end and X share one index",
            remedy="select the same rows from both",
        )
    return pd.DatetimeIndex(t_end)
