import pandas as pd
import pytest

from pipelines.artifacts import Artifacts
from pipelines.context import Context
from pipelines.features import FeatureEngine
from pipelines.features.stage import run
from pipelines.params import RunIdentity
from pipelines.settings import Settings
from trading.errors import BarError, TooFewBarsError


@pytest.fixture
def bars(sample_bars):
    """As ingest writes them: without what takers did."""
    return sample_bars.iloc[:1500].copy()


@pytest.fixture
def context(params, tmp_path):
    identity = RunIdentity(symbol="BTC/USD", timeframe="1h", source="sample", as_of=None)
    return Context(params, identity, Artifacts(tmp_path), Settings(state=tmp_path))


def test_writes_every_row_and_the_spec(context, bars):
    context.files.write_frame("data/validated/bars.parquet", bars)
    run(context)
    engine = FeatureEngine(context.params.features.groups, "1h")
    written = context.files.read_frame("data/features/features.parquet")
    pd.testing.assert_frame_equal(written, engine.batch(bars), check_exact=True, check_freq=False)
    spec = context.files.read_json("data/features/spec.json")
    assert spec.pop("hash") == engine.spec_hash
    assert spec == engine.spec()


def test_says_how_many_bars_are_needed(context, bars):
    needed = FeatureEngine(context.params.features.groups, "1h").warmup + 1
    context.files.write_frame("data/validated/bars.parquet", bars.iloc[: needed - 1])
    with pytest.raises(TooFewBarsError, match=f"at least {needed} bars"):
        run(context)
    assert not context.files.exists("data/features/features.parquet")
    context.files.write_frame("data/validated/bars.parquet", bars.iloc[:needed])
    run(context)
    assert context.files.read_frame("data/features/features.parquet").iloc[-1].notna().all()


def test_refuses_frames_that_are_not_bars(context, bars):
    context.files.write_frame("data/validated/bars.parquet", bars.drop(columns="close"))
    with pytest.raises(BarError):
        run(context)
