"""Random forest (Breiman 2001)."""

from typing import TYPE_CHECKING, Any

import pandas as pd
from numpy.typing import NDArray

from models.base import Float64, SingleModel
from models.windows import Float32, Positions

if TYPE_CHECKING:
    import onnx


class RandomForest(SingleModel):
    """Mean vote of randomised decision trees, each grown on a bootstrap sample of the labelled rows.

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
    ) -> None:
        self.n_estimators = n_estimators
        self.max_depth = max_depth
        self.min_samples_leaf = min_samples_leaf
        self.max_features = max_features
        self.max_samples = max_samples
        self.seed = seed

    @property
    def importances_(self) -> pd.Series:
        """Mean decrease of impurity by feature, adding up to one; all zero for a constant model."""
        self._require_fitted()
        values = 0.0 if self.constant_ is not None else self.forest_.feature_importances_
        return pd.Series(values, index=self.feature_names_in_, name="importance", dtype=float)

    def _rows_needed(self) -> int:
        # A tree draws max_samples of the rows and cannot split fewer than two leaves' worth.
        return int(-(-2 * self.min_samples_leaf // self.max_samples))

    def _fit(self, values: Float32, rows: Positions, labels: Float64, weights: Float64, t_end: pd.Series) -> None:
        from sklearn.ensemble import RandomForestClassifier

        self.forest_ = RandomForestClassifier(
            n_estimators=self.n_estimators,
            max_depth=self.max_depth,
            min_samples_leaf=self.min_samples_leaf,
            max_features=self.max_features,
            max_samples=self.max_samples,
            n_jobs=1,
            random_state=self.seed,
        ).fit(values[rows], labels.astype(int), weights)

    def _predict(self, values: Float32, ends: Positions) -> NDArray[Any]:
        up: NDArray[Any] = self.forest_.predict_proba(values[ends])[:, 1]
        return up

    def _to_onnx(self) -> "onnx.ModelProto":
        from models.onnx_export import forest_graph

        return forest_graph(self.forest_, features=self.n_features_in_)
