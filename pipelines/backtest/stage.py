"""Backtest: walk-forward of every horizon, judged beside its baselines; what was compared is booked in the ledger."""

from pipelines.artifacts import content_hash
from pipelines.backtest.judge import judge
from pipelines.backtest.strategy import Strategy
from pipelines.backtest.walk_forward import FoldResult, FoldTask, fold_tasks, run_fold
from pipelines.context import Context
from pipelines.inputs import read_bars, read_datasets
from pipelines.recipe import family_settings, recipe_hash
from pipelines.schemas import checked, prediction_schema
from pipelines.tracking import Tracker, Trial


def run(context: Context) -> None:
    """Read features, labels, bars and tuned settings; write predictions, curves, fills and metrics a horizon."""
    params, instrument, files = context.params, context.run.instrument, context.files
    bars = read_bars(files)
    tuned = files.read_json("data/tune/best.json")
    spec = files.read_json("data/features/spec.json")
    settings = {horizon: family_settings(params, tuned[horizon]) for horizon in params.labels.horizons}
    tasks: list[FoldTask] = []
    for horizon, data in read_datasets(files, params.labels.horizons).items():
        tasks += fold_tasks(horizon, data, params, instrument, settings[horizon])
    # The longest refits first, so that no worker is left alone with one at the end.
    tasks.sort(key=lambda task: (-task.fold, task.horizon_bars))
    results: list[FoldResult] = []
    context.progress(0, len(tasks), f"{len(tasks)} walk-forward refits")
    for result in context.map(run_fold, tasks):
        results.append(result)
        context.progress(len(results), len(tasks), f"walk-forward {result.horizon}, refit {result.fold + 1}")
    tracker = Tracker(context.settings, instrument)
    for horizon in params.labels.horizons:
        folds = sorted((r for r in results if r.horizon == horizon), key=lambda r: r.fold)
        identity = recipe_hash(params, horizon, spec["hash"])
        judged = judge(Strategy(params, instrument, horizon), bars, folds, identity, params.backtest.confidence)
        for name in ("predictions", "curves"):
            # Clock times are no forecast: the contract is about what was said and what came.
            said = getattr(judged, name).drop(columns="t_end", errors="ignore").astype(float)
            checked(said, prediction_schema(), f"data/backtest/{horizon}/{name}.parquet")
        for name in ("predictions", "curves", "fan", "fills"):
            files.write_frame(f"data/backtest/{horizon}/{name}.parquet", getattr(judged, name))
        files.write_json(f"data/backtest/{horizon}/metrics.json", judged.metrics | {"recipe_sha256": identity})
        trials = [Trial(**trial) for trial in judged.metrics["recipes"]]
        tracker.log_study(horizon, "walk_forward", content_hash([trial.trial_hash for trial in trials]), trials)
