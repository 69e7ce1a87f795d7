"""A bundle stores of the context what its history reads: all of it, and no more of the past."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from models.bundle import load_bundle
from pipelines.context import Context
from pipelines.features import FeatureEngine
from pipelines.features.chosen import feature_engine
from pipelines.inputs import read_bars, read_context, read_features
from pipelines.params import overlay
from pipelines.train.context_tail import context_tail, names_beside
from tests.test_serving.worlds import ETHER, HOUR, SERIES, engine_beside, make_world
from tests.workspace import ROOT, make_context, run_stages

NO_SHRINK = (Phase.explicit, Phase.reuse, Phase.generate)


@pytest.fixture(scope="module")
def engine() -> FeatureEngine:
    return engine_beside()


@settings(max_examples=12, deadline=None, phases=NO_SHRINK)
@given(seed=st.integers(0, 1000), first=st.integers(0, 550), more=st.integers(0, 30))
def test_every_row_of_the_history_and_after_it_comes_out_the_same(
    engine: FeatureEngine, seed: int, first: int, more: int
) -> None:
    world = make_world(650, seed)
    bars = world.bars.iloc[first:]
    whole = world.known(bars.index[-1] + HOUR)
    tail = context_tail(engine, bars.iloc[: len(bars) - more], whole)
    pd.testing.assert_frame_equal(engine.batch(bars, tail), engine.batch(bars, whole), check_exact=True)
    assert list(tail) == [ETHER, *SERIES]


@pytest.mark.parametrize("name", [ETHER, "fear_greed", "funding_rate", "headlines"])
def test_nothing_of_it_could_be_left_out(engine: FeatureEngine, name: str) -> None:
    """The oldest value that is stored is read, where no younger one is there."""
    world = make_world(650)
    bars, whole = world.bars.iloc[500:560], world.known(world.bars.index[-1] + HOUR)
    (series,) = [one for one in engine.series if one.name == name]
    oldest = bars.index[0] + HOUR - series.max_age
    source = whole[name].iloc[:2].drop(columns="not_before", errors="ignore")
    known = pd.DatetimeIndex([oldest - pd.Timedelta("1us"), oldest], name=source.index.name)
    alone = {**whole, name: source.set_axis(known - HOUR if name == ETHER else known)}
    tail = context_tail(engine, bars, alone)
    assert len(tail[name]) == 1
    flag = "eth_usd_missing" if name == ETHER else f"{name}_missing"
    expected = engine.batch(bars, alone)[flag].to_numpy()
    assert expected[0] == 0.0
    np.testing.assert_array_equal(engine.batch(bars, tail)[flag], expected)


def test_what_nobody_reads_is_left_out(engine: FeatureEngine) -> None:
    plain = FeatureEngine(["volatility"], "1h")
    world = make_world(200)
    assert context_tail(plain, world.bars, world.known(world.bars.index[-1])) == {}
    assert names_beside(plain) == {"assets": [], "series": []}
    assert names_beside(engine) == {"assets": [ETHER], "series": list(SERIES)}


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory, raw_params: Mapping[str, Any], source_file: Path) -> Context:
    """A run with another pair and an index beside its bars, up to its bundles."""
    few = {"models": {"voting": {"random_forest": 1.0}}, "features": {"groups": list(GROUPS)}}
    raw = overlay(raw_params, few) | {"models": raw_params["models"] | few["models"]}
    context = make_context(tmp_path_factory.mktemp("trained"), raw, source_file)
    ether = ROOT / "data" / "sample" / "bitfinex_ETH-USD_30m.parquet"
    context.files.path("data/context/bitfinex_ETH-USD_30m.parquet").symlink_to(ether)
    days = pd.date_range("2017-09-20", periods=150, freq="D", tz="UTC", name="date")
    mood = pd.Series(np.random.default_rng(4).integers(5, 95, len(days)).astype(float), days, name="value")
    mood.to_csv(context.files.path("data/context/fear_greed.csv"))
    run_stages(context, ["ingest", "validate", "features", "labels"])
    context.files.write_json("data/tune/best.json", {"1h": [{}], "4h": [{}]})
    run_stages(context, ["train"])
    return context


GROUPS = ("volatility", "cross_asset", "sentiment")


@pytest.mark.parametrize("horizon", ["1h", "4h"])
def test_a_bundle_holds_what_its_engine_is_rebuilt_from(trained: Context, horizon: str) -> None:
    files = trained.files
    bundle = load_bundle(files.path(f"data/train/{horizon}"))
    features = bundle.spec["features"]
    assert (features["groups"], features["assets"], features["series"]) == ([*GROUPS], ["ETH/USD"], ["fear_greed"])
    engine = FeatureEngine(features["groups"], "1h", assets=features["assets"], series=features["series"])
    assert engine.spec_hash == features["hash"] == feature_engine(files, trained.params, trained.run).spec_hash
    rows = engine.batch(bundle.history(), bundle.context()).iloc[engine.warmup :]
    research = read_features(files).loc[rows.index]
    np.testing.assert_allclose(rows, research, rtol=0, atol=1e-9)
    whole = read_context(files)
    for name, frame in bundle.context().items():
        assert len(frame) < len(whole[name])
        pd.testing.assert_frame_equal(frame, whole[name].tail(len(frame)), check_freq=False)
    assert bundle.history().index[-1] == read_bars(files).index[-1]
