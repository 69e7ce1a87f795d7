"""Audit: rebuild everything from raw bars whose future was changed, and see that nothing earlier moved."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from pipelines.audit.checks import Findings, outcomes_ahead, verdict
from pipelines.audit.execution import audit_execution, decided_before_filled, fills_to_question
from pipelines.audit.lookahead import find_lookahead
from pipelines.audit.pipeline import Pipeline, feature_step, feature_table, label_ends, label_table
from pipelines.audit.refit import FirstBlock, Refits, audit_refits
from pipelines.audit.worlds import History, Moment, stamps_of
from pipelines.backtest.strategy import Strategy
from pipelines.backtest.walk_forward import fold_tasks
from pipelines.context import Context
from pipelines.dataset import Dataset
from pipelines.features.chosen import chosen_features
from pipelines.inputs import read_bars, read_context, read_features, read_labels
from pipelines.recipe import family_settings
from trading.instrument import duration


def run(context: Context) -> None:
    """Write ``audit.json``: see :func:`audit`."""
    context.files.write_json("data/audit/audit.json", audit(context))


def audit(context: Context) -> dict[str, Any]:
    """Read raw bars, what stands beside them, and everything made of them; question all of it for look-ahead.

    Every part of the real pipeline is run again from raw bars whose future is another after some moment, and what was
    published beside them after it is another too: contracts, resampling, features and labels at many moments; what the
    search is handed, and the fitted recipe of the first refit, at the close of the first test bar; its forecasts,
    positions, fills and equity at some in the test block. All that was known by the moment must be the same to the last
    bit, and what was yet to come must not. Some fills are questioned by changing all of their bar but its open. Leaks
    of one bar, the controls, must be caught.

    Returns
    -------
    dict
        See :func:`pipelines.audit.checks.verdict`.
    """
    made = _read(context)
    blocks, moments = _blocks(context, made)
    # Whoever fits loads heavy libraries first: no more processes for it than there are, and they begin at once.
    share = min(context.settings.workers, len(blocks))
    parcels = [dict(list(blocks.items())[number::share]) for number in range(share)]
    jobs = [Refits(made.pipeline, made.rows, made.beside, parcel, moments) for parcel in parcels]
    refits = context.map(audit_refits, jobs)
    found = Findings()
    parts = ((_question_features, "features"), (_question_labels, "labels"), (_question_fills, "fills"))
    for done, (question, name) in enumerate(parts):
        context.progress(done, len(parts) + 1, f"{name} under other futures")
        question(context, made, blocks, found)
    context.progress(len(parts), len(parts) + 1, "models refitted under other futures")
    for told in refits:
        found.checks += told.checks
        found.failures += told.failures
    context.progress(len(parts) + 1, len(parts) + 1, "audited")
    return verdict(found, context.params.labels.horizons)


Blocks = dict[str, FirstBlock]


@dataclass(frozen=True)
class Made:
    """What the stages have made, from the rows they made it of and what stands beside them."""

    pipeline: Pipeline
    rows: pd.DataFrame
    beside: dict[str, pd.DataFrame]
    bars: pd.DataFrame
    features: pd.DataFrame
    labels: dict[str, pd.DataFrame]


def _read(context: Context) -> Made:
    params, files, instrument = context.params, context.files, context.run.instrument
    source = files.read_json("data/raw/ingest.json")["source_timeframe"]
    return Made(
        Pipeline(params, instrument, source, chosen_features(files, params, context.run)),
        files.read_frame("data/raw/bars.parquet").set_index("timestamp"),
        read_context(files),
        read_bars(files),
        read_features(files),
        {horizon: read_labels(files, horizon) for horizon in params.labels.horizons},
    )


def _blocks(context: Context, made: Made) -> tuple[Blocks, list[Moment]]:
    """The first block of each horizon, and moments within it to follow the models at."""
    params, files = context.params, context.files
    tuned = files.read_json("data/tune/best.json")
    blocks = {}
    for horizon, labels in made.labels.items():
        data, settings = Dataset.join(made.features, labels), family_settings(params, tuned[horizon][0])
        stored = f"data/backtest/{horizon}"
        blocks[horizon] = FirstBlock(
            task=next(fold_tasks(horizon, data, params, context.run.instrument, settings)),
            strategy=Strategy(params, context.run.instrument, horizon),
            predictions=files.read_frame(f"{stored}/predictions.parquet"),
            fills=files.read_frame(f"{stored}/fills.parquet"),
            equity=files.read_frame(f"{stored}/curves.parquet")["equity"],
        )
    test = next(iter(blocks.values())).test
    opens = pd.concat([block.fills for block in blocks.values()])
    opens = opens[(opens["timestamp"] > test[0]) & (opens["timestamp"] < test[-1])].drop_duplicates("timestamp")
    moments = [
        *closes_within(test, context.run.instrument.bar, 1, params.seed),
        *fills_to_question(opens, params.audit.cuts, params.seed),
    ]
    return blocks, moments


def closes_within(test: pd.DatetimeIndex, bar: pd.Timedelta, count: int, seed: int) -> list[Moment]:
    """Closes of bars inside a test block, at random, in order."""
    inside = np.arange(1, len(test) - 1)
    chosen = np.random.default_rng(seed).choice(inside, size=min(count, len(inside)), replace=False)
    return [Moment(int(at), False, "a close in the test") for at in stamps_of(test[np.sort(chosen)] + bar)]


def _question_features(context: Context, made: Made, blocks: Blocks, found: Findings) -> None:
    pipeline = made.pipeline
    ratio = pipeline.instrument.bar // duration(pipeline.source)
    report = find_lookahead(
        feature_step(pipeline),
        made.rows,
        timeframe=pipeline.source,
        context=made.beside,
        delay=pipeline.delays,
        known_at=pipeline.instrument.bar,
        # A day's worth of rows that have every feature, before each moment.
        history=(pipeline.engine().warmup + pipeline.instrument.bars_in("1d")) * ratio,
        cuts=context.params.audit.cuts,
        expected=feature_table(made.bars, made.features),
        tolerance=0.0,
        seed=context.params.seed,
    )
    found.add(report, rows="bars")


def _question_labels(context: Context, made: Made, blocks: Blocks, found: Findings) -> None:
    params, pipeline = context.params, made.pipeline
    bar, horizons = pipeline.instrument.bar, params.labels.horizons
    longest = max(map(pipeline.instrument.bars_in, horizons)) + pipeline.instrument.bars_in("1d")
    expected = label_table(made.labels, bar)
    first = next(iter(blocks.values()))
    closes = [first.start, *closes_within(first.test, bar, params.audit.cuts, params.seed)]

    def step(rows: pd.DataFrame) -> pd.DataFrame:
        bars = pipeline.bars(rows)
        return label_table({horizon: pipeline.labels(bars, horizon) for horizon in horizons}, bar)

    # At t_end the last price may have just been quoted, in a bar that has yet to close: the rest of it may change, but
    # it must come. Once it has closed, nothing need follow.
    asked: tuple[dict[str, Any], ...] = (
        {"t_end": label_ends(expected.columns, closed=False), "worlds": ["mirrored"], "cuts": params.audit.cuts},
        {"known_at": label_ends(expected.columns, closed=True), "moments": closes},
    )
    for how in asked:
        report = find_lookahead(
            step,
            made.rows,
            timeframe=pipeline.source,
            history=longest * (bar // duration(pipeline.source)),
            expected=expected,
            tolerance=0.0,
            seed=params.seed,
            **how,
        )
        found.add(report, rows=f"labels {horizons[0]}")
    for moment in closes:
        other = History(made.rows, duration(pipeline.source)).other(moment, "mirrored", params.seed)
        bars = pipeline.bars(other.bars)
        found.checks += [
            outcomes_ahead(f"outcomes {horizon}", moment.time, labels, pipeline.labels(bars, horizon), bar)
            for horizon, labels in made.labels.items()
        ]


def _question_fills(context: Context, made: Made, blocks: Blocks, found: Findings) -> None:
    params = context.params
    for horizon, block in blocks.items():
        positions = block.predictions["position"]
        bars = made.bars.loc[positions.index[0] : positions.index[-1]]
        at = fills_to_question(block.fills, params.audit.cuts, params.seed)
        found.add(audit_execution(block.strategy, bars, positions, at), rows=f"execution {horizon}")
        found.checks.append(decided_before_filled(block.fills, context.run.instrument.bar, horizon))
