"""Backtest: walk-forward of every horizon, judged beside its baselines; what was compared is booked in the ledger."""

import shutil
from pathlib import Path

import pandas as pd

from pipelines.artifacts import content_hash
from pipelines.backtest.combinatorial import path_sharpes, run_split, split_tasks
from pipelines.backtest.features_worth import JudgedFold, JudgedTask, judged_tasks, run_judged, worth
from pipelines.backtest.judge import judge
from pipelines.backtest.seeds import run_seed, seed_spread, seed_tasks
from pipelines.backtest.strategy import Strategy
from pipelines.backtest.walk_forward import FoldResult, FoldTask, fold_tasks
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
    spec = files.read_json("data/features/spec.json")
    checkpoints = context.checkpoints("backtest")
    done, seeds, said = _fitted(context, checkpoints)
    tracker = Tracker(context.settings, instrument)
    for horizon in params.labels.horizons:
        ours = sorted((f for f in done if f.result.horizon == horizon), key=lambda f: f.result.fold)
        folds = [fold.result for fold in ours]
        identity = recipe_hash(params, horizon, spec["hash"])
        strategy = Strategy(params, instrument, horizon)
        judged = judge(strategy, bars, folds, identity, params.backtest.confidence)
        others = [(seed, result) for seed, result in seeds if result.horizon == horizon]
        for name in ("predictions", "curves", "streams"):
            # Clock times are no forecast: the contract is about what was said and what came.
            drawn = getattr(judged, name).drop(columns="t_end", errors="ignore").astype(float)
            checked(drawn, prediction_schema(), f"data/backtest/{horizon}/{name}.parquet")
        for name in ("predictions", "curves", "fan", "fills", "streams"):
            files.write_frame(f"data/backtest/{horizon}/{name}.parquet", getattr(judged, name))
        features, by_fold = worth(ours, params, horizon_bars=instrument.bars_in(horizon), bar=instrument.bar)
        files.write_frame(f"data/backtest/{horizon}/importance.parquet", by_fold)
        spread = {
            "seeds": seed_spread(strategy, bars, folds[-1], others),
            "combinatorial": path_sharpes(strategy, bars, judged.predictions["label"], said[horizon]),
        }
        files.write_json(
            f"data/backtest/{horizon}/metrics.json", judged.metrics | spread | features | {"recipe_sha256": identity}
        )
        log_ranking(tracker, horizon, identity, features)
        trials = [Trial(**trial) for trial in judged.metrics["recipes"]]
        tracker.log_study(horizon, "walk_forward", content_hash([trial.trial_hash for trial in trials]), trials)
    shutil.rmtree(checkpoints, ignore_errors=True)


def _fitted(
    context: Context, checkpoints: Path
) -> tuple[list[JudgedFold], list[tuple[int, FoldResult]], dict[str, list[pd.DataFrame]]]:
    """Every refit of the walk-forward, the last ones with other seeds, and forecasts of combinatorial splits."""
    params, instrument, files = context.params, context.run.instrument, context.files
    tuned = files.read_json("data/tune/best.json")
    jobs: list[JudgedTask] = []
    reseeded: list[FoldTask] = []
    splits: list[FoldTask] = []
    for horizon, data in read_datasets(files, params.labels.horizons).items():
        settings = [family_settings(params, found) for found in tuned[horizon]]
        tasks = list(fold_tasks(horizon, data, params, instrument, *settings, checkpoints=checkpoints))
        jobs += judged_tasks(tasks, params)
        reseeded += seed_tasks(tasks, params.backtest.seeds)
        splits += split_tasks(horizon, data, params, instrument, settings[0], checkpoints=checkpoints)
    # The longest refits first, so that no worker is left alone with one at the end.
    jobs.sort(key=lambda job: (-job.task.fold, job.task.horizon_bars))
    total = len(jobs) + len(reseeded) + len(splits)
    context.progress(0, total, f"{len(jobs)} walk-forward refits, {total - len(jobs)} more to compare with")
    # All are handed out before any is waited for.
    refits, others, combined = (
        context.map(run_judged, jobs),
        context.map(run_seed, reseeded),
        context.map(run_split, splits),
    )
    done: list[JudgedFold] = []
    seeds: list[tuple[int, FoldResult]] = []
    said: dict[str, list[pd.DataFrame]] = {horizon: [] for horizon in params.labels.horizons}
    for fold in refits:
        done.append(fold)
        context.progress(len(done), total, f"walk-forward {fold.result.horizon}, refit {fold.result.fold + 1}")
    for seed, result in others:
        seeds.append((seed, result))
        context.progress(len(done) + len(seeds), total, f"walk-forward {result.horizon}, seed {seed}")
    for finished, (task, forecast) in enumerate(zip(splits, combined, strict=True), start=len(done) + len(seeds) + 1):
        said[task.horizon].append(forecast)
        context.progress(finished, total, f"combinatorial {task.horizon}, split {task.fold + 1}")
    return done, seeds, said
