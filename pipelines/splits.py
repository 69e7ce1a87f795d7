"""Cross-validation in time, purged by the moment at which each label became known.

A label says something about the time from its row's stamp (the opening of the bar that decides) to its ``t_end`` (the
moment its last price is known). Two labels overlap if these half-open intervals do. Every splitter here leaves out of
the training rows whatever overlaps a label of the test, before it, after it or around it, and keeps ``embargo`` free
on both sides. Nothing is assumed about ``t_end`` but that it lies after its row: labels may end in any order.
"""

from abc import abstractmethod
from collections.abc import Iterator, Sequence
from itertools import combinations
from math import comb
from typing import Any, ClassVar

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.model_selection import BaseCrossValidator

from trading.errors import EngineError, ParamsError, TooFewBarsError

Positions = NDArray[np.intp]


class PurgedSplitter(BaseCrossValidator):
    """What all splitters share: scikit-learn's protocol, and the purge.

    Parameters
    ----------
    embargo
        Time kept free between a training label and a test label, on top of the purge.

    Notes
    -----
    With metadata routing enabled, scikit-learn's model selection hands over the ``t_end`` it is given in ``params``.
    """

    __metadata_request__split: ClassVar = {"t_end": True}

    embargo: pd.Timedelta

    def __init__(self, embargo: pd.Timedelta) -> None:
        if not embargo >= pd.Timedelta(0):  # also refuses NaT
            raise ParamsError(f"embargo is {embargo}", rule="a duration of zero or more", remedy="use 0 for none")
        self.embargo = embargo

    def split(
        self, X: pd.DataFrame | pd.Series, y: Any = None, t_end: "pd.Series | None" = None, groups: None = None
    ) -> Iterator[tuple[Positions, Positions]]:
        """Yield the positions of training and test rows, both in time order.

        Rows whose label never became known (``t_end`` NaT) are never trained on; they stay in the test, where they
        count as the moment of their stamp.

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
            If there are fewer rows than the test blocks need, or a test would have no training row left.
        """
        index = _time_index(X)
        known = _known(t_end, index)
        for number, (candidates, test) in enumerate(self._folds(len(index)), start=1):
            train = self._kept(candidates[clear_of(index, known, candidates, test, self.embargo)])
            if not len(train):
                raise TooFewBarsError(
                    f"test block {number} of {self.get_n_splits()} has no training row",
                    where=f"the block that opens at {index[test[0]]}, row {test[0]} of {len(index)}",
                    rule=f"a training label is known {self.embargo} before the block opens, or begins as long after it",
                    remedy="give more bars, or lower the embargo, the horizon or the number of splits",
                )
            yield train, test

    @abstractmethod
    def _folds(self, rows: int) -> Iterator[tuple[Positions, Positions]]:
        """Rows that may be trained on before the purge, and the rows of the test."""

    def _kept(self, train: Positions) -> Positions:
        """Rows to train on, of those that the purge left."""
        return train


