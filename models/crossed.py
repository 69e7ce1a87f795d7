"""A model that also sees products of two features which together say what neither says alone.

Whether a move goes on may depend on the volume behind it, or on whether the market trends just now: each of the two
columns is then useless by itself, no split on one of them gains anything, and learners that look at one column at a
time find the pair by luck. All pairs are screened at once instead, by how far their product goes with the label, as a
screening for interactions does that demands no main effects (cf. Hao and Zhang 2014, "Interaction screening for
ultrahigh-dimensional data", Journal of the American Statistical Association 109).
"""

from typing import TYPE_CHECKING, Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.base import clone

from models.base import Float64, SignalModel, aligned, probabilities
from models.feature_names import require_names
from models.overlap import labels_at_once
from models.scaling import RobustScaler
from models.windows import Float32, as_float32, complete_windows
from models.wrapped import Wrapped

if TYPE_CHECKING:
    import onnx

# Spreads at which a factor is cut: little more than its sign is left, so that a pair acts like two thresholds.
REACH = 1.0
# Standard errors from zero that make a product worth a column: of 20,000 pairs of noise one fit in seven finds one.
LEAST = 4.5
# Two products that go together like this, in correlation, are one.
_ALIKE = 0.7
# Rows that are summed at a time: no second copy of the columns.
_ROWS = 1 << 14
# Pairs that are looked at, from the best down, for ones that are not alike.
_CANDIDATES = 2000


class Crossed(Wrapped):
    """A model on all features and on products of pairs of them, chosen among the rows of the fit.

    From outside it is a model of the features alone.

    Parameters
    ----------
    model
        Unfitted; a fit works on a clone of it.
    keep
        Most products that it is given; those that say nothing beyond chance are left out, so there may be none.

    Attributes
    ----------
    pairs_
        Positions of the factors of each product among the features, strongest product first.
    scaler_
        What brings factors to one scale.
    model_
        The fitted model of features and products.
    """

    pairs_: list[tuple[int, int]]

    def __init__(self, model: SignalModel, keep: int) -> None:
        self.model = model
        self.keep = keep

    def fit(self, X: pd.DataFrame, y: pd.Series, *, t_end: pd.Series, sample_weight: pd.Series | None = None) -> Self:
        """Choose products, then fit a clone of the model; parameters and errors as :meth:`SignalModel.fit`."""
        labels, weights = aligned(X, y, t_end, sample_weight)
        values = as_float32(X)
        ends = complete_windows(values, self.window)
        rows = ends[~np.isnan(labels[ends]) & (weights[ends] > 0)]
        self.pairs_ = []
        if len(np.unique(labels[rows])) == 2:
            self.scaler_ = RobustScaler.fit(values, rows)
            factors = _factors(self.scaler_, values[rows])
            shared = labels_at_once(X.index[rows], t_end.iloc[rows])
            self.pairs_ = telling_pairs(factors, labels[rows], weights[rows], self.keep, shared=shared)
        self.feature_names_in_ = np.asarray(X.columns, dtype=object)
        self.n_features_in_ = X.shape[1]
        self.model_ = clone(self.model).fit(self.extended(X), y, t_end=t_end, sample_weight=sample_weight)
        self.classes_ = self.model_.classes_
        return self

    def extended(self, X: pd.DataFrame) -> pd.DataFrame:
        """Features and products as the model sees them, float32; a product is named ``a × b``."""
        if not self.pairs_:
            return X
        values = as_float32(X)
        left, right = np.array(self.pairs_).T
        factors = _factors(self.scaler_, values)
        names = [f"{X.columns[i]} × {X.columns[j]}" for i, j in self.pairs_]
        return pd.DataFrame(
            np.concatenate([values, factors[:, left] * factors[:, right]], axis=1),
            index=X.index,
            columns=[*X.columns, *names],
        )

    def predict_proba(self, X: pd.DataFrame) -> pd.DataFrame:
        """As :meth:`SignalModel.predict_proba`."""
        self._require_fitted()
        require_names(self.feature_names_in_.tolist(), X.columns, where=f"{self.name}.predict_proba")
        return probabilities(self.model_.predict_proba(self.extended(X))[1].to_numpy(), X.index)

    def to_onnx(self) -> "onnx.ModelProto":
        """The model's graph behind the products; see :meth:`SignalModel.to_onnx`."""
        from models.onnx_export import crossed_graph

        self._require_fitted()
        graph = self.model_.to_onnx()
        if not self.pairs_:
            return graph
        return crossed_graph(
            graph,
            self.pairs_,
            self.scaler_.centre,
            self.scaler_.scale,
            REACH,
            window=self.window,
            features=self.n_features_in_,
        )


def telling_pairs(
    factors: NDArray[np.floating], labels: Float64, weights: Float64, keep: int, *, shared: float
) -> list[tuple[int, int]]:
    """Pairs of columns whose product goes with the label further than chance would have it, the strongest first.

    Parameters
    ----------
    factors
        Columns on one scale, shape (n, k).
    labels, weights
        1 or 0, and not negative, shape (n,).
    keep
        Most pairs.
    shared
        Mean number of labels whose time a label shares, itself included: so many rows tell as much as one.

    Returns
    -------
    list of pairs of int
        ``i < j``; none of two products that correlate by more than 0.7 with one that is stronger.
    """
    n = len(labels)
    centre, spread = factors.mean(axis=0, dtype=np.float64), factors.std(axis=0, dtype=np.float64)
    # A constant column makes every product a copy of its other factor, or nothing.
    usable = np.flatnonzero(spread > 1e-9)
    if len(usable) < 2:
        return []
    wanted = weights * (labels - np.average(labels, weights=weights))
    mean, square, going = np.zeros((3, len(usable), len(usable)))
    for begin in range(0, n, _ROWS):
        some = slice(begin, begin + _ROWS)
        z = (factors[some, usable] - centre[usable]) / spread[usable]
        mean += z.T @ z / n
        square += (z**2).T @ z**2 / n
        going += z.T @ (z * wanted[some, None]) / n
    variance = square - mean**2
    error = np.sqrt(np.maximum(variance, 0) * wanted.var() * shared / n)
    with np.errstate(divide="ignore", invalid="ignore"):
        distance = np.abs(np.where(variance > 1e-9, (going - mean * wanted.mean()) / error, 0.0))
    first, second = np.triu_indices(len(usable), 1)
    # Rounded: which of two equals comes first must not hang on the order in which a sum was taken.
    found = np.round(distance[first, second], 6)
    ordered = np.argsort(-found, kind="stable")[:_CANDIDATES]
    pairs: list[tuple[int, int]] = []
    chosen = np.empty((min(keep, len(ordered)), n), dtype=np.float32)
    for place in ordered[found[ordered] > LEAST]:
        if len(pairs) == keep:
            break
        i, j = usable[first[place]], usable[second[place]]
        product = (factors[:, i] - centre[i]) * (factors[:, j] - centre[j])
        product = (product - product.mean()) / product.std()
        if len(pairs) and np.abs(chosen[: len(pairs)] @ product).max() > _ALIKE * n:
            continue
        chosen[len(pairs)] = product
        pairs.append((int(i), int(j)))
    return pairs


def _factors(scaler: RobustScaler, values: Float32) -> Float32:
    """Columns in spreads from their centre, cut at ``REACH``: in float32, operation by operation as in the graph."""
    return np.clip(scaler.apply(values), np.float32(-REACH), np.float32(REACH))
