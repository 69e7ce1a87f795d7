"""Gradient-boosted trees by XGBoost (Chen and Guestrin 2016) of the expected return and of quantiles."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from models.base import Float64
from models.return_model import Levels, ReturnModel
from models.windows import Float32, Positions

if TYPE_CHECKING:
    import onnx


class XGBoostReturns(ReturnModel):
    """Trees fitted to the gradient of the squared error, and as many again to the pinball loss of each level.

    Every level has trees of its own: trees that answer for several levels at once have no converter to a graph.

    Parameters
    ----------
    n_estimators, max_depth
        Number and depth of the trees, for the expected return and for each level.
    learning_rate
        Share of each tree that is added.
    subsample, colsample_bytree
        Fractions of the labelled rows and of the features that each tree sees.
    min_child_weight
        Smallest sum of weights in a leaf.
    reg_lambda
        Ridge penalty on the values of the leaves.
    quantiles
        Levels of the quantiles, increasing; may be empty.
    seed
        Of the subsamples.
    volatility
        Column in whose units returns are learnt; None learns them as they are.

    References
    ----------
    Koenker, R., and Bassett, G. (1978), "Regression Quantiles", Econometrica 46(1), 33-50: the pinball loss.
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
        quantiles: Sequence[float],
        seed: int,
        volatility: str | None,
    ) -> None:
        self.n_estimators = n_estimators
        self.max_depth = max_depth
        self.learning_rate = learning_rate
        self.subsample = subsample
        self.colsample_bytree = colsample_bytree
        self.min_child_weight = min_child_weight
        self.reg_lambda = reg_lambda
        self.quantiles = quantiles
        self.seed = seed
        self.volatility = volatility

    @property
    def levels(self) -> Levels:
        """Those of the constructor."""
        return tuple(float(level) for level in self.quantiles)

    def _rows_needed(self) -> int:
        # With unit weights, fewer rows than this cannot be split even once.
        return max(2, int(-(-2 * self.min_child_weight // self.subsample)))

    def _fit(self, values: Float32, rows: Positions, targets: Float64, weights: Float64, t_end: pd.Series) -> None:
        learnt = values[rows]
        self.mean_ = self._regressor(objective="reg:squarederror").fit(learnt, targets, sample_weight=weights)
        self.quantiles_ = {
            level: self._regressor(objective="reg:quantileerror", quantile_alpha=level).fit(
                learnt, targets, sample_weight=weights
            )
            for level in self.levels
        }

    def _mean(self, values: Float32, ends: Positions) -> NDArray[Any]:
        expected: NDArray[Any] = self.mean_.predict(values[ends])
        return expected

    def _quantiles(self, values: Float32, ends: Positions, levels: Levels) -> NDArray[Any]:
        return np.column_stack([self.quantiles_[level].predict(values[ends]) for level in levels])

    def _graphs(self, levels: Levels) -> "list[onnx.ModelProto]":
        from models.onnx_export import converted_xgboost

        boosters = [self.mean_, *(self.quantiles_[level] for level in levels)]
        return [converted_xgboost(booster, features=self.n_features_in_) for booster in boosters]

    def _regressor(self, **objective: Any) -> Any:
        from xgboost import XGBRegressor

        return XGBRegressor(
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
            **objective,
        )
