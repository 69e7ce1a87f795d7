"""What happens later changes nothing now, and how bars arrive changes nothing at all."""

import itertools

import numpy as np
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from pipelines.features import FeatureEngine
from tests.test_pipelines.test_features.conftest import SINGLE_ASSET
from tests.test_pipelines.test_features.markets import KINDS, make_bars

NO_SHRINK = (Phase.explicit, Phase.reuse, Phase.generate)  # an example costs a tenth of a second


def in_pieces(engine, bars, cuts):
    bounds = [0, *sorted({cut for cut in cuts if cut < len(bars)}), len(bars)]
    pieces = [bars.iloc[slice(*bound)] for bound in itertools.pairwise(bounds)]
    return np.vstack([frame.to_numpy() for frame in engine.batches(pieces)])


def streamed(engine, bars, first, rows):
    stream = engine.stream(bars.iloc[:first] if first else None)
    return np.array([stream.update(bar) for _, bar in bars.iloc[first : first + rows].iterrows()])


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=2, deadline=None, phases=NO_SHRINK)
@given(seed=st.integers(0, 10_000), cuts=st.lists(st.integers(1, 1299), max_size=6), first=st.integers(0, 1200))
def test_pieces_and_streams_are_the_batch_to_the_bit(engine, kind, seed, cuts, first):
    bars = KINDS[kind](1300, seed)
    whole = engine.batch(bars).to_numpy()
    np.testing.assert_array_equal(in_pieces(engine, bars, cuts), whole)
    first = min(first, len(bars) - 1)
    rows = streamed(engine, bars, first, 40)
    np.testing.assert_array_equal(rows, whole[first : first + 40])


@pytest.mark.parametrize("timeframe", ["1m", "5m", "30m", "4h"])
def test_at_other_timeframes(timeframe):
    engine = FeatureEngine(SINGLE_ASSET, timeframe)
    bars = make_bars(1100, seed=6, timeframe=timeframe, gaps=0.03)
    whole = engine.batch(bars).to_numpy()
    assert np.isfinite(whole[-1]).all()
    np.testing.assert_array_equal(in_pieces(engine, bars, [1, 63, 512, 900]), whole)
    np.testing.assert_array_equal(streamed(engine, bars, 930, 100), whole[930:1030])


@settings(max_examples=8, deadline=None, phases=NO_SHRINK)
@given(cut=st.integers(1, 1199), seed=st.integers(0, 1000), factor=st.floats(0.2, 5.0))
def test_other_futures_leave_the_past_bit_identical(engine, cut, seed, factor):
    bars = make_bars(1200, seed=1, gaps=0.02)
    cut = min(cut, len(bars) - 1)
    other = bars.copy()
    other.iloc[cut:] = make_bars(len(bars) - cut, seed=seed, price=bars["close"].iloc[cut - 1] * factor).to_numpy()
    past, same, short = (engine.batch(version).iloc[:cut] for version in (bars, other, bars.iloc[:cut]))
    np.testing.assert_array_equal(same, past)
    np.testing.assert_array_equal(short, past)


def test_every_feature_but_the_clock_hears_its_own_bar(engine):
    bars = make_bars(1400, seed=2)
    other = bars.copy()
    other.iloc[1000:1048] = make_bars(48, seed=3, price=120.0).to_numpy()
    changed = (engine.batch(other) != engine.batch(bars)).iloc[1000:1048].any()
    deaf = {f.name for f in engine.features if not changed[f.name]}
    assert deaf == {f.name for f in engine.features if f.group == "calendar"} | {"missing_bars_24"}


def test_every_declared_input_is_read_and_no_other(engine):
    """A column that is changed from some row on changes the features that declare it, and only those."""
    bars = make_bars(1100, seed=7)
    before = engine.batch(bars)
    for column in engine.columns:
        changed = bars.copy()
        changed.iloc[1000:, list(bars).index(column)] *= np.random.default_rng(0).uniform(0.5, 1.5, 100)
        after = engine.batch(changed)
        heard = {name for name in engine.names if not after[name].equals(before[name])}
        assert heard == {feature.name for feature in engine.features if column in feature.inputs}, column
