"""Gradient-boosted trees by XGBoost (Chen and Guestrin 2016)."""

from typing import TYPE_CHECKING, Any

import pandas as pd
from numpy.typing import NDArray

from models.base import Float64, SingleModel
from models.windows import Float32, Positions

if TYPE_CHECKING:
    import onnx

# p(1 - p), the weight that a row adds to its leaf, is largest at p = 1/2.
_LARGEST_HESSIAN = 0.25


class XGBoost(SingleModel):
    """Trees fitted one after the other to the gradient of the log loss.

    Parameters
    ----------
    n_estimators, max_depth
        Number and depth of the trees.
    learning_rate
        Share of each tree that is added.
    subsample, colsample_bytree
        Fractions of the labelled rows and of the features that each tree sees.
    min_child_weight
        Smallest sum of ``p(1 - p)`` in a leaf: about a quarter of its weighted rows.
    reg_lambda
        Ridge penalty on the values of the leaves.
    seed
        Of the subsamples.
    """

    name = "xgboost"

    def __init__(
        self,
        *,
        n_estimators: int,
        max_depth: int,
        learning_rate: float,
        subsample: float,
        colsample_bytree: float,
        min_child_weight: float,
        reg_lambda: float,
        seed: int,
    ) -> None:
        self.n_estimators = n_estimators
        self.max_depth = max_depth
        self.learning_rate = learning_rate
        self.subsample = subsample
        self.colsample_bytree = colsample_bytree
        self.min_child_weight = min_child_weight
        self.reg_lambda = reg_lambda
        self.seed = seed

    @property
    def importances_(self) -> pd.Series:
        """Mean gain by feature, adding up to one; all zero for a constant model or one without a split."""
        self._require_fitted()
        values = 0.0 if self.constant_ is not None else self.booster_.feature_importances_
        return pd.Series(values, index=self.feature_names_in_, name="importance", dtype=float)

    def _rows_needed(self) -> int:
        # With unit weights, fewer rows than this cannot be split even once.
        return max(2, int(-(-2 * self.min_child_weight // (_LARGEST_HESSIAN * self.subsample))))

    def _fit(self, values: Float32, rows: Positions, labels: Float64, weights: Float64, t_end: pd.Series) -> None:
        from xgboost import XGBClassifier

        self.booster_ = XGBClassifier(
            objective="binary:logistic",
            tree_method="hist",
            n_estimators=self.n_estimators,
            max_depth=self.max_depth,
            learning_rate=self.learning_rate,
            subsample=self.subsample,
            colsample_bytree=self.colsample_bytree,
            min_child_weight=self.min_child_weight,
            reg_lambda=self.reg_lambda,
            n_jobs=1,
            random_state=self.seed,
            verbosity=0,
        ).fit(values[rows], labels.astype(int), sample_weight=weights)

    def _predict(self, values: Float32, ends: Positions) -> NDArray[Any]:
        up: NDArray[Any] = self.booster_.predict_proba(values[ends])[:, 1]
        return up

    def _to_onnx(self) -> "onnx.ModelProto":
        from models.onnx_export import xgboost_graph

        return xgboost_graph(self.booster_, features=self.n_features_in_)
