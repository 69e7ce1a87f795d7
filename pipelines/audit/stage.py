"""Audit: rebuild everything from raw bars whose future was changed, and see that nothing earlier moved."""

import pandas as pd

from pipelines.audit.checks import (
    Check,
    FitAudit,
    audit_fit,
    compare,
    known_by,
    labels_known_by,
    moments,
    verdict,
)
from pipelines.audit.perturb import changed_after
from pipelines.backtest.strategy import Strategy
from pipelines.backtest.walk_forward import fold_tasks
from pipelines.context import Context
from pipelines.dataset import Dataset
from pipelines.features.engine import FeatureEngine
from pipelines.labels.direction import direction_labels
from pipelines.recipe import family_settings
from pipelines.validate.screen import screen
from trading.instrument import duration


def run(context: Context) -> None:
    """Read raw bars and everything made of them; write ``audit.json``.

    For each moment the whole pipeline is run again on bars that part from the true ones there: contracts,
    resampling, features, labels; and, for the first refit, the fitted recipe, its forecasts, positions, fills and
    equity. All that was known by the moment must be the same to the last bit. Two controls, which do look one bar
    ahead, must be caught.
    """
    params, instrument, files = context.params, context.run.instrument, context.files
    raw = files.read_frame("data/raw/bars.parquet")
    source = files.read_json("data/raw/ingest.json")["source_timeframe"]
    bars = files.read_frame("data/validated/bars.parquet")
    features = files.read_frame("data/features/features.parquet")
    labels = {h: files.read_frame(f"data/labels/{h}.parquet") for h in params.labels.horizons}
    tuned = files.read_json("data/tune/best.json")
    engine = FeatureEngine(params.features.groups, instrument.timeframe)
    tasks = {}
    for horizon in params.labels.horizons:
        settings = family_settings(params, tuned[horizon])
        data = Dataset.join(features, labels[horizon])
        tasks[horizon] = next(fold_tasks(horizon, data, params, instrument, settings))
    first = tasks[params.labels.horizons[0]]
    test = pd.DatetimeIndex(first.data.X.index[first.test])
    start = test[0] + instrument.bar
    cuts = moments(test, instrument, params.audit.cuts, params.seed)

    checks: list[Check] = []
    controls: list[Check] = []
    worlds: dict[pd.Timestamp, tuple[pd.DataFrame, pd.DataFrame]] = {}
    other_labels: dict[str, pd.DataFrame] = {}
    context.progress(0, 1 + len(cuts) + len(tasks), "other futures")
    for number, cut in enumerate([start, *cuts]):
        other_raw = changed_after(raw, cut, duration(source), seed=params.seed + number)
        other_bars = screen(other_raw, source, instrument.timeframe, params.validate_).bars
        other_features = engine.batch(other_bars)
        worlds[cut] = (other_bars, other_features)
        checks.append(
            compare("bars", cut, known_by(bars, cut, instrument.bar), known_by(other_bars, cut, instrument.bar))
        )
        checks.append(
            compare(
                "features", cut, known_by(features, cut, instrument.bar), known_by(other_features, cut, instrument.bar)
            )
        )
        controls.append(
            compare(
                "control: a feature that sees the next bar",
                cut,
                known_by(features[["volatility_24"]].shift(-1), cut, instrument.bar),
                known_by(other_features[["volatility_24"]].shift(-1), cut, instrument.bar),
            )
        )
        for horizon in params.labels.horizons:
            other = direction_labels(other_bars, instrument, horizon)
            checks.append(
                compare(
                    f"labels {horizon}",
                    cut,
                    labels_known_by(labels[horizon], cut, instrument.bar),
                    labels_known_by(other, cut, instrument.bar),
                )
            )
            late = cut + instrument.bar
            controls.append(
                compare(
                    "control: a label known one bar late",
                    cut,
                    labels_known_by(labels[horizon], late, instrument.bar),
                    labels_known_by(other, late, instrument.bar),
                )
            )
            if cut == start:
                other_labels[horizon] = other
        context.progress(number + 1, 1 + len(cuts) + len(tasks), f"the future after {cut:%Y-%m-%d %H:%M} changed")
    jobs = [
        FitAudit(
            task=tasks[horizon],
            other=Dataset.join(worlds[start][1], other_labels[horizon]),
            worlds={cut: worlds[cut][1] for cut in cuts},
            bars={cut: worlds[cut][0].loc[test[0] :] for cut in cuts},
            predictions=files.read_frame(f"data/backtest/{horizon}/predictions.parquet"),
            fills=files.read_frame(f"data/backtest/{horizon}/fills.parquet"),
            equity=files.read_frame(f"data/backtest/{horizon}/curves.parquet")[["equity"]],
            strategy=Strategy(params, instrument, horizon),
        )
        for horizon in params.labels.horizons
    ]
    for number, found in enumerate(context.map(audit_fit, jobs)):
        checks += found
        context.progress(1 + len(cuts) + number + 1, 1 + len(cuts) + len(tasks), "refits under another future")
    files.write_json("data/audit/audit.json", verdict(checks, controls))
