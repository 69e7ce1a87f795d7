"""One study: a family of models, one horizon, TPE with pruning over purged walk-forward splits."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from models.factory import create_model
from pipelines.artifacts import content_hash
from pipelines.backtest.skill import hits
from pipelines.backtest.strategy import Strategy, per_bar
from pipelines.backtest.walk_forward import VOLATILITY, fit_scale, inner_splitter
from pipelines.dataset import Dataset
from pipelines.metrics import accuracy_interval, log_loss
from pipelines.params import Params, Range, Tunable
from pipelines.selection.selectors import create_selector
from pipelines.splits import PurgedWalkForward
from trading.errors import ModelError, TooFewBarsError
from trading.instrument import Instrument

if TYPE_CHECKING:
    import optuna

REFUSED = "refused"


@dataclass(frozen=True)
class StudyTask:
    """Everything one study needs. Travels to a worker process."""

    family: Tunable
    horizon: str
    instrument: Instrument
    data: Dataset
    bars: pd.DataFrame
    params: Params
    storage: str
    code: str

    @property
    def base(self) -> dict[str, Any]:
        """Settings that the search starts from and draws over."""
        return dict(self.params.models.model_dump()[self.family])

    @property
    def identity(self) -> str:
        """Hash of all that decides the study's result: data, splits, space, start, seed, code."""
        return content_hash({"code": self.code, "content": self.content})

    @property
    def content(self) -> str:
        """Hash of what is tried on what, whatever the code that does it."""
        rows = pd.util.hash_pandas_object(self.data.X.assign(y=self.data.y, ret=self.data.ret)).to_numpy()
        labels = self.params.labels
        # Rows and returns identify plain labels; what others end and weigh like is in how they are made.
        making = {} if labels.plain else {"labels": labels.model_dump(exclude={"horizons"})}
        if (selection := self.params.selection).method != "none":
            making["selection"] = selection.model_dump() | {"trees": self.params.models.xgboost.model_dump()}
        return content_hash(
            making
            | {
                "family": self.family,
                "horizon": self.horizon,
                "instrument": asdict(self.instrument),
                "rows": len(rows),
                "data": int(rows.sum(dtype=np.uint64)),
                "base": self.base,
                "space": {key: span.model_dump() for key, span in self.params.tune.search[self.family].items()},
                "splits": self.params.tune.splits,
                "startup": self.params.tune.startup_trials,
                "first_test_fraction": self.params.backtest.first_test_fraction,
                "embargo_bars": self.params.backtest.embargo_bars,
                "costs": self.params.costs.model_dump(),
                "positions": self.params.positions.model_dump(),
                "seed": self.params.seed,
            }
        )


@dataclass(frozen=True)
class StudyResult:
    """Finished trials of one study in the order they were drawn, and the best settings found."""

    family: Tunable
    horizon: str
    study_hash: str
    best: Mapping[str, Any]
    trials: list[dict[str, Any]]


def run_study(task: StudyTask) -> StudyResult:
    """Run, or resume, a study until it has the trials that params ask for.

    The sampler is seeded by the number of finished trials, so that a study resumed after a kill draws what an
    undisturbed one would have drawn; a trial that the kill left unfinished is failed and drawn again.
    """
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    identity = task.identity
    study = optuna.create_study(
        storage=task.storage,
        study_name=f"{task.instrument.name} {task.horizon} {task.family} {identity[:16]}",
        direction="minimize",
        load_if_exists=True,
        pruner=optuna.pruners.MedianPruner(n_startup_trials=task.params.tune.startup_trials, n_warmup_steps=0),
    )
    for trial in study.get_trials(deepcopy=False, states=(optuna.trial.TrialState.RUNNING,)):
        study.tell(trial.number, state=optuna.trial.TrialState.FAIL)
    wanted = task.params.tune.trials[task.family]
    folds = list(_splits(task))
    while (done := len(_finished(study))) < wanted:
        study.sampler = optuna.samplers.TPESampler(
            seed=task.params.seed * 100_003 + done, n_startup_trials=task.params.tune.startup_trials
        )
        study.optimize(lambda trial: _objective(trial, task, folds), n_trials=1, catch=(ModelError,))
    finished = _finished(study)[:wanted]
    complete = [trial for trial in finished if trial.state.name == "COMPLETE"]
    if not complete:
        raise ModelError(
            f"none of {wanted} trials of {task.family} over {task.horizon} could be fitted",
            where=str(finished[-1].user_attrs[REFUSED]),
            rule="a search needs one trial that fits",
            remedy="give a longer history, or narrow tune.search in params.yaml",
        )
    best = min(complete, key=lambda trial: float(trial.value))
    return StudyResult(
        task.family, task.horizon, identity, dict(best.params), [_record(trial, task.content) for trial in finished]
    )


