"""Exact Shapley values of gradient-boosted trees.

Lundberg et al. (2020), "From local explanations to global understanding with explainable AI for trees", Nature Machine
Intelligence 2: the contributions of all features and a bias add up to each forecast's log odds. XGBoost computes them
itself, in time linear in its leaves, with features outside a coalition averaged by the rows that went each way.
"""

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from models.base import SignalModel
from models.crossed import Crossed
from models.gradient_boosting import XGBoost
from models.selected import Selected
from models.windows import as_float32
from pipelines.selection.groups import Groups


def contributions(model: SignalModel, X: pd.DataFrame) -> pd.DataFrame | None:
    """Shapley value of each feature in the log odds of each row.

    Parameters
    ----------
    model
        Fitted. Its own choice of features, and products that it makes of them, are looked through; what a product
        contributes is owed to its two factors in equal parts.
    X
        Features of the fit, without NaN.

    Returns
    -------
    DataFrame
        Index and columns of ``X``; zero for features that the model does not see, and all zero for one that has seen
        one class only. What is missing to the log odds is the same for every row. None if the model is not of boosted
        trees.
    """
    match model:
        case Selected():
            chosen = contributions(model.model_, X[model.columns_])
            return None if chosen is None else chosen.reindex(columns=X.columns, fill_value=0.0)
        case Crossed():
            shares = contributions(model.model_, model.extended(X))
            if shares is None:
                return None
            values = shares.to_numpy()
            own = values[:, : X.shape[1]].copy()
            for product, pair in enumerate(model.pairs_, start=X.shape[1]):
                own[:, pair] += values[:, [product]] / 2
            return pd.DataFrame(own, index=X.index, columns=X.columns)
        case XGBoost():
            return _of_trees(model, X)
        case _:
            return None


def _of_trees(model: XGBoost, X: pd.DataFrame) -> pd.DataFrame:
    if model.constant_ is not None:
        return pd.DataFrame(0.0, index=X.index, columns=X.columns)
    import xgboost

    rows = xgboost.DMatrix(as_float32(X), nthread=1)
    values: NDArray[np.float32] = model.booster_.get_booster().predict(rows, pred_contribs=True)
    return pd.DataFrame(values[:, :-1].astype(np.float64), index=X.index, columns=X.columns)


def mean_size(values: pd.DataFrame, groups: Groups) -> pd.Series:
    """Mean absolute contribution of each group, numbered from 0: contributions add up before they are measured.

    Twins that share what one of them alone would contribute count as that one.
    """
    sizes = [values[list(group)].sum(axis=1).abs().mean() for group in groups]
    return pd.Series(sizes, dtype=float)


def directions(values: pd.DataFrame, X: pd.DataFrame) -> pd.Series:
    """Rank correlation of each feature with its contribution: 1 if more of it always speaks for a rise, -1 for a fall.

    NaN where either does not vary.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        return X[values.columns].rank().corrwith(values.rank())
