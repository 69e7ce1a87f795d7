"""Walk-forward: refit at the start of each test block on what is known by then, and predict the block."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from models.conformal import Conformal
from models.ensemble import Ensemble
from models.factory import create_ensemble
from models.out_of_fold import Splitter
from models.return_scale import ReturnScale
from models.selected import Selector
from pipelines.dataset import VOLATILITY, Dataset
from pipelines.params import Params
from pipelines.recipe import votes
from pipelines.selection.selectors import create_selector
from pipelines.splits import PurgedSplitter, PurgedWalkForward
from trading.errors import ParamsError
from trading.instrument import Instrument, duration


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
    voting: Mapping[str, Any]
    conformal: Conformal
    seed: int
    selector: Selector | None
    cv: Splitter | None
    oldest_weight: float = 1.0
    checkpoints: Path | None = None


@dataclass(frozen=True)
class FoldResult:
    """What one refit said about its test block.

    Attributes
    ----------
    train_first
        Opening of the first bar that it learnt from.
    train_rows, purged_rows
        Labels that it learnt from, and rows between the first of them and the test that it did not learn from.
    predictions : DataFrame
        One row per test bar, decided at its close: probability of each member and of the ``vote``, ``unit_edge``
        (expected return of a certain forecast), ``low`` and ``high`` (interval of the horizon's return),
        ``majority`` (class that the training rows had more often), ``fold``, ``label``, ``ret``, ``t_end``; where
        labels may end before their horizon also ``horizon_ret``, which is what the interval is about.
    """

    horizon: str
    fold: int
    predictions: pd.DataFrame
    train_first: pd.Timestamp
    train_rows: int
    purged_rows: int


def splitter(params: Params, instrument: Instrument, rows: int) -> PurgedWalkForward:
    """The walk-forward of the backtest over so many rows.

    Where ``backtest.refits`` is a duration, there are as few blocks as are no longer than that.
    """
    refits, first = params.backtest.refits, params.backtest.first_test_fraction
    if isinstance(refits, str):
        refits = -(-(rows - int(rows * first)) // _bars(refits, instrument, "refits"))
    return PurgedWalkForward(
        n_splits=refits,
        first_test_fraction=first,
        embargo=params.backtest.embargo_bars * instrument.bar,
        max_train=max_train(params, instrument),
    )


def max_train(params: Params, instrument: Instrument) -> int | None:
    """Latest labelled rows that a fit of the recipe learns from; None for all that are known."""
    window = params.backtest.train_window
    return None if window == "all" else _bars(window, instrument, "train_window")


def _bars(length: str, instrument: Instrument, key: str) -> int:
    """Whole bars in a duration of ``backtest``."""
    bars = int(duration(length) // instrument.bar)
    if bars < 1:
        raise ParamsError(
            f"backtest.{key} is {length}, and a bar is {instrument.timeframe}",
            rule="one bar or longer",
            remedy=f"give backtest.{key} a longer duration in params.yaml",
        )
    return bars


def inner_splitter(params: Params, instrument: Instrument) -> PurgedWalkForward:
    """The walk-forward inside each fit, over its training rows."""
    return PurgedWalkForward(
        n_splits=params.inner.splits,
        first_test_fraction=params.inner.first_test_fraction,
        embargo=params.backtest.embargo_bars * instrument.bar,
    )


def fold_tasks(
    horizon: str,
    data: Dataset,
    params: Params,
    instrument: Instrument,
    *settings: Mapping[str, Mapping[str, Any]],
    checkpoints: Path | None = None,
    folds: PurgedSplitter | None = None,
) -> Iterator[FoldTask]:
    """One task per refit of one horizon.

    Parameters
    ----------
    horizon, data, params, instrument
        What is predicted from what.
    settings
        By family, of those that vote: one for all refits, or one for each.
    checkpoints
        As :func:`models.factory.create_model` takes it.
    folds
        What is fitted on what, and tested on what; by default the walk-forward.
    """
    selector = create_selector(params, instrument)
    folds = folds or splitter(params, instrument, len(data.X))
    for fold, (train, test) in enumerate(folds.split(data.X, t_end=data.t_end)):
        yield FoldTask(
            horizon=horizon,
            horizon_bars=instrument.bars_in(horizon),
            fold=fold,
            data=data,
            train=train,
            test=test,
            settings=(own := settings[min(fold, len(settings) - 1)]),
            weights=votes(params, own),
            voting=params.models.ensemble.model_dump(),
            conformal=conformal_of(params),
            seed=params.seed,
            selector=selector,
            cv=inner_splitter(params, instrument),
            oldest_weight=params.labels.oldest_weight,
            checkpoints=checkpoints,
        )


def fit_vote(task: FoldTask) -> tuple[Ensemble, ReturnScale]:
    """Fit the recipe and the scale of its forecasts on the task's training rows only."""
    X, y, t_end = task.data.training_rows(task.train)
    weight = task.data.training_weights(task.train, task.oldest_weight)
    vote = create_ensemble(
        task.settings,
        task.weights,
        seed=task.seed,
        voting=task.voting,
        selector=task.selector,
        cv=task.cv,
        checkpoints=task.checkpoints,
    )
    vote.fit(X, y, t_end=t_end, sample_weight=weight)
    return vote, fit_scale(task.data, task.train, task.horizon_bars)


def fit_scale(data: Dataset, train: np.ndarray, horizon_bars: int) -> ReturnScale:
    """Scale of a recipe's forecasts, measured on training rows, of the return that a label judges.

    Where a barrier ends a label early, nothing more is expected of the price after a touch, so what was expected until
    the touch is expected of the whole horizon, for which a position is held.
    """
    return ReturnScale.fit(data.ret.iloc[train], data.X[VOLATILITY].iloc[train], horizon_bars)


def conformal_of(params: Params) -> Conformal:
    """How intervals adapt in this run."""
    return Conformal(params.backtest.interval, params.backtest.conformal.memory, params.backtest.conformal.step)


def forecasts(task: FoldTask, vote: Ensemble, scale: ReturnScale, data: Dataset) -> pd.DataFrame:
    """Probability of each member and of the ``vote``, and ``unit_edge``, for the task's test rows."""
    context = max(model.window for model in vote.models_) - 1
    first = max(int(task.test[0]) - context, 0)
    rows = data.X.iloc[first : int(task.test[-1]) + 1]
    members = vote.predict_members(rows).loc[data.X.index[task.test]]
    certain = pd.Series(1.0, index=members.index)
    volatility = data.X[VOLATILITY].iloc[task.test]
    return members.assign(unit_edge=scale.edge(certain, volatility, task.horizon_bars))


def predict_block(task: FoldTask, vote: Ensemble, scale: ReturnScale, data: Dataset) -> pd.DataFrame:
    """Forecasts for the task's test rows from features and outcomes, which may be others over the same index.

    An interval is about the return over the horizon, also where a barrier ends a label early.
    """
    ret = data.ret if data.horizon_ret is None else data.horizon_ret
    known = data.t_end if data.horizon_end is None else data.horizon_end
    said = task.conformal.intervals(ret, known, data.X[VOLATILITY], task.horizon_bars, task.test)
    return forecasts(task, vote, scale, data).assign(low=said["low"], high=said["high"])


def run_fold(task: FoldTask) -> FoldResult:
    """Refit, and predict the test block."""
    return fold_result(task, *fit_vote(task))


def fold_result(task: FoldTask, vote: Ensemble, scale: ReturnScale) -> FoldResult:
    """What a fitted recipe says about the task's test block, beside what came."""
    y = task.data.y.iloc[task.train]
    block = predict_block(task, vote, scale, task.data).assign(
        fold=task.fold,
        majority=float(y.mean() >= 0.5),
        label=task.data.y.iloc[task.test],
        ret=task.data.ret.iloc[task.test],
        t_end=task.data.t_end.iloc[task.test],
    )
    if task.data.horizon_ret is not None:
        block = block.assign(horizon_ret=task.data.horizon_ret.iloc[task.test])
    return FoldResult(
        horizon=task.horizon,
        fold=task.fold,
        predictions=block,
        train_first=task.data.X.index[task.train[0]],
        train_rows=len(task.train),
        purged_rows=int(task.test[0]) - int(task.train[0]) - len(task.train),
    )
