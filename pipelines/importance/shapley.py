"""Exact Shapley values of gradient-boosted trees.

Lundberg et al. (2020), "From local explanations to global understanding with explainable AI for trees", Nature Machine
Intelligence 2: the contributions of all features and a bias add up to each forecast's log odds. XGBoost computes them
itself, in time linear in its leaves, with features outside a coalition averaged by the rows that went each way.
"""

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from models.base import SignalModel
from models.gradient_boosting import XGBoost
from models.selected import Selected
from models.windows import as_float32
from pipelines.selection.groups import Groups


def boosted_trees(model: SignalModel) -> tuple[XGBoost, list[str]] | None:
    """The boosted trees in a fitted model and the columns they see; None if it has others."""
    inner = model.model_ if isinstance(model, Selected) else model
    return (inner, list(inner.feature_names_in_)) if isinstance(inner, XGBoost) else None


def contributions(model: XGBoost, X: pd.DataFrame) -> pd.DataFrame:
    """Shapley value of each feature in the log odds of each row.

    Parameters
    ----------
    model
        Fitted.
    X
        Features of the fit, without NaN.

    Returns
    -------
    DataFrame
        Index and columns of ``X``; all zero for a model that has seen one class only. What is missing to the log odds
        is the same for every row.
    """
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
