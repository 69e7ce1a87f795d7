"""The half of the pipeline that learns: refitted on another future, followed to positions, fills and equity."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import pandas as pd

from models.ensemble import Ensemble
from models.return_scale import ReturnScale
from pipelines.audit.checks import Findings
from pipelines.audit.execution import fill_table
from pipelines.audit.lookahead import find_lookahead
from pipelines.audit.pipeline import Pipeline, part_of, table
from pipelines.audit.report import Report
from pipelines.audit.worlds import Moment, stamps_of
from pipelines.backtest.strategy import Strategy
from pipelines.backtest.walk_forward import FoldTask, fit_vote, predict_block
from pipelines.dataset import Dataset
from pipelines.features.context import Published
from pipelines.tune.past import before_the_test

Model = tuple[Ensemble, ReturnScale]


@dataclass(frozen=True)
class FirstBlock:
    """One horizon's first refit and test block, as the backtest did it.

    Attributes
    ----------
    task
        The refit.
    strategy
        How its forecasts were traded.
    predictions, fills, equity
        What was stored.
    """

    task: FoldTask
    strategy: Strategy
    predictions: pd.DataFrame
    fills: pd.DataFrame
    equity: pd.Series

    @property
    def horizon(self) -> str:
        """What is predicted."""
        return self.task.horizon

    @property
    def index(self) -> pd.DatetimeIndex:
        """Rows of the data."""
        return pd.DatetimeIndex(self.task.data.X.index)

    @property
    def test(self) -> pd.DatetimeIndex:
        """Rows of the test block."""
        return self.index[self.task.test]

    @property
    def start(self) -> Moment:
        """Close of the first test bar, at which the first decision of the test is taken."""
        at = stamps_of(self.test[:1] + self.strategy.instrument.bar)
        return Moment(int(at[0]), False, "the start of the test")

    @property
    def said(self) -> list[str]:
        """Columns of a forecast."""
        return [c for c in self.predictions.columns if c in {*self.task.weights, "vote", "unit_edge", "low", "high"}]


@dataclass(frozen=True)
class Refits:
    """The first refits of all horizons. Travels to a worker process: whoever fits has heavy libraries to load.

    Attributes
    ----------
    pipeline
        From rows to features and labels.
    rows
        Raw rows, indexed by their openings.
    beside
        Other instruments and external series.
    blocks
        By horizon.
    moments
        Moments within the test block.
    """

    pipeline: Pipeline
    rows: pd.DataFrame
    beside: Published
    blocks: Mapping[str, FirstBlock]
    moments: Sequence[Moment]


def audit_refits(job: Refits) -> Findings:
    """Refit on another future, then follow what the models say under others.

    What a fit may know ends at the close of the first test bar: the earliest decision of the test. A training label
    that ends later changes the fitted models, so a missing purge is seen although it hardly shows in results; so
    does a scaler or a selection that saw the test.
    """
    pipeline, blocks, engine = job.pipeline, job.blocks, job.pipeline.engine()
    fitted: dict[str, Model] = {}

    def refit(rows: pd.DataFrame, beside: Published) -> pd.DataFrame:
        bars = pipeline.bars(rows)
        features = engine.batch(bars, beside)
        made: dict[str, pd.DataFrame] = {}
        for horizon, block in blocks.items():
            data = Dataset.join(features, pipeline.labels(bars, horizon))
            # The same moments in the other world: a row that is missing there is a leak already, and shows as one.
            positions = data.X.index.get_indexer(block.index[block.task.train])
            fitted[horizon] = fit_vote(replace(block.task, data=data, train=positions[positions >= 0]))
            made |= _fit_parts(pipeline, block, data, predict_block(block.task, *fitted[horizon], block.task.data))
        return table(made)

    expected = [_fit_parts(pipeline, block, block.task.data, block.predictions) for block in blocks.values()]
    stored = table({name: frame for parts in expected for name, frame in parts.items()})
    starts = {horizon: pd.Series(block.start.time, index=block.index) for horizon, block in blocks.items()}
    found = Findings()
    report = find_lookahead(
        refit,
        job.rows,
        timeframe=pipeline.source,
        context=job.beside,
        delay=pipeline.delays,
        # Whatever the search and the fit are handed, and so all that the fitted model says, is known by the start.
        known_at={column: starts[part_of(column).rpartition(" ")[2]] for column in stored.columns},
        moments=list(dict.fromkeys(block.start for block in blocks.values())),
        worlds=["mirrored"],
        expected=stored,
        tolerance=0.0,
        seed=pipeline.params.seed,
    )
    found.add(report, rows=f"tuning data {next(iter(blocks))}")
    if fitted:
        found.add(_follow(job, fitted), rows=f"forecasts {next(iter(blocks))}")
    return found


def _fit_parts(
    pipeline: Pipeline, block: FirstBlock, data: Dataset, forecasts: pd.DataFrame
) -> dict[str, pd.DataFrame]:
    """What the search is handed, and what the model that was fitted beside it says about the true test rows."""
    past = before_the_test(data, block.test[0], pipeline.params, pipeline.instrument)
    return {
        f"tuning data {block.horizon}": past.X.assign(y=past.y, ret=past.ret),
        f"fit {block.horizon}": forecasts.loc[block.test, block.said],
    }


def _follow(job: Refits, fitted: Mapping[str, Model]) -> Report:
    """Forecasts, positions, fills and equity of fitted models on features of other futures."""
    pipeline, blocks, engine = job.pipeline, job.blocks, job.pipeline.engine()

    def follow(rows: pd.DataFrame, beside: Published) -> pd.DataFrame:
        bars = pipeline.bars(rows)
        features = engine.batch(bars, beside)
        made: dict[str, pd.DataFrame] = {}
        for horizon, block in blocks.items():
            labels = pipeline.labels(bars, horizon).rename(columns={"label": "y"}).reindex(block.index)
            outcomes = {
                name: labels[name] for name in ("y", "ret", "t_end", "horizon_ret", "horizon_end") if name in labels
            }
            data = replace(block.task.data, X=features.reindex(block.index), **outcomes)
            forecasts = predict_block(block.task, *fitted[horizon], data)
            forecasts = forecasts.loc[block.test.isin(bars.index), block.said]
            positions = block.strategy.positions(forecasts["vote"], forecasts["unit_edge"])
            traded = block.strategy.simulate(bars.loc[: forecasts.index[-1]], positions)
            made |= _trade_parts(block, forecasts, positions, traded.fills, traded.equity)
        return table(made)

    expected: dict[str, pd.DataFrame] = {}
    for block in blocks.values():
        stored = block.predictions.loc[block.test]
        expected |= _trade_parts(block, stored[block.said], stored["position"], block.fills, block.equity)
    traded = table(expected)
    return find_lookahead(
        follow,
        job.rows,
        timeframe=pipeline.source,
        context=job.beside,
        delay=pipeline.delays,
        known_at={c: "open" if part_of(c).startswith("fills") else pipeline.instrument.bar for c in traded.columns},
        moments=job.moments,
        # A bar of which only the first source bar exists is no bar to the pipeline, so nothing may be missing.
        worlds=["mirrored"],
        expected=traded,
        tolerance=0.0,
        seed=pipeline.params.seed,
    )


def _trade_parts(
    block: FirstBlock, forecasts: pd.DataFrame, positions: pd.Series, fills: pd.DataFrame, equity: pd.Series
) -> dict[str, pd.DataFrame]:
    last = block.test[-1]
    return {
        f"forecasts {block.horizon}": forecasts,
        f"positions {block.horizon}": positions.to_frame("position"),
        f"fills {block.horizon}": fill_table(fills).loc[:last],
        f"equity {block.horizon}": equity.loc[:last].to_frame("equity"),
    }
