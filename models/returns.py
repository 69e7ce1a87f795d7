"""Mean and quantiles of the return over the horizon: the interface that models of returns keep, and what they share."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import TYPE_CHECKING, Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.base import BaseEstimator

from models.base import Float64, aligned, in_time_order, require_finite
from models.feature_names import require_names
from models.windows import Float32, Positions, as_float32, complete_windows
from trading.errors import ModelError

if TYPE_CHECKING:
    import onnx

MEAN = "mean"


class ReturnModel(BaseEstimator, ABC):
    """What the return over the horizon will be on average, and between what it will lie, decided at the close of bar t.

    ``X``, context rows, windows and times are as :class:`models.base.SignalModel` has them; instead of a class it
    learns ``ret``, the simple return from the open of t+1 over the horizon. Returns are learnt in units of their root
    mean square over the training rows.

    Attributes
    ----------
    scale_
        That unit.
    feature_names_in_
        Columns of the fit, in order.
    """

    levels: Sequence[float]
    scale_: float
    feature_names_in_: NDArray[np.object_]
    n_features_in_: int

    @property
    @abstractmethod
    def name(self) -> str:
        """Name of the family, as ``params.yaml`` has it."""

    @property
    def window(self) -> int:
        """Consecutive rows that a forecast looks at, its own included."""
        return 1

    def fit(self, X: pd.DataFrame, ret: pd.Series, *, t_end: pd.Series, sample_weight: pd.Series | None = None) -> Self:
        """Learn from the rows with a return.

        Parameters
        ----------
        X
            Feature frame in time order, context rows included.
        ret
            Simple return over the horizon; NaN for rows that are context only; index of ``X``.
        t_end
            Time at which each return is known; NaT for context only; index of ``X``.
        sample_weight
            Not negative; index of ``X``. None weighs all rows alike.

        Raises
        ------
        ModelError
            If the levels are none, if the frames do not belong together or are out of order, if there are too few
            rows, or a row to learn from has a hole, or if all returns are 0.
        """
        levels = np.asarray(self.levels, dtype=np.float64)
        if not len(levels) or not ((levels > 0) & (levels < 1)).all() or (np.diff(levels) <= 0).any():
            raise ModelError(
                f"quantiles at {list(self.levels)}", rule="one or more, rising, between 0 and 1", remedy="mend them"
            )
        returns, weights = aligned(X, ret, t_end, sample_weight, classes=False)
        values = as_float32(X)
        require_finite(X, values, ~np.isnan(returns) & (weights > 0), name=self.name)
        ends = complete_windows(values, self.window)
        rows = ends[~np.isnan(returns[ends]) & (weights[ends] > 0)]
        if len(rows) < (needed := self.window + len(levels)):
            raise ModelError(
                f"{len(rows)} rows with a return are too few to fit {self.name}",
                where=f"{len(X)} rows of features, {len(ends)} of them with a complete window of {self.window}",
                rule=f"at least {needed}",
                remedy="give more bars",
            )
        self.scale_ = float(np.sqrt(np.average(returns[rows] ** 2, weights=weights[rows])))
        if self.scale_ == 0:
            raise ModelError(
                f"{len(rows)} returns that are all 0", rule="something to learn", remedy="give bars whose prices move"
            )
        self.feature_names_in_ = np.asarray(X.columns, dtype=object)
        self.n_features_in_ = X.shape[1]
        self._fit(values, rows, returns[rows] / self.scale_, weights[rows], t_end.iloc[rows])
        return self

    def predict(self, X: pd.DataFrame) -> pd.Series:
        """Expected return of each row; NaN where a row has no complete window. Known at the close of the row's bar."""
        return self._all(X)[MEAN]

    def predict_quantiles(self, X: pd.DataFrame) -> pd.DataFrame:
        """Quantiles of each row's return, a column a level; a higher level is never below a lower one.

        Quantiles that were learnt one by one may cross; they are sorted, which only brings them closer to the true
        ones (Chernozhukov, Fernández-Val and Galichon 2010, "Quantile and probability curves without crossing",
        Econometrica 78).
        """
        return self._all(X).drop(columns=MEAN)

    def to_onnx(self) -> "onnx.ModelProto":
        """The fitted model as a graph.

        Returns
        -------
        ModelProto
            Input ``input``, float32, (N, features) or (N, window, features) of raw features; output ``returns``,
            float32, (N, 1 + levels): the mean, then the quantiles.
        """
        from models.onnx_returns import returns_graph

        self._require_fitted()
        return returns_graph(self._to_onnx(), self.scale_, window=self.window, features=self.n_features_in_)

    def _all(self, X: pd.DataFrame) -> pd.DataFrame:
        self._require_fitted()
        require_names(self.feature_names_in_.tolist(), X.columns, where=f"{self.name}.predict")
        in_time_order(X)
        values = as_float32(X)
        ends = complete_windows(values, self.window)
        found = np.full((len(X), 1 + len(self.levels)), np.nan)
        if len(ends):
            found[ends] = self._predict(values, ends) * self.scale_
        found[:, 1:].sort(axis=1)
        return pd.DataFrame(found, index=X.index, columns=[MEAN, *self.levels])

    def _require_fitted(self) -> None:
        if not hasattr(self, "feature_names_in_"):
            raise ModelError(f"{self.name} is not fitted", rule="fit comes first", remedy="call fit")

    @abstractmethod
    def _fit(self, values: Float32, rows: Positions, returns: Float64, weights: Float64, t_end: pd.Series) -> None:
        """Learn from the windows that end at ``rows``."""

    @abstractmethod
    def _predict(self, values: Float32, ends: Positions) -> NDArray[np.floating]:
        """Mean and quantiles for the windows that end at ``ends``, shape (n, 1 + levels)."""

    @abstractmethod
    def _to_onnx(self) -> "Sequence[onnx.ModelProto]":
        """Graphs of the parts, each with output ``prob_up`` of one or more columns, in the order of ``_predict``."""
