"""One trial: settings drawn from the space, judged on purged walk-forward splits before the first test bar."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from pydantic import ValidationError

from models.factory import create_model
from models.graph_size import constants
from pipelines.backtest.skill import hits
from pipelines.backtest.strategy import Strategy, daily, per_bar
from pipelines.backtest.walk_forward import fit_scale, inner_splitter, max_train
from pipelines.dataset import VOLATILITY
from pipelines.metrics import accuracy_interval, log_loss
from pipelines.params import Range
from pipelines.selection.selectors import create_selector
from pipelines.splits import PurgedWalkForward
from pipelines.tune.study import StudyTask
from trading.errors import ModelError, TooFewBarsError

if TYPE_CHECKING:
    import optuna

    from models.base import SignalModel

REFUSED, METRICS, RETURNS = "refused", "metrics", "returns"
Fold = tuple[np.ndarray, np.ndarray]


def splits(task: StudyTask) -> list[Fold]:
    """Training and test rows of each split that a trial is judged on."""
    splitter = PurgedWalkForward(
        n_splits=task.params.tune.splits,
        first_test_fraction=task.params.backtest.first_test_fraction,
        embargo=task.params.backtest.embargo_bars * task.instrument.bar,
        max_train=max_train(task.params, task.instrument),
    )
    return list(splitter.split(task.data.X, t_end=task.data.t_end))


def objective(trial: "optuna.Trial", task: StudyTask, folds: list[Fold]) -> tuple[float, ...]:
    """What is to be made small, one number for each of ``tune.objectives``; the first is the mean log loss.

    With one objective a trial is pruned after any fold whose running mean is worse than the median trial's. Optuna
    prunes no trial that has several.

    Raises
    ------
    ModelError
        If the model refuses to be fitted with these settings; the trial says why, and counts.
    TooFewBarsError
        If a fold has no known outcome.
    """
    import optuna

    drawn = _draw(trial, task.space)
    alone = task.params.tune.objectives == ["log_loss"]
    losses: list[float] = []
    blocks: list[pd.DataFrame] = []
    for step, (train, test) in enumerate(folds):
        try:
            model, block = _predict(task, _settings(task, drawn), train, test)
        except ModelError as error:
            trial.set_user_attr(REFUSED, str(error))
            raise
        known = block.dropna(subset=["label"])
        if known.empty:
            raise TooFewBarsError(
                f"no bar of validation fold {step + 1} of {len(folds)} has a {task.horizon} outcome known by the test",
                rule="each fold is judged on known outcomes",
                remedy="give a longer history, lower tune.splits, or remove the longest horizon",
            )
        losses.append(log_loss(known["label"].to_numpy(), known["probability"].to_numpy()))
        blocks.append(block)
        if alone:
            trial.report(float(np.mean(losses)), step)
            if step + 1 < len(folds) and trial.should_prune():
                _record(trial, task, model, losses, blocks)
                raise optuna.TrialPruned
    metrics = _record(trial, task, model, losses, blocks)
    return tuple(metrics[name] for name in task.params.tune.objectives)


def _draw(trial: "optuna.Trial", space: Mapping[str, Range]) -> dict[str, int | float]:
    drawn: dict[str, int | float] = {}
    for name, span in space.items():
        if isinstance(span.low, int) and isinstance(span.high, int):
            drawn[name] = trial.suggest_int(name, span.low, span.high, log=span.log)
        else:
            drawn[name] = trial.suggest_float(name, float(span.low), float(span.high), log=span.log)
    return drawn


def _settings(task: StudyTask, drawn: Mapping[str, int | float]) -> dict[str, Any]:
    """The family's settings with the drawn values; values that do not go together are refused."""
    schema = getattr(task.params.models, task.family)
    try:
        return dict(type(schema).model_validate({**task.base, **drawn}).model_dump())
    except ValidationError as error:
        raise ModelError(
            f"{task.family} cannot have {dict(drawn)}",
            where="tune.search in params.yaml",
            rule="; ".join(str(issue["msg"]) for issue in error.errors()),
            remedy="narrow the ranges",
        ) from error


def _predict(
    task: StudyTask, settings: Mapping[str, Any], train: np.ndarray, test: np.ndarray
) -> tuple["SignalModel", pd.DataFrame]:
    X, y, t_end = task.data.training_rows(train)
    weight = task.data.training_weights(train, task.params.labels.oldest_weight)
    selector = create_selector(task.params, task.instrument)
    cv = inner_splitter(task.params, task.instrument)
    model = create_model(task.family, settings, seed=task.params.seed, selector=selector, cv=cv)
    model.fit(X, y, t_end=t_end, sample_weight=weight)
    bars_ahead = task.instrument.bars_in(task.horizon)
    scale = fit_scale(task.data, train, bars_ahead)
    rows = task.data.X.iloc[max(int(test[0]) - model.window + 1, 0) : int(test[-1]) + 1]
    probability = model.predict_proba(rows)[1].reindex(task.data.X.index[test])
    certain = pd.Series(1.0, index=probability.index)
    return model, pd.DataFrame(
        {
            "probability": probability,
            "label": task.data.y.iloc[test],
            "unit_edge": scale.edge(certain, task.data.X[VOLATILITY].iloc[test], bars_ahead),
        }
    )


def _record(
    trial: "optuna.Trial", task: StudyTask, model: "SignalModel", losses: list[float], blocks: list[pd.DataFrame]
) -> dict[str, float]:
    """Leave with the trial what the ledger keeps of it, and return its metrics.

    They are its loss, its accuracy, and the Sharpe ratio a bar that deflation needs; turnover and latency where they
    are objectives. Beside them are its daily returns, for how correlated trials are.
    """
    tested = pd.concat(blocks)
    known = tested.dropna(subset=["label"])
    right = hits(known["probability"], known["label"])
    low, high = accuracy_interval(right, task.instrument.bars_in(task.horizon), task.params.backtest.confidence)
    strategy = Strategy(task.params, task.instrument, task.horizon)
    positions = strategy.positions(tested["probability"], tested["unit_edge"])
    traded = strategy.simulate(task.bars.loc[: tested.index[-1]], positions)
    further: dict[str, float] = {}
    if "turnover" in task.params.tune.objectives:
        further["turnover"] = traded.metrics["turnover_per_year"]
    if "latency" in task.params.tune.objectives:
        further["latency"] = float(constants(model.to_onnx()))
    metrics = {
        "log_loss": float(np.mean(losses)),
        "accuracy": float(right.mean()),
        "accuracy_low": low,
        "accuracy_high": high,
        **per_bar(traded),
        "folds": float(len(losses)),
        **further,
    }
    trial.set_user_attr(RETURNS, daily(traded))
    trial.set_user_attr(METRICS, metrics)
    return metrics
