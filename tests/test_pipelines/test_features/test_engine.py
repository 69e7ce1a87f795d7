"""What is computed, what it is called, and what is refused."""

import numpy as np
import pandas as pd
import pytest

from pipelines.artifacts import content_hash
from pipelines.features import FeatureEngine
from pipelines.features import engine as engine_module
from pipelines.features.engine import GROUPS
from pipelines.features.feature import Feature
from trading.errors import BarError, EngineError, InstrumentError, ParamsError


def test_four_groups_of_at_least_fifty_columns(engine):
    assert len(engine.names) >= 50
    assert len(set(engine.names)) == len(engine.names)
    assert engine.groups == GROUPS
    assert "volatility_24" in FeatureEngine(["technical"], "1h").names
    assert engine.warmup == max(f.warmup for f in engine.features) <= 700


def test_spec_says_everything_and_its_hash_is_the_identity(engine):
    spec = engine.spec()
    assert [f["name"] for f in spec["features"]] == engine.names
    assert all(f["formula"] and f["source"] and f["group"] in GROUPS for f in spec["features"])
    assert engine.spec_hash == content_hash(spec) == FeatureEngine(GROUPS, "1h").spec_hash
    assert FeatureEngine(GROUPS[::-1], "1h").spec_hash == engine.spec_hash  # the order asked for does not matter
    assert FeatureEngine([*GROUPS, "volume"], "1h").names == engine.names
    others = {FeatureEngine([g for g in GROUPS if g != group], "1h").spec_hash for group in GROUPS}
    others.add(FeatureEngine(GROUPS, "30m").spec_hash)
    assert len(others | {engine.spec_hash}) == 6


def test_groups_do_not_influence_each_other(engine, bars):
    whole = engine.batch(bars)
    for group in GROUPS:
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


def test_integers_are_numbers_too(engine, bars):
    whole = bars.round()
    pd.testing.assert_frame_equal(engine.batch(whole), engine.batch(whole.astype(int)), check_exact=True)


def test_reads_its_bars_and_leaves_them(engine, bars):
    before = bars.copy()
    extra = bars.assign(funding_rate=np.nan)[["funding_rate", *bars.columns[::-1]]]
    pd.testing.assert_frame_equal(engine.batch(extra), engine.batch(bars))
    pd.testing.assert_frame_equal(bars, before)


def test_stamps_in_any_unit_and_zone(engine, bars):
    expected = engine.batch(bars).to_numpy()
    for index in (bars.index.as_unit("ns"), bars.index.as_unit("s"), bars.index.tz_convert("Asia/Kolkata")):
        np.testing.assert_array_equal(engine.batch(bars.set_axis(index)).to_numpy(), expected)


@pytest.mark.parametrize(
    ("harm", "says"),
    [
        (lambda b: b.drop(columns=["open", "volume"]), "without open, volume"),
        (lambda b: b.reset_index(drop=True), "without stamps"),
        (lambda b: b.tz_localize(None), "without stamps"),
        (lambda b: b.assign(close="dear"), "text"),
        (lambda b: b.assign(close=b["close"].where(b.index != b.index[7])), "no feature can be computed"),
        (lambda b: b.assign(low=0.0), "no feature can be computed"),
        (lambda b: b.assign(high=np.inf), "no feature can be computed"),
        (lambda b: b.assign(volume=-1.0), "no feature can be computed"),
        (lambda b: b.iloc[::-1], "off their grid"),
        (lambda b: b.iloc[[0, 1, 1, 2]], "off their grid"),
        (lambda b: b.set_axis(b.index[:1].append(b.index[1:] + pd.Timedelta("5min"))), "off their grid"),
    ],
)
def test_refuses_what_is_not_bars(engine, bars, harm, says):
    with pytest.raises(BarError, match=says):
        engine.batch(harm(bars))


def test_refuses_groups_and_timeframes_nobody_knows():
    with pytest.raises(ParamsError, match="'astrology'"):
        FeatureEngine(["technical", "astrology"], "1h")
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
    broken = Feature("broken", "calendar", 2, "1/0", "nowhere", lambda market: np.full(len(market), np.inf))
    monkeypatch.setattr(engine_module.calendar, "FEATURES", (broken,))
    with pytest.raises(FloatingPointError, match="broken is not finite"):
        FeatureEngine(["calendar"], "1h").batch(bars)
