"""Walk-forward: refit at the start of each test block on what is known by then, and predict the block."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from models.factory import create_vote
from models.return_scale import ReturnScale
from models.voting import SoftVoting
from pipelines.dataset import Dataset
from pipelines.metrics import log_loss
from pipelines.params import Params
from pipelines.splits import PurgedWalkForward
from trading.instrument import Instrument

VOLATILITY = "volatility_24"
IMPORTANCE_ROWS = 400


@dataclass(frozen=True)
class FoldTask:
    """One refit: a horizon, its data, the rows of the fold and the recipe. Travels to a worker process."""

    horizon: str
    horizon_bars: int
    fold: int
    data: Dataset
    train: np.ndarray
    test: np.ndarray
    settings: Mapping[str, Mapping[str, Any]]
    weights: Mapping[str, float]
    confidence: float
    seed: int


@dataclass(frozen=True)
class FoldResult:
    """What one refit said about its test block.

    Attributes
    ----------
    predictions : DataFrame
        One row per test bar, decided at its close: probability of each member and of the ``vote``, ``unit_edge``
        (expected return of a certain forecast), ``low`` and ``high`` (interval of the horizon's return),
        ``majority`` (class that the training rows had more often), ``fold``, ``label``, ``ret``, ``t_end``.
    importance : Series
        Loss of log-likelihood on the test block when a feature is shuffled, mean over the tree families.
    """

    horizon: str
    fold: int
    predictions: pd.DataFrame
    importance: pd.Series
    train_rows: int
    purged_rows: int


def splitter(params: Params, instrument: Instrument) -> PurgedWalkForward:
    """The walk-forward of the backtest."""
    return PurgedWalkForward(
        n_splits=params.backtest.refits,
        first_test_fraction=params.backtest.first_test_fraction,
        embargo=params.backtest.embargo_bars * instrument.bar,
    )


def fold_tasks(
    horizon: str, data: Dataset, params: Params, instrument: Instrument, settings: Mapping[str, Mapping[str, Any]]
) -> Iterator[FoldTask]:
    """One task per refit of one horizon."""
    for fold, (train, test) in enumerate(splitter(params, instrument).split(data.X, t_end=data.t_end)):
        yield FoldTask(
            horizon=horizon,
            horizon_bars=instrument.bars_in(horizon),
            fold=fold,
            data=data,
            train=train,
            test=test,
            settings=settings,
            weights={str(family): weight for family, weight in params.models.voting.items()},
            confidence=params.backtest.interval,
            seed=params.seed,
        )


def fit_vote(task: FoldTask) -> tuple[SoftVoting, ReturnScale]:
    """Fit the recipe and the scale of its forecasts on the task's training rows only."""
    X, y, t_end = task.data.training_rows(task.train)
    vote = create_vote(task.settings, task.weights, seed=task.seed).fit(X, y, t_end=t_end)
    scale = ReturnScale.fit(
        task.data.ret.iloc[task.train], X[VOLATILITY].iloc[task.train], task.horizon_bars, task.confidence
    )
    return vote, scale


def predict_block(task: FoldTask, vote: SoftVoting, scale: ReturnScale, features: pd.DataFrame) -> pd.DataFrame:
    """Forecasts for the task's test rows from ``features``, which may be another frame over the same index."""
    context = max(model.window for model in vote.models_) - 1
    first = max(int(task.test[0]) - context, 0)
    rows = features.iloc[first : int(task.test[-1]) + 1]
    members = vote.predict_members(rows).loc[features.index[task.test]]
    volatility = features[VOLATILITY].iloc[task.test]
    low, high = scale.interval(volatility, task.horizon_bars)
    certain = pd.Series(1.0, index=members.index)
    return members.assign(unit_edge=scale.edge(certain, volatility, task.horizon_bars), low=low, high=high)


def run_fold(task: FoldTask) -> FoldResult:
    """Refit, predict the test block, and measure what each feature was worth there."""
    vote, scale = fit_vote(task)
    y = task.data.y.iloc[task.train]
    block = predict_block(task, vote, scale, task.data.X).assign(
        fold=task.fold,
        majority=float(y.mean() >= 0.5),
        label=task.data.y.iloc[task.test],
        ret=task.data.ret.iloc[task.test],
        t_end=task.data.t_end.iloc[task.test],
    )
    return FoldResult(
        horizon=task.horizon,
        fold=task.fold,
        predictions=block,
        importance=permutation_importance(task, vote),
        train_rows=len(task.train),
        purged_rows=int(task.test[0]) - len(task.train),
    )


def permutation_importance(task: FoldTask, vote: SoftVoting) -> pd.Series:
    """Mean rise of the tree families' log loss on the test block when one feature's rows are shuffled.

    A sequence model's windows would have to be shuffled as a whole, so the families that read one row stand for all.
    Breiman (2001), "Random Forests", section 10.
    """
    labelled = task.test[task.data.y.iloc[task.test].notna().to_numpy()]
    # Evenly spread rows tell as much of a mean as all of them, at a fraction of the predictions.
    labelled = labelled[:: max(1, len(labelled) // IMPORTANCE_ROWS)]
    X, y = task.data.X.iloc[labelled], task.data.y.iloc[labelled].to_numpy()
    models = [model for model in vote.models_ if model.window == 1]
    if not models or not len(X):
        return pd.Series(dtype=float)
    base = np.mean([log_loss(y, model.predict_proba(X)[1].to_numpy()) for model in models])
    order = np.random.default_rng([task.seed, task.fold, task.horizon_bars]).permutation(len(X))
    worth = {}
    for name in X.columns:
        shuffled = X.assign(**{name: X[name].to_numpy()[order]})
        worth[name] = np.mean([log_loss(y, model.predict_proba(shuffled)[1].to_numpy()) for model in models]) - base
    return pd.Series(worth, dtype=float)
