"""Tune: a study per horizon and family; every trial is booked in the ledger."""

from pipelines.artifacts import content_hash
from pipelines.context import Context
from pipelines.inputs import read_bars, read_datasets
from pipelines.provenance import code_digest, provenance
from pipelines.tracking import Tracker, Trial
from pipelines.tune.past import before_the_test, first_test_bar
from pipelines.tune.search import StudyTask, run_study


def run(context: Context) -> None:
    """Read features, labels and bars; write the best settings and every trial.

    Only rows before the first test bar of the walk-forward are used, and only labels known by then: settings that
    had seen the test would make it a rehearsal.
    """
    params, instrument, files = context.params, context.run.instrument, context.files
    bars = read_bars(files)
    storage = context.settings.study_storage
    _create_storage(storage, context)
    # A study made by other code is another study: its results would not be this code's.
    code = content_hash([code_digest(context.settings.home), provenance(context.settings.home)["lock_sha256"]])
    tasks = []
    for horizon, data in read_datasets(files, params.labels.horizons).items():
        past = before_the_test(data, first_test_bar(data, params, instrument), params, instrument)
        tasks += [
            StudyTask(family, horizon, instrument, past, bars.loc[: past.X.index[-1]], params, storage, code)
            for family in params.tune.trials
        ]
    # The longest studies first, so that no worker is left alone with one at the end.
    tasks.sort(key=lambda task: -params.tune.trials[task.family])
    results = []
    context.progress(0, len(tasks), f"{len(tasks)} studies, {sum(params.tune.trials.values())} trials a horizon")
    for result in context.map(run_study, tasks):
        results.append(result)
        context.progress(len(results), len(tasks), f"{result.family} {result.horizon}: {len(result.trials)} trials")
    tracker = Tracker(context.settings, instrument)
    for result in results:
        trials = [Trial(**trial) for trial in result.trials]
        tracker.log_study(result.horizon, result.family, result.study_hash, trials)
    best: dict[str, dict[str, object]] = {horizon: {} for horizon in params.labels.horizons}
    for result in results:
        best[result.horizon][result.family] = dict(result.best)
    files.write_json("data/tune/best.json", best)
    files.write_json(
        "data/tune/trials.json",
        {h: {r.family: r.trials for r in results if r.horizon == h} for h in params.labels.horizons},
    )


def _create_storage(storage: str, context: Context) -> None:
    """Make the tables before several workers would."""
    import optuna

    if storage == f"sqlite:///{context.settings.state / 'state' / 'optuna.db'}":
        (context.settings.state / "state").mkdir(parents=True, exist_ok=True)
    optuna.storages.RDBStorage(storage)
