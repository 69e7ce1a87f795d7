import pandas as pd
import pytest

from pipelines.artifacts import Artifacts
from pipelines.context import Context
from pipelines.labels.direction import direction_labels
from pipelines.labels.labelling import make_labels
from pipelines.labels.stage import run
from pipelines.params import RunIdentity, overlay, parse_params
from pipelines.settings import Settings
from trading.errors import BarError, StageError, TooFewBarsError


@pytest.fixture
def context(params, tmp_path):
    identity = RunIdentity(symbol="BTC/USD", timeframe="1h", source="sample", context="data/context", as_of=None)
    return Context(params, identity, Artifacts(tmp_path), Settings(state=tmp_path))


@pytest.fixture
def barriers(context, raw_params):
    chosen = {"method": "triple_barrier", "weights": "return"}
    params = parse_params(overlay(raw_params, {"labels": chosen}))
    return Context(params, context.run, context.files, context.settings)


def test_writes_one_file_for_each_horizon(context, bars, instrument):
    context.files.write_frame("data/validated/bars.parquet", bars)
    run(context)
    for horizon in context.params.labels.horizons:
        written = context.files.read_frame(f"data/labels/{horizon}.parquet")
        pd.testing.assert_frame_equal(written, direction_labels(bars, instrument, horizon), check_freq=False)


def test_writes_what_the_params_want(barriers, bars, instrument):
    barriers.files.write_frame("data/validated/bars.parquet", bars)
    run(barriers)
    params = barriers.params
    for horizon in params.labels.horizons:
        written = barriers.files.read_frame(f"data/labels/{horizon}.parquet")
        made = make_labels(bars, instrument, horizon, params.labels, params.costs.costs())
        pd.testing.assert_frame_equal(written, made, check_freq=False)
        assert {"weight", "touch"} <= set(written)


def test_says_how_many_bars_are_needed(context, bars):
    context.files.write_frame("data/validated/bars.parquet", bars.iloc[:5])
    with pytest.raises(TooFewBarsError, match="at least 6 bars: one to decide on"):
        run(context)
    context.files.write_frame("data/validated/bars.parquet", bars.iloc[:6])
    run(context)
    assert context.files.read_frame("data/labels/4h.parquet")["label"].notna().sum() == 1


def test_barriers_need_a_volatility_before_the_first_label(barriers, bars):
    barriers.files.write_frame("data/validated/bars.parquet", bars.iloc[:29])
    with pytest.raises(TooFewBarsError, match="at least 30 bars: 24 for the volatility, one to decide on"):
        run(barriers)
    barriers.files.write_frame("data/validated/bars.parquet", bars.iloc[:30])
    run(barriers)
    assert barriers.files.read_frame("data/labels/4h.parquet")["label"].notna().any()


def test_refuses_what_is_missing_or_no_bars(context, bars):
    with pytest.raises(StageError, match="missing"):
        run(context)
    context.files.write_frame("data/validated/bars.parquet", bars.drop(columns="volume"))
    with pytest.raises(BarError, match="contract"):
        run(context)
