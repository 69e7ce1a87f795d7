"""The interface that every model keeps, and what all single models share."""

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.base import BaseEstimator

from models.feature_names import require_names
from models.windows import Float32, Positions, as_float32, complete_windows
from trading.errors import ModelError

if TYPE_CHECKING:
    import onnx

Float64 = NDArray[np.float64]


class SignalModel(BaseEstimator, ABC):
    """Probability that the price rises over the horizon, decided at the close of bar t.

    ``X`` is always the two-dimensional feature frame, one row a bar, in time order. Rows that must not be learnt from
    stay in it with a NaN in ``y`` (or a NaT in ``t_end``, or a weight of zero): they are context for the windows of
    later rows and nothing else, so windows are made of consecutive bars even where a purge removed labels. Features
    are seen as float32 by every family, as they are by the graphs that serve them. A row whose window holds a value
    that is not finite in a row of context is never learnt from, and its probability is NaN; a labelled row that is not
    finite itself is refused.

    If the training labels are of one class only, that class is predicted with certainty.

    Constructors take explicit keywords and store them unchanged; what a fit finds ends in an underscore. Everything
    runs on one thread, and the same seed gives the same probabilities bit for bit.

    Attributes
    ----------
    classes_
        ``[0, 1]``: fall, rise.
    feature_names_in_
        Columns of the fit, in order.
    """

    classes_: NDArray[np.int64]
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

    @abstractmethod
    def fit(self, X: pd.DataFrame, y: pd.Series, *, t_end: pd.Series, sample_weight: pd.Series | None = None) -> Self:
        """Learn from the labelled rows.

        Parameters
        ----------
        X
            Feature frame in time order, context rows included.
        y
            1 for a rise, 0 for a fall, NaN for rows that are context only; index of ``X``.
        t_end
            Time at which each label is known; rows with NaT are context only; index of ``X``.
        sample_weight
            Not negative; index of ``X``. None weighs all rows alike.

        Raises
        ------
        ModelError
            If the frames do not belong together, are out of order, or hold too few labelled rows, or a labelled row
            with a value that is not finite.
        """

    @abstractmethod
    def predict_proba(self, X: pd.DataFrame) -> pd.DataFrame:
        """Probability of each class for each row.

        Parameters
        ----------
        X
            Feature frame in time order with the columns of the fit.

        Returns
        -------
        DataFrame
            Index of ``X``, columns ``classes_``; NaN where a row has no complete window. Row t depends on rows up to t
            only, and is known at the close of bar t.

        Raises
        ------
        ModelError
            Before a fit, or for other columns than those of the fit.
        """

    @abstractmethod
    def to_onnx(self) -> "onnx.ModelProto":
        """The fitted model as a graph.

        Returns
        -------
        ModelProto
            Input ``input``, float32, (N, features) or (N, window, features) of raw features; output ``prob_up``,
            float32, (N, 1). Equal models give equal bytes.
        """

    def _require_fitted(self) -> None:
        if not hasattr(self, "feature_names_in_"):
            raise ModelError(f"{self.name} is not fitted", rule="fit comes first", remedy="call fit")


class SingleModel(SignalModel):
    """One learner: checks, windows and the case of a single class are here; families add what is theirs.

    Attributes
    ----------
    constant_
        The only class there was, or None.
    """

    constant_: float | None

    def fit(self, X: pd.DataFrame, y: pd.Series, *, t_end: pd.Series, sample_weight: pd.Series | None = None) -> Self:
        """As :meth:`SignalModel.fit`."""
        labels, weights = aligned(X, y, t_end, sample_weight)
        values = as_float32(X)
        ends = complete_windows(values, self.window)
        require_finite(X, values, ~np.isnan(labels) & (weights > 0), name=self.name)
        rows = ends[~np.isnan(labels[ends]) & (weights[ends] > 0)]
        if len(rows) < (needed := self._rows_needed()):
            raise ModelError(
                f"{len(rows)} labelled rows are too few to fit {self.name}",
                where=f"{len(X)} rows of features, {len(ends)} of them with a complete window of {self.window}",
                rule=f"at least {needed} labelled rows with complete windows",
                remedy="give more bars, or settings that need fewer",
            )
        self.classes_ = np.array([0, 1])
        self.feature_names_in_ = np.asarray(X.columns, dtype=object)
        self.n_features_in_ = X.shape[1]
        present = np.unique(labels[rows])
        self.constant_ = float(present[0]) if len(present) == 1 else None
        if self.constant_ is None:
            self._fit(values, rows, labels[rows], weights[rows], t_end.iloc[rows])
        return self

    def predict_proba(self, X: pd.DataFrame) -> pd.DataFrame:
        """As :meth:`SignalModel.predict_proba`."""
        self._require_fitted()
        require_names(self.feature_names_in_.tolist(), X.columns, where=f"{self.name}.predict_proba")
        in_time_order(X)
        values = as_float32(X)
        ends = complete_windows(values, self.window)
        up = np.full(len(X), np.nan)
        if len(ends):
            up[ends] = self._predict(values, ends) if self.constant_ is None else self.constant_
        return probabilities(up, X.index)

    def to_onnx(self) -> "onnx.ModelProto":
        """As :meth:`SignalModel.to_onnx`."""
        from models.onnx_export import constant_graph

        self._require_fitted()
        if self.constant_ is not None:
            return constant_graph(self.constant_, window=self.window, features=self.n_features_in_)
        return self._to_onnx()

    def _rows_needed(self) -> int:
        """Labelled rows below which a fit could learn nothing."""
        return 2

    @abstractmethod
    def _fit(self, values: Float32, rows: Positions, labels: Float64, weights: Float64, t_end: pd.Series) -> None:
        """Learn both classes from the windows that end at ``rows``, whose labels are known at ``t_end``."""

    @abstractmethod
    def _predict(self, values: Float32, ends: Positions) -> NDArray[Any]:
        """Probability of a rise for the windows that end at ``ends``."""

    @abstractmethod
    def _to_onnx(self) -> "onnx.ModelProto":
        """Graph of a model that has seen both classes."""


