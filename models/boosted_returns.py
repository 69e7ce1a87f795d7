"""Mean and quantiles of returns by gradient-boosted trees (XGBoost; Chen and Guestrin 2016)."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from models.base import Float64
from models.returns import ReturnModel
from models.windows import Float32, Positions

if TYPE_CHECKING:
    import onnx


class BoostedReturns(ReturnModel):
    """Trees for the mean by squared error, and trees for each quantile by its pinball loss.

    Parameters
    ----------
    levels
        Of the quantiles, rising, between 0 and 1.
    n_estimators, max_depth, learning_rate, subsample, colsample_bytree, min_child_weight, reg_lambda
        As :class:`models.gradient_boosting.XGBoost` has them; here a row's weight in a leaf is its own.
    seed
        Of the subsamples.
    """

    name = "xgboost"

    def __init__(
        self,
        *,
        levels: Sequence[float],
        n_estimators: int,
        max_depth: int,
        learning_rate: float,
        subsample: float,
        colsample_bytree: float,
        min_child_weight: float,
        reg_lambda: float,
        seed: int,
    ) -> None:
        self.levels = levels
        self.n_estimators = n_estimators
        self.max_depth = max_depth
        self.learning_rate = learning_rate
        self.subsample = subsample
        self.colsample_bytree = colsample_bytree
        self.min_child_weight = min_child_weight
        self.reg_lambda = reg_lambda
        self.seed = seed

    def _fit(self, values: Float32, rows: Positions, returns: Float64, weights: Float64, t_end: pd.Series) -> None:
        from xgboost import XGBRegressor

        keywords = {key: value for key, value in self.get_params(deep=False).items() if key not in ("levels", "seed")}
        losses: list[dict[str, Any]] = [{"objective": "reg:squarederror"}]
        losses += [{"objective": "reg:quantileerror", "quantile_alpha": level} for level in self.levels]
        # Where a loss starts from is measured here: the graph's converter must be told, and knows a number only.
        starts = [float(np.average(returns, weights=weights))]
        starts += [weighted_quantile(returns, weights, level) for level in self.levels]
        self.boosters_ = [
            XGBRegressor(
                **keywords, **loss, base_score=float(start), tree_method="hist", n_jobs=1, random_state=self.seed,
                verbosity=0,
            ).fit(values[rows], returns, sample_weight=weights)
            for loss, start in zip(losses, starts, strict=True)
        ]  # fmt: skip

    def _predict(self, values: Float32, ends: Positions) -> NDArray[np.floating]:
        return np.column_stack([booster.predict(values[ends]) for booster in self.boosters_])

    def _to_onnx(self) -> "Sequence[onnx.ModelProto]":
        from models.onnx_returns import regression_graph

        return [regression_graph(booster, features=self.n_features_in_) for booster in self.boosters_]


def weighted_quantile(values: Float64, weights: Float64, level: float) -> float:
    """Smallest value at and below which so much of the weight lies."""
    order = np.argsort(values, kind="stable")
    below = np.cumsum(weights[order])
    return float(values[order][np.searchsorted(below, level * below[-1])])
