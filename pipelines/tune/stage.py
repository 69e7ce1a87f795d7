"""Tune: a study per horizon and family, of a nested search per test block too; every trial is booked in the ledger."""

from typing import Any

from pipelines.context import Context
from pipelines.tracking import Tracker, Trial
from pipelines.tune.search import open_study, run_study
from pipelines.tune.study import StudyResult
from pipelines.tune.tasks import searches, settled


def run(context: Context) -> None:
    """Read features, labels and bars; write what each search settled, every trial, and how each study ended.

    Only rows before the first test bar of the walk-forward are used, and only labels known by then: settings that
    had seen the test would make it a rehearsal. A nested search does the same for each block of the test.
    """
    params, files = context.params, context.files
    found = searches(context)
    # The longest studies first, so that no worker is left alone with one at the end.
    jobs = sorted(
        ((number, task) for number, search in enumerate(found) for task in search.tasks), key=lambda job: -job[1].wanted
    )
    for _, task in jobs:
        # Before workers would: tables are made once, and those who join find what there is to do.
        open_study(task)
    tracker = Tracker(context.settings, context.run.instrument)
    results: list[list[StudyResult]] = [[] for _ in found]
    context.progress(0, len(jobs), f"{len(jobs)} studies, {sum(task.wanted for _, task in jobs)} trials")
    finished = context.map(run_study, [task for _, task in jobs])
    for done, ((number, _), result) in enumerate(zip(jobs, finished, strict=True), start=1):
        trials = [Trial(**trial) for trial in result.trials]
        tracker.log_study(result.horizon, result.family, result.study_hash, trials)
        results[number].append(result)
        late = ", for its time was up" if result.stopped_by == "time" else ""
        context.progress(done, len(jobs), f"{result.family} {result.horizon}: {len(trials)} trials{late}")
    best: dict[str, list[Any]] = {horizon: [] for horizon in params.labels.horizons}
    studies: dict[str, list[Any]] = {horizon: [] for horizon in params.labels.horizons}
    tried: dict[str, dict[str, list[Any]]] = {horizon: {} for horizon in params.labels.horizons}
    for search, ended in zip(found, results, strict=True):
        best[search.horizon].append(settled(ended, params))
        studies[search.horizon].append({result.family: result.summary for result in ended})
        for result in ended:
            tried[search.horizon].setdefault(result.family, []).extend(result.trials)
    files.write_json("data/tune/best.json", best)
    files.write_json("data/tune/trials.json", tried)
    files.write_json("data/tune/studies.json", studies)
