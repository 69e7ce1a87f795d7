"""Models of the return itself, its expected value and its quantiles, beside those of its direction."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.base import BaseEstimator

from models.base import Float64, on_one_index, require_order, require_rows
from models.feature_names import require_names
from models.windows import Float32, Positions, as_float32, complete_windows
from trading.errors import ModelError

if TYPE_CHECKING:
    import onnx

Levels = tuple[float, ...]


class ReturnModel(BaseEstimator, ABC):
    """Expected return over the horizon and quantiles of it, decided at the close of bar t.

    Returns are learnt in units of a volatility that is known at the same close, and forecasts are given back in
    returns: how wide the market swings just now is then no longer the model's to learn, and a turbulent month weighs no
    more than a calm one (Engle 1982 shows why errors that swell and shrink must be weighed). Rows without a positive
    volatility are not learnt from, and nothing is expected to move in them.

    ``X`` and its context rows are as :class:`models.base.SignalModel` has them. Families implement the four abstract
    methods with an underscore; constructors take ``volatility`` among their explicit keywords. Everything runs on one
    thread, and the same seed gives the same numbers bit for bit.

    Attributes
    ----------
    feature_names_in_
        Columns of the fit, in order.
    """

    volatility: str | None
    feature_names_in_: NDArray[np.object_]
    n_features_in_: int

    @property
    @abstractmethod
    def name(self) -> str:
        """Name of the family, as ``params.yaml`` has it."""

    @property
    def window(self) -> int:
        """Consecutive rows that a prediction looks at, its own included."""
        return 1

    @property
    def levels(self) -> Levels | None:
        """Levels of the quantiles that it was made for; None where it can tell any."""
        return None

    @property
    def exports_quantiles(self) -> bool:
        """Whether graphs can hold its quantiles, and not only the expected return."""
        return True

    def fit(self, X: pd.DataFrame, ret: pd.Series, *, t_end: pd.Series, sample_weight: pd.Series | None = None) -> Self:
        """Learn from the rows whose return is known.

        Parameters
        ----------
        X
            Feature frame in time order, context rows included.
        ret
            Simple return over the horizon; NaN for rows that are context only; index of ``X``.
        t_end
            Time at which each return is known; rows with NaT are context only; index of ``X``.
        sample_weight
            Not negative; index of ``X``. None weighs all rows alike.

        Raises
        ------
        ModelError
            If the frames do not belong together or are out of order, if a row to learn from holds a value that is not
            finite, or if there are too few of them.
        """
        returns, weights = on_one_index(X, ret, t_end, sample_weight)
        known = ~np.isnan(returns) & (weights > 0)
        values = as_float32(X)
        _require_finite(values[known], returns[known], X.columns)
        unit = self._unit(values, X.columns)
        ends = complete_windows(values, self.window)
        rows = ends[known[ends] & (unit[ends] > 0)]
        require_rows(self.name, len(rows), self._rows_needed(), where=f"{len(X)} rows, windows of {self.window}")
        self.feature_names_in_ = np.asarray(X.columns, dtype=object)
        self.n_features_in_ = X.shape[1]
        self._fit(values, rows, returns[rows] / unit[rows], weights[rows], t_end.iloc[rows])
        return self

    def predict(self, X: pd.DataFrame) -> pd.Series:
        """Expected return of each row.

        Parameters
        ----------
        X
            Feature frame in time order with the columns of the fit.

        Returns
        -------
        Series
            ``expected_return`` on the index of ``X``; NaN where a row has no complete window. Row t depends on rows up
            to t only, and is known at the close of bar t.

        Raises
        ------
        ModelError
            Before a fit, or for other columns than those of the fit.
        """
        values, ends, unit = self._usable(X)
        expected = np.full(len(X), np.nan)
        if len(ends):
            expected[ends] = self._mean(values, ends) * unit[ends]
        return pd.Series(expected, index=X.index, name="expected_return")

    def predict_quantiles(self, X: pd.DataFrame, q: Sequence[float]) -> pd.DataFrame:
        """Quantiles of each row's return.

        Quantiles that were learnt one by one may cross; sorted, they are never farther from the true ones.

        Parameters
        ----------
        X
            As :meth:`predict`.
        q
            Levels, increasing between 0 and 1; among :attr:`levels` where it has any.

        Returns
        -------
        DataFrame
            Index of ``X``, columns ``q``, not decreasing along a row; NaN where a row has no complete window.

        Raises
        ------
        ModelError
            As :meth:`predict`, and for levels that it cannot tell.

        References
        ----------
        Chernozhukov, V., Fernández-Val, I., and Galichon, A. (2010), "Quantile and Probability Curves Without
        Crossing", Econometrica 78(3), 1093-1125.
        """
        levels = self._told(q)
        values, ends, unit = self._usable(X)
        found = np.full((len(X), len(levels)), np.nan)
        if len(ends):
            found[ends] = np.sort(self._quantiles(values, ends, levels), axis=1) * unit[ends, None]
        return pd.DataFrame(found, index=X.index, columns=list(levels))

    def to_onnx(self, q: Sequence[float] = ()) -> "onnx.ModelProto":
        """The fitted model as a graph.

        Parameters
        ----------
        q
            Levels of the quantiles that follow the expected return; none by default.

        Returns
        -------
        ModelProto
            Input ``input``, float32, (N, features) or (N, window, features) of raw features; output ``returns``,
            float32, (N, 1 + levels). Equal models give equal bytes.

        Raises
        ------
        ModelError
            Before a fit, for levels that it cannot tell, and for any level where graphs cannot hold them.
        """
        from models.onnx_returns import return_graph

        self._require_fitted()
        levels = self._told(q) if len(q) else ()
        if levels and not self.exports_quantiles:
            raise ModelError(
                f"quantiles of {self.name} have no graph",
                rule="a graph holds what a family can say by a formula; these quantiles need all training rows",
                remedy="export the expected return alone, or choose a family that exports quantiles",
            )
        names = self.feature_names_in_.tolist()
        return return_graph(
            self._graphs(levels),
            unit=None if self.volatility is None else names.index(self.volatility),
            window=self.window,
            features=self.n_features_in_,
        )

    def _usable(self, X: pd.DataFrame) -> tuple[Float32, Positions, Float64]:
        """Values, ends of complete windows and units of a frame to predict."""
        self._require_fitted()
        require_names(self.feature_names_in_.tolist(), X.columns, where=f"{self.name}.predict")
        require_order(X)
        values = as_float32(X)
        return values, complete_windows(values, self.window), self._unit(values, X.columns)

    def _unit(self, values: Float32, columns: pd.Index) -> Float64:
        """What one unit of the learnt target is in returns, by row; never negative."""
        if self.volatility is None:
            return np.ones(len(values))
        if self.volatility not in columns:
            raise ModelError(
                f"no column {self.volatility!r}",
                where=f"{len(columns)} features",
                rule="the volatility that returns are measured by is one of the features",
                remedy="name a feature, or None",
            )
        return np.maximum(values[:, columns.get_loc(self.volatility)].astype(np.float64), 0.0)

    def _told(self, q: Sequence[float]) -> Levels:
        levels = tuple(float(level) for level in q)
        if not levels or not all(0 < level < 1 for level in levels) or list(levels) != sorted(set(levels)):
            raise ModelError(
                f"quantiles at {list(levels)}",
                rule="one level or more, increasing, above 0 and below 1",
                remedy="mend q",
            )
        if self.levels is not None and (strange := sorted(set(levels) - set(self.levels))):
            raise ModelError(
                f"no quantile at {strange[0]:g} in {self.name}",
                rule=f"it was made for {', '.join(f'{level:g}' for level in self.levels)}",
                remedy="name the level when it is made, or ask for one of these",
            )
        return levels

    def _require_fitted(self) -> None:
        if not hasattr(self, "feature_names_in_"):
            raise ModelError(f"{self.name} is not fitted", rule="fit comes first", remedy="call fit")

    def _rows_needed(self) -> int:
        """Labelled rows below which a fit could learn nothing."""
        return 2

    @abstractmethod
    def _fit(self, values: Float32, rows: Positions, targets: Float64, weights: Float64, t_end: pd.Series) -> None:
        """Learn the targets, in units, of the windows that end at ``rows``; they are known at ``t_end``."""

    @abstractmethod
    def _mean(self, values: Float32, ends: Positions) -> NDArray[Any]:
        """Expected target of the windows that end at ``ends``."""

    @abstractmethod
    def _quantiles(self, values: Float32, ends: Positions, levels: Levels) -> NDArray[Any]:
        """Quantiles of the target, shape (ends, levels)."""

    @abstractmethod
    def _graphs(self, levels: Levels) -> "list[onnx.ModelProto]":
        """Graphs from ``input`` to the expected target, (N, 1), and to its quantiles; no levels without graphs."""


def _require_finite(values: Float32, returns: Float64, columns: pd.Index) -> None:
    """Training rows hold numbers only: a hole in one is a fault upstream, not something to skip in silence."""
    broken = ~np.isfinite(values)
    if broken.any():
        counts = broken.sum(axis=0)
        named = [f"{columns[at]} ({counts[at]})" for at in np.flatnonzero(counts)[:5]]
        raise ModelError(
            f"{int(broken.any(axis=1).sum())} rows to learn from hold values that are not finite",
            where=", ".join(named) + (", ..." if np.count_nonzero(counts) > len(named) else ""),
            rule="all features of a row with a return are finite numbers",
            remedy="drop the features' warm-up, or take the return of such rows away",
        )
    if not np.isfinite(returns).all():
        raise ModelError(
            f"{int((~np.isfinite(returns)).sum())} returns are infinite",
            rule="finite, or NaN",
            remedy="mend the prices",
        )
