import pandas as pd
import pytest

from pipelines.artifacts import Artifacts
from pipelines.context import Context
from pipelines.features import FeatureEngine, stage
from pipelines.features.chosen import choose, feature_engine
from pipelines.features.order_flow import COLUMNS as ORDER_FLOW
from pipelines.features.stage import run
from pipelines.params import RunIdentity
from pipelines.settings import Settings
from trading.bars import COLUMNS
from trading.errors import BarError, StageError, TooFewBarsError

ALWAYS = [
    "trend",
    "momentum",
    "volatility",
    "volume",
    "liquidity",
    "statistical",
    "calendar",
    "memory",
    "adaptive",
    "multi_timeframe",
]


@pytest.fixture
def bars(sample_bars):
    """Bars without what takers did."""
    return sample_bars.iloc[:1500].copy()


@pytest.fixture
def context(params, tmp_path):
    """A workspace in which nothing stands beside the bars."""
    identity = RunIdentity(symbol="BTC/USD", timeframe="1h", source="sample", context="data/context", as_of=None)
    files = Artifacts(tmp_path)
    files.write_json("data/raw/ingest.json", {"context": []})
    return Context(params, identity, files, Settings(state=tmp_path))


def test_writes_every_row_and_the_spec(context, bars):
    context.files.write_frame("data/validated/bars.parquet", bars)
    run(context)
    engine = FeatureEngine(ALWAYS, "1h")
    written = context.files.read_frame("data/features/features.parquet")
    assert len(written.columns) == 203
    pd.testing.assert_frame_equal(written, engine.batch(bars), check_exact=True, check_freq=False)
    spec = context.files.read_json("data/features/spec.json")
    assert spec.pop("hash") == engine.spec_hash
    assert spec == engine.spec()


def test_groups_that_nothing_is_there_for_are_off_and_said_to_be(context, bars):
    context.files.write_frame("data/validated/bars.parquet", bars)
    told = []
    run(Context(context.params, context.run, context.files, context.settings, progress=lambda *said: told.append(said)))
    off = {
        "order_flow": "bars without taker_buy_volume, trades",
        "cross_asset": "no other instrument in data/context",
        "sentiment": "no series in data/context",
    }
    assert context.files.read_json("data/features/groups.json") == {"on": ALWAYS, "off": off, "beside": {}, "notes": []}
    assert told[-1][2] == (
        "203 features of 1500 bars; off: order_flow (bars without taker_buy_volume, trades), "
        "cross_asset (no other instrument in data/context), sentiment (no series in data/context)"
    )


def test_order_flow_is_on_where_bars_have_it(context, bars):
    bars = bars.assign(taker_buy_volume=bars["volume"] * 0.4, trades=9.0)
    context.files.write_frame("data/validated/bars.parquet", bars)
    run(context)
    assert context.files.read_json("data/features/groups.json")["on"] == [*ALWAYS, "order_flow"]
    engine = FeatureEngine([*ALWAYS, "order_flow"], "1h")
    assert context.files.read_json("data/features/spec.json")["hash"] == engine.spec_hash
    assert feature_engine(context.files, context.params, context.run).spec_hash == engine.spec_hash


@pytest.mark.parametrize("lacking", ORDER_FLOW)
def test_half_an_order_flow_is_none(lacking):
    chosen = choose(["volatility", "order_flow"], "1h", {*COLUMNS, *ORDER_FLOW} - {lacking}, [], [])
    assert chosen.groups == ("volatility",)
    assert chosen.off == {"order_flow": f"bars without {lacking}"}


def test_what_nobody_asked_for_is_not_called_off():
    chosen = choose(["volatility", "sentiment"], "1h", COLUMNS, ["ETH/USD"], [], "there")
    assert chosen.groups == ("volatility",)
    assert chosen.off == {"sentiment": "no series in there"}


def test_it_needs_what_ingest_has_noted(context, bars):
    context.files.write_frame("data/validated/bars.parquet", bars)
    context.files.path("data/raw/ingest.json").unlink()
    with pytest.raises(StageError, match=r"ingest\.json is missing"):
        run(context)


def test_says_how_many_bars_are_needed(context, bars):
    needed = FeatureEngine(ALWAYS, "1h").warmup + 1
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


def test_bars_in_pieces_give_the_features_of_the_whole(context, bars, monkeypatch):
    context.files.write_frame("data/validated/bars.parquet", bars)
    monkeypatch.setattr(stage, "_ROWS", 137)
    run(context)
    written = context.files.read_frame("data/features/features.parquet")
    whole = FeatureEngine(ALWAYS, "1h").batch(bars)
    pd.testing.assert_frame_equal(written, whole, check_exact=True, check_freq=False)


def test_bars_that_break_their_contract_behind_a_cut_are_refused(context, bars, monkeypatch):
    bars.iloc[500, 4] = -1.0
    context.files.write_frame("data/validated/bars.parquet", bars)
    monkeypatch.setattr(stage, "_ROWS", 137)
    with pytest.raises(BarError, match="not below 0") as caught:
        run(context)
    assert caught.value.where == "data/validated/bars.parquet, from row 411"
    assert not context.files.exists("data/features/features.parquet")
