"""Mean and quantiles of returns by gradient-boosted trees (XGBoost; Chen and Guestrin 2016)."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from models.base import Float64
from models.gradient_boosting import XGBoost
from models.returns import ReturnModel
from models.windows import Float32, Positions

if TYPE_CHECKING:
    import onnx


class BoostedReturns(ReturnModel):
    """Trees for the mean by squared error, and trees for each quantile by its pinball loss.

    Parameters
    ----------
    trees
        Unfitted trees for directions: their settings and seed. Here a row's weight in a leaf is its own.
    levels
        Of the quantiles, rising, between 0 and 1.
    """

    name = "xgboost"

    def __init__(self, trees: XGBoost, levels: Sequence[float]) -> None:
        self.trees = trees
        self.levels = levels

    def _fit(self, values: Float32, rows: Positions, returns: Float64, weights: Float64, t_end: pd.Series) -> None:
        from xgboost import XGBRegressor

        keywords = self.trees.get_params(deep=False)
        seed = keywords.pop("seed")
        losses: list[dict[str, Any]] = [{"objective": "reg:squarederror"}]
        losses += [{"objective": "reg:quantileerror", "quantile_alpha": level} for level in self.levels]
        # Where a loss starts from is measured here: the graph's converter must be told, and knows a number only.
        starts = [float(np.average(returns, weights=weights))]
        starts += [weighted_quantile(returns, weights, level) for level in self.levels]
        self.boosters_ = [
            XGBRegressor(
                **keywords, **loss, base_score=float(start), tree_method="hist", n_jobs=1, random_state=seed,
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