def probabilities(up: NDArray[Any], index: pd.Index) -> pd.DataFrame:
    """Frame of both classes from the probability of a rise."""
    up = np.asarray(up, dtype=np.float64)
    return pd.DataFrame({0: 1 - up, 1: up}, index=index)


def in_time_order(X: pd.DataFrame) -> None:
    """Refuse a frame that is not."""
    if not (X.index.is_monotonic_increasing and X.index.is_unique):
        raise ModelError(
            "features are not in time order", rule="a strictly increasing index", remedy="sort the frame by time"
        )


def require_finite(X: pd.DataFrame, values: Float32, learnt: NDArray[np.bool_], *, name: str) -> None:
    """Refuse rows that are to be learnt from and hold what is not finite, naming the columns.

    Parameters
    ----------
    X, values
        Features, and as float32, shape (n, features).
    learnt
        Which rows have a label and a weight, shape (n,).
    name
        Of who would learn.

    Raises
    ------
    ModelError
        With the number of such rows by column, the worst ten first.
    """
    holes = (~np.isfinite(values) & learnt[:, None]).sum(axis=0)
    if not holes.any():
        return
    worst = [place for place in np.argsort(-holes, kind="stable")[:10] if holes[place]]
    rest = int((holes > 0).sum()) - len(worst)
    listed = ", ".join(f"{X.columns[place]} ({holes[place]})" for place in worst) + (
        f" and {rest} more" if rest else ""
    )
    raise ModelError(
        f"rows to learn {name} from hold NaN or infinity in {int((holes > 0).sum())} column(s): {listed}",
        where=f"{int(learnt.sum())} labelled rows",
        rule="a row with a label has all its features",
        remedy="drop the features' warm-up, or take the label away from such rows: then they are context only",
    )


def aligned(
    X: pd.DataFrame, y: pd.Series, t_end: pd.Series, sample_weight: pd.Series | None, *, classes: bool = True
) -> tuple[Float64, Float64]:
    """Labels (NaN: context only) and weights, after checking that everything stands on the index of ``X``.

    ``classes``: whether labels are 1 and 0, or returns.
    """
    in_time_order(X)
    for name, series in (("y", y), ("t_end", t_end), ("sample_weight", sample_weight)):
        if series is not None and not series.index.equals(X.index):
            raise ModelError(f"{name} does not stand on the index of X", rule="one index for all", remedy="align them")
    labels = y.to_numpy(dtype=np.float64, na_value=np.nan).copy()
    labels[t_end.isna().to_numpy()] = np.nan
    if classes and (odd := sorted(set(np.unique(labels[~np.isnan(labels)])) - {0.0, 1.0})):
        raise ModelError(f"labels hold {odd[0]:g}", rule="1, 0 or NaN", remedy="encode the direction as 1 and 0")
    if sample_weight is None:
        return labels, np.ones(len(X))
    weights = sample_weight.to_numpy(dtype=np.float64)
    if not (np.isfinite(weights) & (weights >= 0)).all():
        raise ModelError("sample weights hold a value below zero or NaN", rule="finite, not negative", remedy="mend it")
    return labels, weights