class PurgedWalkForward(PurgedSplitter):
    """Walk-forward: train on what is already known, test on the block that follows, move on.

    The rows after the first ``first_test_fraction`` are cut into ``n_splits`` contiguous test blocks whose sizes differ
    by one row at most. A block's training rows are the rows before it whose label was known, at ``t_end``, no later
    than ``embargo`` before the opening of the block's first bar. Measuring from the opening, and not from the close at
    which the first test decision is taken, leaves room for the bar that holds the label's last price to close.

    Parameters
    ----------
    n_splits
        Number of test blocks.
    first_test_fraction
        Share of the rows, in (0, 1), that comes before the first test block.
    embargo
        Time between the last training label and the first test bar, on top of the purge.
    max_train
        Train on this many of the latest rows that the purge leaves (a rolling window); None takes them all (anchored).

    Raises
    ------
    ParamsError
        If a value is out of range.

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

    def __init__(
        self, n_splits: int, first_test_fraction: float, embargo: pd.Timedelta, max_train: int | None = None
    ) -> None:
        if n_splits < 1:
            raise ParamsError(f"{n_splits} splits", rule="one test block or more", remedy="raise the number of splits")
        if not 0 < first_test_fraction < 1:
            raise ParamsError(
                f"first_test_fraction is {first_test_fraction}",
                rule="above 0, so that there is something to train on, and below 1, so that there is something to test",
                remedy="0.5 is a good start",
            )
        if max_train is not None and max_train < 1:
            raise ParamsError(f"max_train is {max_train}", rule="one row or more", remedy="use None for all rows")
        super().__init__(embargo)
        self.n_splits = n_splits
        self.first_test_fraction = first_test_fraction
        self.max_train = max_train

    def get_n_splits(self, X: object = None, y: object = None, t_end: object = None) -> int:
        """Number of test blocks."""
        return self.n_splits

    def _folds(self, rows: int) -> Iterator[tuple[Positions, Positions]]:
        first = int(rows * self.first_test_fraction)
        if first < 1 or rows - first < self.n_splits:
            room = min(self.first_test_fraction, (1 - self.first_test_fraction) / self.n_splits)
            raise TooFewBarsError(
                f"{rows} rows are too few for {self.n_splits} test blocks",
                rule=f"each block and the training rows before the first ({self.first_test_fraction:.0%}) hold a row",
                remedy=f"give at least {int(np.ceil(1 / room)) + 1} rows, or lower the number of splits",
            )
        for test in np.array_split(np.arange(first, rows, dtype=np.intp), self.n_splits):
            yield np.arange(test[0], dtype=np.intp), test

    def _kept(self, train: Positions) -> Positions:
        return train if self.max_train is None else train[-self.max_train :]


class PurgedKFold(PurgedSplitter):
    """K contiguous test blocks; train on everything before and after each one that does not overlap it.

    Every row is tested once, and most are trained on before *and* after the test: good for judging a feature or a
    setting on little data, but not what anyone could have done at the time. Use :class:`PurgedWalkForward` for that.

    Parameters
    ----------
    n_splits
        Number of blocks, two or more, whose sizes differ by one row at most.
    embargo
        Time kept free on both sides of the block's labels, on top of the purge.

    Raises
    ------
    ParamsError
        If a value is out of range.

    References
    ----------
    M. López de Prado, *Advances in Financial Machine Learning*, Wiley 2018, section 7.4. There the embargo is after the
    test only; here it is on both sides, as in the walk-forward.

    Examples
    --------
    >>> index = pd.date_range("2024-01-01", periods=9, freq="h", tz="UTC")
    >>> t_end = pd.Series(index + pd.Timedelta(hours=2), index=index)
    >>> [(train.tolist(), test.tolist()) for train, test in PurgedKFold(3, pd.Timedelta(0)).split(t_end, t_end=t_end)]
    [([4, 5, 6, 7, 8], [0, 1, 2]), ([0, 1, 7, 8], [3, 4, 5]), ([0, 1, 2, 3, 4], [6, 7, 8])]
    """

    def __init__(self, n_splits: int, embargo: pd.Timedelta) -> None:
        if n_splits < 2:
            raise ParamsError(f"{n_splits} splits", rule="two blocks or more", remedy="raise the number of splits")
        super().__init__(embargo)
        self.n_splits = n_splits

    def get_n_splits(self, X: object = None, y: object = None, t_end: object = None) -> int:
        """Number of test blocks."""
        return self.n_splits

    def _folds(self, rows: int) -> Iterator[tuple[Positions, Positions]]:
        for test in _blocks(rows, self.n_splits):
            yield _others(rows, test), test


class CombinatorialPurged(PurgedSplitter):
    """Test on every choice of ``n_test_groups`` out of ``n_groups`` contiguous groups; assemble many test paths.

    The groups are cut of the rows after the first ``first_test_fraction``; what lies before is trained on in every
    split. There are C(N, k) splits. Each group is tested in C(N-1, k-1) of them, always by a model that was trained
    without it, so the forecasts of all splits make up as many complete paths through all groups: a distribution of
    results where a walk-forward has one.

    Parameters
    ----------
    n_groups
        Number N of groups, two or more, whose sizes differ by one row at most.
    n_test_groups
        Number k of groups in a test, from 1 to N - 1.
    embargo
        Time kept free on both sides of each test label, on top of the purge.
    first_test_fraction
        Share of the rows, in [0, 1), that comes before the first group.

    Raises
    ------
    ParamsError
        If a value is out of range.

    References
    ----------
    M. López de Prado, *Advances in Financial Machine Learning*, Wiley 2018, section 12.4.

    Examples
    --------
    >>> splitter = CombinatorialPurged(6, 2, pd.Timedelta(0))
    >>> splitter.get_n_splits(), splitter.n_paths
    (15, 5)
    >>> splitter.path_splits()[:2].tolist()
    [[0, 0, 1, 2, 3, 4], [1, 5, 5, 6, 7, 8]]
    """

    def __init__(
        self, n_groups: int, n_test_groups: int, embargo: pd.Timedelta, first_test_fraction: float = 0.0
    ) -> None:
        if n_groups < 2:
            raise ParamsError(f"{n_groups} groups", rule="two groups or more", remedy="raise the number of groups")
        if not 1 <= n_test_groups < n_groups:
            raise ParamsError(
                f"{n_test_groups} test groups of {n_groups}",
                rule="one or more, and one at least is left to train on",
                remedy=f"choose 1 to {n_groups - 1}; 2 is usual",
            )
        if not 0 <= first_test_fraction < 1:
            raise ParamsError(
                f"first_test_fraction is {first_test_fraction}",
                rule="0 or more, and below 1, so that there is something to test",
                remedy="use 0 to test every row",
            )
        super().__init__(embargo)
        self.first_test_fraction = first_test_fraction
        self.n_groups = n_groups
        self.n_test_groups = n_test_groups

    def get_n_splits(self, X: object = None, y: object = None, t_end: object = None) -> int:
        """Number of choices, C(N, k)."""
        return comb(self.n_groups, self.n_test_groups)

    @property
    def n_paths(self) -> int:
        """Number of complete paths, k/N · C(N, k)."""
        return comb(self.n_groups - 1, self.n_test_groups - 1)

    def path_splits(self) -> NDArray[np.intp]:
        """Which split forecasts which group on which path.

        Returns
        -------
        ndarray of shape (n_paths, n_groups)
            Numbers of splits, in the order of :meth:`split`. A group's splits are handed to the paths in their order,
            so each forecast is on one path, and each path has each group once.
        """
        tested = np.zeros((self.get_n_splits(), self.n_groups), dtype=bool)
        for number, groups in enumerate(self._choices()):
            tested[number, list(groups)] = True
        return np.stack([np.flatnonzero(column) for column in tested.T], axis=1)

    def paths(self, forecasts: Sequence[pd.Series]) -> pd.DataFrame:
        """Assemble what the splits said about their test rows into complete out-of-sample paths.

        Parameters
        ----------
        forecasts
            One series for each split, in the order of :meth:`split`, on the index of the split's test rows.

        Returns
        -------
        DataFrame
            All rows of the groups in time order; one column for each path, 0 to ``n_paths - 1``. Each row stands on
            each path once.

        Raises
        ------
        EngineError
            If a series is missing, or does not stand on the test rows of its split.
        """
        if len(forecasts) != self.get_n_splits():
            raise EngineError(
                f"{len(forecasts)} series of forecasts for {self.get_n_splits()} splits",
                rule="one for each split, in their order",
                remedy="predict the test rows of every split",
            )
        index = forecasts[0].index
        for forecast in forecasts[1:]:
            index = index.union(forecast.index)
        groups = _blocks(len(index), self.n_groups)
        for number, (chosen, forecast) in enumerate(zip(self._choices(), forecasts, strict=True), start=1):
            if not forecast.index.equals(index[np.concatenate([groups[group] for group in chosen])]):
                raise EngineError(
                    f"the forecasts of split {number} are not about its test rows",
                    where=f"{len(forecast)} forecasts; groups {', '.join(str(group + 1) for group in chosen)}",
                    rule="a value for each test row, in time order",
                    remedy="give each series the index of the rows it forecasts",
                )
        columns = {
            path: pd.concat(
                [forecasts[split].reindex(index[group]) for split, group in zip(splits, groups, strict=True)]
            )
            for path, splits in enumerate(self.path_splits())
        }
        return pd.DataFrame(columns, index=index)

    def _choices(self) -> Iterator[tuple[int, ...]]:
        return combinations(range(self.n_groups), self.n_test_groups)

    def _folds(self, rows: int) -> Iterator[tuple[Positions, Positions]]:
        first = int(rows * self.first_test_fraction)
        groups = [first + block for block in _blocks(rows - first, self.n_groups)]
        for chosen in self._choices():
            test = np.concatenate([groups[group] for group in chosen])
            yield _others(rows, test), test


def clear_of(
    index: pd.DatetimeIndex, known: pd.DatetimeIndex, train: Positions, test: Positions, embargo: pd.Timedelta
) -> NDArray[np.bool_]:
    """Which training rows have a label that overlaps no test label.

    Row i is clear of test row j if i's label was known an embargo before j's bar opened, or i's bar opened an
    embargo after j's label was known. A test row without a label stands for the moment of its stamp; a training row
    without one is never clear.

    Parameters
    ----------
    index
        Stamp of each of n rows, strictly increasing.
    known
        ``t_end`` of each row, in any order, NaT where there is no label.
    train, test
        Positions of rows; ``test`` in time order.
    embargo
        Time kept free on both sides.

    Returns
    -------
    ndarray
        One value for each training row.
    """
    margin = embargo.as_unit("ns").value
    start = index.as_unit("ns").asi8
    end = known.as_unit("ns").asi8
    labelled = np.asarray(known.notna())
    opens = start[test] - margin
    closes = np.where(labelled[test], end[test], start[test]) + margin
    # Of the tests that open before the label is known, the one that lasts longest decides: sorted stamps make them a
    # prefix, and its running maximum is right whatever order the labels end in.
    before = np.searchsorted(opens, end[train], side="left")
    longest = np.concatenate([[np.iinfo(np.int64).min], np.maximum.accumulate(closes)])[before]
    clear: NDArray[np.bool_] = labelled[train] & (longest <= start[train])
    return clear


def _blocks(rows: int, count: int) -> list[Positions]:
    if rows < count:
        raise TooFewBarsError(
            f"{rows} rows are too few for {count} blocks",
            rule="each block holds a row",
            remedy=f"give at least {count} rows, or lower the number of blocks",
        )
    return np.array_split(np.arange(rows, dtype=np.intp), count)


def _others(rows: int, test: Positions) -> Positions:
    left = np.ones(rows, dtype=bool)
    left[test] = False
    return np.flatnonzero(left)


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
    known = pd.DatetimeIndex(t_end)
    if (known.tz is None) != (index.tz is None) or (known <= index).any():
        raise EngineError(
            "t_end is not later than its row's stamp",
            where=f"t_end in {known.tz or 'no time zone'}, stamps in {index.tz or 'none'}",
            rule="a label is known after the bar that decides has opened, on the same clock",
            remedy="take t_end from the labels stage, in UTC",
        )
    return known
