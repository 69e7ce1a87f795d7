"""What is computed, what it is called, and what is refused."""

import numpy as np
import pandas as pd
import pytest

from pipelines.artifacts import content_hash
from pipelines.features import FeatureEngine, calendar
from pipelines.features.catalogue import GROUPS
from pipelines.features.feature import Feature
from pipelines.features.operators import column, log_of, mean
from tests.test_pipelines.test_features.conftest import SINGLE_ASSET
from tests.test_pipelines.test_features.markets import make_bars
from trading.errors import BarError, EngineError, InstrumentError, ParamsError


def test_more_than_a_hundred_features_in_named_groups(engine):
    assert len(engine.names) > 150
    assert len(set(engine.names)) == len(engine.names)
    assert engine.groups == SINGLE_ASSET
    assert {feature.group for feature in engine.features} == set(engine.groups)
    assert engine.warmup == max(feature.warmup for feature in engine.features) <= 900


def test_spec_says_everything_and_its_hash_is_the_identity(engine):
    spec = engine.spec()
    assert [feature["name"] for feature in spec["features"]] == engine.names
    assert all(feature["formula"] and feature["source"] and feature["inputs"] for feature in spec["features"])
    assert engine.spec_hash == content_hash(spec) == FeatureEngine(SINGLE_ASSET, "1h").spec_hash
    assert FeatureEngine(SINGLE_ASSET[::-1], "1h").spec_hash == engine.spec_hash  # in whatever order they are asked for
    assert FeatureEngine([*SINGLE_ASSET, "volume"], "1h").names == engine.names
    others = {FeatureEngine([g for g in SINGLE_ASSET if g != group], "1h").spec_hash for group in SINGLE_ASSET}
    others.add(FeatureEngine(SINGLE_ASSET, "30m").spec_hash)
    assert len(others | {engine.spec_hash}) == len(SINGLE_ASSET) + 2


def test_a_changed_window_changes_the_hash(monkeypatch):
    def engine(rows):
        feature = Feature("calendar", "same_name", mean(column("close"), rows), "nowhere")
        monkeypatch.setattr(calendar, "FEATURES", (feature,))
        return FeatureEngine(["calendar"], "1h")

    assert engine(5).spec_hash == engine(5).spec_hash != engine(6).spec_hash


def test_groups_do_not_influence_each_other(engine, bars):
    whole = engine.batch(bars)
    for group in engine.groups:
        alone = FeatureEngine([group], "1h").batch(bars)
        pd.testing.assert_frame_equal(alone, whole[list(alone)], check_exact=True)


def test_any_length_of_history(engine, bars):
    for rows in (0, 1, 2, 30, 200, engine.warmup, engine.warmup + 1):
        frame = engine.batch(bars.iloc[:rows])
        assert frame.index.equals(bars.index[:rows])
        assert list(frame) == engine.names
        assert (frame.dtypes == np.float64).all()
        for feature in engine.features:
            assert frame[feature.name].notna().sum() == max(0, rows - feature.warmup)


def test_reads_its_bars_and_leaves_them(engine, bars):
    before = bars.copy()
    extra = bars.assign(funding_rate=np.nan)[["funding_rate", *bars.columns[::-1]]]
    pd.testing.assert_frame_equal(engine.batch(extra), engine.batch(bars))
    pd.testing.assert_frame_equal(bars, before)


def test_what_takers_did_is_read_only_where_it_is_asked_for(bars):
    plain = bars[["open", "high", "low", "close", "volume"]]
    assert FeatureEngine(["trend"], "1h").columns == list(plain)
    FeatureEngine(["trend", "volume"], "1h").batch(plain.iloc[:50])
    with pytest.raises(BarError, match="without taker_buy_volume, trades"):
        FeatureEngine(["order_flow"], "1h").batch(plain)


def test_pieces_come_in_order(engine, bars):
    pieces = [bars.iloc[:100], bars.iloc[:0], bars.iloc[100:101], bars.iloc[101:]]
    frames = list(engine.batches(iter(pieces)))
    assert [len(frame) for frame in frames] == [100, 1, len(bars) - 101]
    pd.testing.assert_frame_equal(pd.concat(frames), engine.batch(bars), check_exact=True, check_freq=False)
    for wrong in (bars.iloc[99:200], bars.iloc[:50]):
        with pytest.raises(BarError, match="comes after that of"):
            list(engine.batches([bars.iloc[:100], wrong]))


def test_a_history_of_any_length_is_held_a_piece_at_a_time(engine):
    """Pieces are asked for one by one: nothing is read before it is needed."""
    asked = []

    def pieces():
        for number in range(4):
            asked.append(number)
            yield make_bars(10, start=f"2024-01-0{number + 1}")

    frames = engine.batches(pieces())
    next(frames)
    assert asked == [0]


def test_refuses_groups_and_timeframes_nobody_knows():
    with pytest.raises(ParamsError, match="'astrology'"):
        FeatureEngine(["trend", "astrology"], "1h")
    with pytest.raises(ParamsError, match="no feature group"):
        FeatureEngine([], "1h")
    with pytest.raises(InstrumentError, match="1H"):
        FeatureEngine(GROUPS, "1H")


def test_refuses_a_context_nobody_reads(engine, bars):
    with pytest.raises(EngineError, match="ETH/USD"):
        engine.batch(bars, {"ETH/USD": bars})
    with pytest.raises(EngineError, match="ETH/USD"):
        engine.stream(context={"ETH/USD": bars})
    engine.batch(bars.iloc[:5], {})


def test_a_formula_that_breaks_is_a_bug_and_not_a_nan(bars, monkeypatch):
    broken = Feature("calendar", "broken", log_of(column("close") * 0), "nowhere")
    monkeypatch.setattr(calendar, "FEATURES", (*calendar.FEATURES, broken))
    with pytest.raises(FloatingPointError, match="broken is not finite"):
        FeatureEngine(["calendar"], "1h").batch(bars)
