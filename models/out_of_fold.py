"""What a model says about rows that it has not learnt from: the one way here to judge a fit inside a fit.

Calibration, stacking and early stopping need predictions for rows whose labels are known, made by models that knew
none of them. The splitter comes from outside and is purged by ``t_end``.
"""

from collections.abc import Iterator
from typing import Any, Protocol

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.base import clone

from models.base import SignalModel, aligned

Rows = NDArray[np.intp]


class Splitter(Protocol):
    """Divides labelled rows, time after time, into rows to learn from and rows to judge."""

    def split(
        self, X: "pd.DataFrame | pd.Series", y: Any = None, t_end: pd.Series | None = None, groups: None = None
    ) -> Iterator[tuple[Rows, Rows]]:
        """Positions of both, in time order; no label of the first overlaps one of the second.

        Parameters
        ----------
        X
            Any frame or series on the index of the rows.
        y, groups
            Ignored.
        t_end
            Time at which each row's label is known.
        """


def out_of_fold(
    model: SignalModel,
    X: pd.DataFrame,
    y: pd.Series,
    *,
    t_end: pd.Series,
    sample_weight: pd.Series | None,
    cv: Splitter,
) -> pd.Series:
    """Probability of a rise, for each row from a fit that did not know the row's label.

    Parameters
    ----------
    model
        Unfitted; clones of it are fitted, one a split.
    X, y, t_end, sample_weight
        As :meth:`models.base.SignalModel.fit`; context rows are context here too.
    cv
        Splits the labelled rows. Where two of its tests share a row, the later one counts.

    Returns
    -------
    Series
        Index of ``X``; NaN for rows that no test holds, that have no label, or whose window is not complete.

    Raises
    ------
    ModelError, TooFewBarsError
        What the fits and the splitter raise.
    """
    labels, weights = aligned(X, y, t_end, sample_weight)
    labelled = np.flatnonzero(~np.isnan(labels) & (weights > 0))
    known = t_end.iloc[labelled]
    up = np.full(len(X), np.nan)
    for train, test in cv.split(known, t_end=known):
        learnt, judged = labelled[train], labelled[test]
        stop = int(learnt[-1]) + 1
        kept = np.full(stop, np.nan)
        kept[learnt] = labels[learnt]
        fitted = clone(model).fit(
            X.iloc[:stop],
            pd.Series(kept, index=X.index[:stop]),
            t_end=t_end.iloc[:stop],
            sample_weight=None if sample_weight is None else sample_weight.iloc[:stop],
        )
        first = max(int(judged[0]) - fitted.window + 1, 0)
        said = fitted.predict_proba(X.iloc[first : int(judged[-1]) + 1])[1].to_numpy()
        up[judged] = said[judged - first]
    return pd.Series(up, index=X.index, name="prob_up")