def _finished(study: "optuna.Study") -> list["optuna.trial.FrozenTrial"]:
    """Trials that were decided: complete, pruned, or refused by their model. One that a kill cut short is not."""
    return [
        trial
        for trial in study.get_trials(deepcopy=False)
        if trial.state.name in ("COMPLETE", "PRUNED") or REFUSED in trial.user_attrs
    ]


def _record(trial: "optuna.trial.FrozenTrial", content: str) -> dict[str, Any]:
    """A trial as the ledger keeps it: the same thing with the same outcome is the same trial, whoever's code ran it."""
    metrics = trial.user_attrs.get("metrics", {})
    return {
        "trial_hash": content_hash({"study": content, "params": trial.params, "metrics": metrics}),
        "state": {"COMPLETE": "complete", "PRUNED": "pruned", "FAIL": "failed"}[trial.state.name],
        "params": dict(trial.params),
        "metrics": metrics,
    }


def _splits(task: StudyTask) -> list[tuple[np.ndarray, np.ndarray]]:
    splitter = PurgedWalkForward(
        n_splits=task.params.tune.splits,
        first_test_fraction=task.params.backtest.first_test_fraction,
        embargo=task.params.backtest.embargo_bars * task.instrument.bar,
    )
    return list(splitter.split(task.data.X, t_end=task.data.t_end))


def _draw(trial: "optuna.Trial", space: Mapping[str, Range]) -> dict[str, int | float]:
    drawn: dict[str, int | float] = {}
    for name, span in space.items():
        if isinstance(span.low, int) and isinstance(span.high, int):
            drawn[name] = trial.suggest_int(name, span.low, span.high, log=span.log)
        else:
            drawn[name] = trial.suggest_float(name, float(span.low), float(span.high), log=span.log)
    return drawn


def _objective(trial: "optuna.Trial", task: StudyTask, folds: list[tuple[np.ndarray, np.ndarray]]) -> float:
    """Mean log loss over the folds; prunes after any fold whose running mean is worse than the median trial's."""
    import optuna

    drawn = _draw(trial, task.params.tune.search[task.family])
    losses: list[float] = []
    blocks: list[pd.DataFrame] = []
    for step, (train, test) in enumerate(folds):
        try:
            block = _predict(task, {**task.base, **drawn}, train, test)
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
        trial.report(float(np.mean(losses)), step)
        if step + 1 < len(folds) and trial.should_prune():
            trial.set_user_attr("metrics", _metrics(task, losses, blocks))
            raise optuna.TrialPruned
    trial.set_user_attr("metrics", _metrics(task, losses, blocks))
    return float(np.mean(losses))


def _predict(task: StudyTask, settings: Mapping[str, Any], train: np.ndarray, test: np.ndarray) -> pd.DataFrame:
    X, y, t_end = task.data.training_rows(train)
    weight = task.data.training_weights(train, task.params.labels.oldest_weight)
    selector = create_selector(task.params, task.instrument)
    cv = inner_splitter(task.params, task.instrument)
    model = create_model(task.family, settings, seed=task.params.seed, selector=selector, cv=cv)
    model.fit(X, y, t_end=t_end, sample_weight=weight)
    bars_ahead = task.instrument.bars_in(task.horizon)
    scale = fit_scale(task.data, train, bars_ahead, task.params.backtest.interval)
    rows = task.data.X.iloc[max(int(test[0]) - model.window + 1, 0) : int(test[-1]) + 1]
    probability = model.predict_proba(rows)[1].reindex(task.data.X.index[test])
    certain = pd.Series(1.0, index=probability.index)
    return pd.DataFrame(
        {
            "probability": probability,
            "label": task.data.y.iloc[test],
            "unit_edge": scale.edge(certain, task.data.X[VOLATILITY].iloc[test], bars_ahead),
        }
    )


def _metrics(task: StudyTask, losses: list[float], blocks: list[pd.DataFrame]) -> dict[str, float]:
    """What the ledger keeps of a trial: its loss, its accuracy, and the Sharpe ratio a bar that deflation needs."""
    tested = pd.concat(blocks)
    known = tested.dropna(subset=["label"])
    right = hits(known["probability"], known["label"])
    low, high = accuracy_interval(right, task.instrument.bars_in(task.horizon), task.params.backtest.confidence)
    strategy = Strategy(task.params, task.instrument, task.horizon)
    positions = strategy.positions(tested["probability"], tested["unit_edge"])
    traded = strategy.simulate(task.bars.loc[: tested.index[-1]], positions)
    return {
        "log_loss": float(np.mean(losses)),
        "accuracy": float(right.mean()),
        "accuracy_low": low,
        "accuracy_high": high,
        **per_bar(traded),
        "folds": float(len(losses)),
    }
