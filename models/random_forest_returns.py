"""Random forest (Breiman 2001) of the expected return, and quantiles by who shares its leaves (Meinshausen 2006)."""

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from models.base import Float64
from models.return_model import Levels, ReturnModel
from models.windows import Float32, Positions

if TYPE_CHECKING:
    import onnx
    from scipy.sparse import csr_matrix

# Rows that are answered at a time: their weights on all training rows are held at once.
_BATCH = 256
# A weighted share is summed up in floating point; a level is reached within this.
_ROUNDING = 1e-9


class RandomForestReturns(ReturnModel):
    """Mean of the leaves that a row falls into; quantiles of the training returns weighted by shared leaves.

    In each tree, the training rows of the leaf share a weight of one; the mean over the trees weighs every training
    return, and any quantile can be read off. All training rows are dropped down all trees, drawn for them or not.

    Parameters
    ----------
    n_estimators, max_depth
        Number and depth of the trees.
    min_samples_leaf
        Labelled rows that a leaf holds at least: with overlapping labels, far fewer independent ones.
    max_features
        Fraction of the features that a split chooses from.
    max_samples
        Size of the bootstrap sample as a fraction of the labelled rows.
    seed
        Of bootstrap samples and splits.
    volatility
        Column in whose units returns are learnt; None learns them as they are.

    References
    ----------
    Meinshausen, N. (2006), "Quantile Regression Forests", Journal of Machine Learning Research 7, 983-999.
    """

    name = "random_forest"

    def __init__(
        self,
        *,
        n_estimators: int,
        max_depth: int,
        min_samples_leaf: int,
        max_features: float,
        max_samples: float,
        seed: int,
        volatility: str | None,
    ) -> None:
        self.n_estimators = n_estimators
        self.max_depth = max_depth
        self.min_samples_leaf = min_samples_leaf
        self.max_features = max_features
        self.max_samples = max_samples
        self.seed = seed
        self.volatility = volatility

    @property
    def exports_quantiles(self) -> bool:
        """False: a quantile needs every training return."""
        return False

    def _rows_needed(self) -> int:
        # A tree draws max_samples of the rows and cannot split fewer than two leaves' worth.
        return int(-(-2 * self.min_samples_leaf // self.max_samples))

    def _fit(self, values: Float32, rows: Positions, targets: Float64, weights: Float64, t_end: pd.Series) -> None:
        from sklearn.ensemble import RandomForestRegressor

        self.forest_ = RandomForestRegressor(
            n_estimators=self.n_estimators,
            max_depth=self.max_depth,
            min_samples_leaf=self.min_samples_leaf,
            max_features=self.max_features,
            max_samples=self.max_samples,
            n_jobs=1,
            random_state=self.seed,
        ).fit(values[rows], targets, weights)
        # In the order of the returns, so that a running sum of weights is their distribution.
        order = np.argsort(targets, kind="stable")
        self.targets_ = targets[order]
        held = self._incidence(values[rows][order], weights[order])
        # In a leaf, the weights of its training rows add up to one; inner nodes hold none.
        sums = np.maximum(held.sum(axis=0), np.finfo(np.float64).tiny)
        self.shares_ = held.multiply(1 / sums).T.tocsr()

    def _mean(self, values: Float32, ends: Positions) -> NDArray[Any]:
        expected: NDArray[Any] = self.forest_.predict(values[ends])
        return expected

    def _quantiles(self, values: Float32, ends: Positions, levels: Levels) -> NDArray[Any]:
        found = np.empty((len(ends), len(levels)))
        for start in range(0, len(ends), _BATCH):
            batch = values[ends[start : start + _BATCH]]
            weights = (self._incidence(batch, np.ones(len(batch))) @ self.shares_).toarray()
            reached = np.cumsum(weights, axis=1)
            reached /= reached[:, -1:]
            for column, level in enumerate(levels):
                first = np.argmax(reached >= level - _ROUNDING, axis=1)
                found[start : start + _BATCH, column] = self.targets_[first]
        return found

    def _incidence(self, rows: Float32, weights: Float64) -> "csr_matrix":
        """Rows by the leaves of all trees: a row's weight in each leaf that it falls into."""
        from scipy.sparse import csr_matrix

        sizes = [tree.tree_.node_count for tree in self.forest_.estimators_]
        columns = self.forest_.apply(rows) + np.concatenate([[0], np.cumsum(sizes)[:-1]])
        data = np.repeat(weights, len(sizes))
        starts = np.arange(0, columns.size + 1, len(sizes))
        return csr_matrix((data, columns.ravel(), starts), shape=(len(rows), sum(sizes)))

    def _graphs(self, levels: Levels) -> "list[onnx.ModelProto]":
        from models.onnx_export import converted_forest

        return [converted_forest(self.forest_, features=self.n_features_in_)]
