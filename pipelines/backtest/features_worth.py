"""A refit together with what its features were worth on the test block, and all refits of a horizon put together."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from pipelines.backtest.walk_forward import FoldResult, FoldTask, fit_vote, fold_result
from pipelines.importance.fold import FoldImportance, measure
from pipelines.importance.ranking import chosen_columns, rank_features
from pipelines.params import ImportanceParams, Params
from pipelines.selection.groups import Groups, correlated_groups


@dataclass(frozen=True)
class JudgedTask:
    """A refit whose features are to be judged. Travels to a worker process.

    Attributes
    ----------
    task
        The refit.
    groups
        Features that are judged together; the same for all refits of a horizon.
    importance
        How they are judged.
    """

    task: FoldTask
    groups: Groups
    importance: ImportanceParams


@dataclass(frozen=True)
class JudgedFold:
    """What a refit said about its test block, and what each feature was worth there."""

    result: FoldResult
    importance: FoldImportance
    groups: Groups


def judged_tasks(tasks: Sequence[FoldTask], params: Params) -> Iterator[JudgedTask]:
    """All refits of one horizon, in order, with groups of features found on the training rows of the first.

    Groups are found once, on what was known before the first test bar, so that all refits speak about the same ones.
    """
    first = tasks[0]
    groups = correlated_groups(first.data.X.iloc[first.train], params.importance.correlation)
    for task in tasks:
        yield JudgedTask(task, groups, params.importance)


def run_judged(job: JudgedTask) -> JudgedFold:
    """Refit, predict the test block, and measure what each feature was worth there."""
    task = job.task
    vote, scale = fit_vote(task)
    X, y = task.data.X, task.data.y
    importance = measure(
        vote.models_,
        (X.iloc[task.train], y.iloc[task.train]),
        (X.iloc[task.test], y.iloc[task.test]),
        job.groups,
        job.importance,
        seed=int(np.random.default_rng([task.seed, task.fold, task.horizon_bars]).integers(2**31)),
    )
    return JudgedFold(fold_result(task, vote, scale), importance, job.groups)


def worth(
    folds: Sequence[JudgedFold], params: Params, *, horizon_bars: int, bar: pd.Timedelta
) -> tuple[dict[str, Any], pd.DataFrame]:
    """A horizon's features over all refits.

    Parameters
    ----------
    folds
        In order.
    params
        Params of the run.
    horizon_bars, bar
        Span of a label.

    Returns
    -------
    tuple
        ``importance``, ``stability`` and ``selection`` for the evidence, and each refit's numbers as a frame; see
        :class:`pipelines.importance.ranking.Ranking`.
    """
    measured, groups = [fold.importance for fold in folds], folds[0].groups
    ranking = rank_features(
        measured,
        groups,
        params.importance,
        horizon_bars=horizon_bars,
        bar=bar,
        confidence=params.backtest.confidence,
        seed=params.seed,
    )
    kept = chosen_columns(measured, sum(len(group) for group in groups))
    metrics = {
        "importance": ranking.groups,
        "stability": ranking.stability,
        "selection": {"method": params.selection.method, **kept},
    }
    return metrics, ranking.by_fold
