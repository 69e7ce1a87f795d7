"""After its declared warm-up no feature knows where the history began."""

import numpy as np
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from pipelines.features import FeatureEngine
from pipelines.features.operators import TOLERANCE
from tests.test_pipelines.test_features.conftest import SINGLE_ASSET
from tests.test_pipelines.test_features.markets import KINDS, hold_still, make_bars

NO_SHRINK = (Phase.explicit, Phase.reuse, Phase.generate)  # an example costs a tenth of a second


def assert_forgotten(engine, bars, start):
    whole, later = engine.batch(bars).iloc[start:].to_numpy(), engine.batch(bars.iloc[start:]).to_numpy()
    known = np.arange(len(later))[:, None] >= [feature.warmup for feature in engine.features]
    np.testing.assert_array_equal(np.isfinite(later), known)
    apart = np.where(known, np.abs(later - whole), 0.0).max(axis=0)
    assert not {name: worst for name, worst in zip(engine.names, apart, strict=True) if not worst <= TOLERANCE}


@settings(max_examples=4, deadline=None, phases=NO_SHRINK)
@pytest.mark.parametrize("kind", KINDS)
@given(seed=st.integers(0, 10_000), start=st.integers(1, 900))
def test_on_any_market_from_any_start(engine, kind, seed, start):
    assert_forgotten(engine, KINDS[kind](1900, seed), start)


@pytest.mark.parametrize("start", [1, 2048, 9999])
def test_on_real_bars_with_gaps(engine, real_bars, start):
    assert_forgotten(engine, real_bars.iloc[max(0, start - 2000) : start + 1200], min(start, 2000))


@pytest.mark.parametrize("timeframe", ["1m", "3m", "5m", "15m", "30m", "2h", "4h"])
def test_at_every_timeframe(timeframe):
    engine = FeatureEngine(SINGLE_ASSET, timeframe)
    assert engine.warmup <= 900
    assert_forgotten(engine, make_bars(1500, seed=5, timeframe=timeframe, gaps=0.05), start=217)


@pytest.mark.parametrize("moves", [3, 30, 120])
def test_when_the_later_history_begins_among_flat_prices(engine, moves):
    bars = hold_still(make_bars(2600, seed=3), 500, 500 + engine.warmup + 300 - moves)
    assert_forgotten(engine, bars, start=800)


@pytest.mark.parametrize("flat", range(100, 800, 50))
def test_while_averages_of_moves_fade_away(engine, flat):
    """Ratios of what is nearly nothing: rounding must not come through."""
    assert_forgotten(engine, hold_still(make_bars(1000 + flat, seed=flat), 990, 990 + flat), start=101)
