"""Audit: rebuild everything from raw bars whose future was changed, and see that nothing earlier moved."""

from collections.abc import Mapping

import pandas as pd

from pipelines.audit.checks import Check, FitAudit, audit_fit, compare, moments, verdict
from pipelines.audit.execution import audit_execution, decided_before_filled, fills_to_question
from pipelines.audit.world import World, controls, rebuilt, unchanged
from pipelines.backtest.strategy import Strategy
from pipelines.backtest.walk_forward import FoldTask, fold_tasks
from pipelines.context import Context
from pipelines.dataset import Dataset
from pipelines.inputs import read_bars, read_features, read_labels
from pipelines.recipe import family_settings
from pipelines.tune.past import before_the_test

Cut = pd.Timestamp


def run(context: Context) -> None:
    """Read raw bars and everything made of them; write ``audit.json``.

    For each moment the whole pipeline is run again on bars that part from the true ones there: contracts,
    resampling, features, labels, what the search is handed; and, for the first refit, the fitted recipe, its
    forecasts, positions, fills and equity. All that was known by the moment must be the same to the last bit, and what
    was yet to come must not. Some fills are questioned by changing all of their bar but its open. Leaks of one bar, the
    controls, must be caught.
    """
    params, instrument, files = context.params, context.run.instrument, context.files
    raw = files.read_frame("data/raw/bars.parquet")
    source = files.read_json("data/raw/ingest.json")["source_timeframe"]
    true = World(read_bars(files), read_features(files), {h: read_labels(files, h) for h in params.labels.horizons})
    tasks = _first_refits(context, true)
    first = next(iter(tasks.values()))
    test = pd.DatetimeIndex(first.data.X.index[first.test])
    # The earliest decision of the test is taken at the close of its first bar: by then every fit must stand.
    start = test[0] + instrument.bar
    cuts = [start, *moments(test, instrument, params.audit.cuts, params.seed)]
    total = len(cuts) + len(tasks)

    checks: list[Check] = []
    caught: list[Check] = []
    worlds: dict[Cut, World] = {}
    for number, cut in enumerate(cuts):
        context.progress(number, total, f"another future after {cut:%Y-%m-%d %H:%M}")
        worlds[cut] = rebuilt(raw, source, cut, params, instrument, params.seed + number)
        checks += unchanged(true, worlds[cut], cut, instrument.bar)
        caught += controls(true, worlds[cut], cut, instrument.bar)
    for horizon, task in tasks.items():
        other = Dataset.join(worlds[start].features, worlds[start].labels[horizon])
        seen = [before_the_test(data, test[0], params, instrument) for data in (task.data, other)]
        checks.append(compare(f"tuning data {horizon}", start, *(d.X.assign(y=d.y, ret=d.ret) for d in seen)))
        honest, leaky = _question_fills(context, horizon, true.bars)
        checks += honest
        caught += leaky
    jobs = [_fit_audit(context, task, worlds, start, test[0]) for task in tasks.values()]
    for number, found in enumerate(context.map(audit_fit, jobs)):
        checks += found
        context.progress(len(cuts) + number + 1, total, "refits under another future")
    files.write_json("data/audit/audit.json", verdict(checks, caught))


def _first_refits(context: Context, true: World) -> dict[str, FoldTask]:
    """The first refit of each horizon, as the backtest did it."""
    params, instrument = context.params, context.run.instrument
    tuned = context.files.read_json("data/tune/best.json")
    return {
        horizon: next(
            fold_tasks(
                horizon,
                Dataset.join(true.features, labels),
                params,
                instrument,
                family_settings(params, tuned[horizon]),
            )
        )
        for horizon, labels in true.labels.items()
    }


def _question_fills(context: Context, horizon: str, bars: pd.DataFrame) -> tuple[list[Check], list[Check]]:
    params, files = context.params, context.files
    strategy = Strategy(params, context.run.instrument, horizon)
    positions = files.read_frame(f"data/backtest/{horizon}/predictions.parquet")["position"]
    fills = files.read_frame(f"data/backtest/{horizon}/fills.parquet")
    at = fills_to_question(fills, params.audit.cuts, params.seed)
    pairs = list(audit_execution(strategy, bars.loc[positions.index[0] : positions.index[-1]], positions, at))
    decided = decided_before_filled(fills, context.run.instrument.bar, horizon)
    return [decided, *(honest for honest, _ in pairs)], [leaky for _, leaky in pairs]


def _fit_audit(
    context: Context, task: FoldTask, worlds: Mapping[Cut, World], start: Cut, first: pd.Timestamp
) -> FitAudit:
    stored = f"data/backtest/{task.horizon}"
    later = {cut: world for cut, world in worlds.items() if cut != start}
    return FitAudit(
        task=task,
        other=Dataset.join(worlds[start].features, worlds[start].labels[task.horizon]),
        worlds={cut: world.features for cut, world in later.items()},
        bars={cut: world.bars.loc[first:] for cut, world in later.items()},
        predictions=context.files.read_frame(f"{stored}/predictions.parquet"),
        fills=context.files.read_frame(f"{stored}/fills.parquet"),
        equity=context.files.read_frame(f"{stored}/curves.parquet")[["equity"]],
        strategy=Strategy(context.params, context.run.instrument, task.horizon),
    )
