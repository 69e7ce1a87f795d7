"""Backtest: walk-forward of every horizon, judged beside its baselines; what was compared is booked in the ledger."""

import shutil

import pandas as pd

from pipelines.artifacts import content_hash
from pipelines.backtest.combinatorial import path_sharpes, run_split, split_tasks
from pipelines.backtest.features_worth import JudgedFold, JudgedTask, judged_tasks, run_judged, worth
from pipelines.backtest.judge import judge
from pipelines.backtest.strategy import Strategy
from pipelines.backtest.walk_forward import FoldTask, fold_tasks
from pipelines.context import Context
from pipelines.importance.record import log_ranking
from pipelines.inputs import read_bars, read_datasets
from pipelines.recipe import family_settings, recipe_hash
from pipelines.schemas import checked, prediction_schema
from pipelines.tracking import Tracker, Trial


def run(context: Context) -> None:
    """Read features, labels, bars and tuned settings; write a horizon's predictions, curves, fills and metrics.

    What features were worth goes into the metrics, into a frame of its own, and to MLflow.
    """
    params, instrument, files = context.params, context.run.instrument, context.files
    bars = read_bars(files)
    tuned = files.read_json("data/tune/best.json")
    spec = files.read_json("data/features/spec.json")
    checkpoints = context.checkpoints("backtest")
    jobs: list[JudgedTask] = []
    further: list[FoldTask] = []
    for horizon, data in read_datasets(files, params.labels.horizons).items():
        settings = [family_settings(params, found) for found in tuned[horizon]]
        tasks = fold_tasks(horizon, data, params, instrument, *settings, checkpoints=checkpoints)
        jobs += judged_tasks(list(tasks), params)
        further += split_tasks(horizon, data, params, instrument, settings[0], checkpoints=checkpoints)
    # The longest refits first, so that no worker is left alone with one at the end.
    jobs.sort(key=lambda job: (-job.task.fold, job.task.horizon_bars))
    done: list[JudgedFold] = []
    total = len(jobs) + len(further)
    combinatorial = f", {len(further)} combinatorial splits" if further else ""
    context.progress(0, total, f"{len(jobs)} walk-forward refits{combinatorial}")
    # Both are handed out before either is waited for.
    refits, splits = context.map(run_judged, jobs), context.map(run_split, further)
    for fold in refits:
        done.append(fold)
        context.progress(len(done), total, f"walk-forward {fold.result.horizon}, refit {fold.result.fold + 1}")
    said: dict[str, list[pd.DataFrame]] = {horizon: [] for horizon in params.labels.horizons}
    for finished, (task, forecast) in enumerate(zip(further, splits, strict=True), start=len(jobs) + 1):
        said[task.horizon].append(forecast)
        context.progress(finished, total, f"combinatorial {task.horizon}, split {task.fold + 1}")
    tracker = Tracker(context.settings, instrument)
    for horizon in params.labels.horizons:
        ours = sorted((f for f in done if f.result.horizon == horizon), key=lambda f: f.result.fold)
        folds = [fold.result for fold in ours]
        identity = recipe_hash(params, horizon, spec["hash"])
        judged = judge(Strategy(params, instrument, horizon), bars, folds, identity, params.backtest.confidence)
        for name in ("predictions", "curves"):
            # Clock times are no forecast: the contract is about what was said and what came.
            drawn = getattr(judged, name).drop(columns="t_end", errors="ignore").astype(float)
            checked(drawn, prediction_schema(), f"data/backtest/{horizon}/{name}.parquet")
        for name in ("predictions", "curves", "fan", "fills"):
            files.write_frame(f"data/backtest/{horizon}/{name}.parquet", getattr(judged, name))
        spread = path_sharpes(Strategy(params, instrument, horizon), bars, judged.predictions["label"], said[horizon])
        features, by_fold = worth(ours, params, horizon_bars=instrument.bars_in(horizon), bar=instrument.bar)
        files.write_frame(f"data/backtest/{horizon}/importance.parquet", by_fold)
        files.write_json(
            f"data/backtest/{horizon}/metrics.json",
            judged.metrics | features | {"combinatorial": spread, "recipe_sha256": identity},
        )
        log_ranking(tracker, horizon, identity, features)
        trials = [Trial(**trial) for trial in judged.metrics["recipes"]]
        tracker.log_study(horizon, "walk_forward", content_hash([trial.trial_hash for trial in trials]), trials)
    shutil.rmtree(checkpoints, ignore_errors=True)
