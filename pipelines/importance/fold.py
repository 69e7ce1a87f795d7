"""What one refit says about its features: on test rows that it has not seen, and on the rows it learnt from."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from models.base import SignalModel
from models.selected import Selected
from pipelines.importance.shapley import contributions, directions, mean_size
from pipelines.params import ImportanceParams
from pipelines.selection.groups import Groups
from pipelines.selection.mutual_information import excess_information
from pipelines.selection.permutation import loss_rises


@dataclass(frozen=True)
class FoldImportance:
    """One refit's measures. Groups are numbered from 0; features go by name.

    Attributes
    ----------
    rises : DataFrame
        Rise of the log loss of each judged test row when a group is permuted, in nats, mean over the families that
        read one row; without columns if there is none.
    group_shapley : Series
        Mean absolute Shapley value of each group over the judged test rows, in log odds; empty without boosted trees.
    feature_shapley, direction : Series
        The same of each feature, and whether more of it speaks for a rise (1) or a fall (-1).
    information : Series
        Mutual information of each feature and the label on the training rows, above chance, in nats.
    chosen : dict
        Columns that the selector kept for each member; empty without a selector.
    """

    rises: pd.DataFrame
    group_shapley: pd.Series
    feature_shapley: pd.Series
    direction: pd.Series
    information: pd.Series
    chosen: dict[str, list[str]]


def measure(
    models: Sequence[SignalModel],
    learnt: tuple[pd.DataFrame, pd.Series],
    tested: tuple[pd.DataFrame, pd.Series],
    groups: Groups,
    params: ImportanceParams,
    seed: int,
) -> FoldImportance:
    """Measure a refit's features.

    A sequence model's windows would have to be permuted as a whole, so the families that read one row stand for all.

    Parameters
    ----------
    models
        Fitted members of the vote.
    learnt, tested
        Features and labels of the rows they learnt from and of the test rows, in time order; labels may be NaN.
    groups
        Columns that are judged together.
    params
        Rows, permutations, and the length of their stretches.
    seed
        Of the permutations and of the null of information.
    """
    (X_train, y_train), (X_test, y_test) = (_labelled(*part) for part in (learnt, tested))
    readers = [model for model in models if model.window == 1]
    at = np.unique(np.linspace(0, max(0, len(X_test) - 1), min(params.rows, len(X_test))).astype(np.intp))
    rises = pd.DataFrame(index=X_test.index[at])
    if readers and len(at):
        rises = loss_rises(
            readers,
            X_test,
            y_test,
            groups,
            at=at,
            block=params.block_bars,
            repeats=params.repeats,
            generator=np.random.default_rng(seed),
        )
    group_shapley = feature_shapley = direction = pd.Series(dtype=float)
    explained = (contributions(model, X_test.iloc[at]) for model in readers) if len(at) else iter(())
    if (shares := next((found for found in explained if found is not None), None)) is not None:
        direction = directions(shares, X_test.iloc[at])
        group_shapley, feature_shapley = mean_size(shares, groups), shares.abs().mean()
    return FoldImportance(
        rises,
        group_shapley,
        feature_shapley,
        direction,
        excess_information(X_train, y_train, seed=seed),
        {model.name: model.columns_ for model in models if isinstance(model, Selected)},
    )


def _labelled(X: pd.DataFrame, y: pd.Series) -> tuple[pd.DataFrame, pd.Series]:
    known = y.notna().to_numpy()
    return X[known], y[known]
