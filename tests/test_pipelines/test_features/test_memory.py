"""After its declared warm-up no feature knows where the history began."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from pipelines.features import FeatureEngine
from pipelines.features.engine import GROUPS
from pipelines.features.feature import TOLERANCE, ema_memory, wilder_memory

NO_SHRINK = (Phase.explicit, Phase.reuse, Phase.generate)  # an example costs a tenth of a second


def assert_forgotten(engine, bars, start):
    whole, later = engine.batch(bars).iloc[start:], engine.batch(bars.iloc[start:])
    for feature in engine.features:
        blank = later[feature.name].isna().to_numpy()
        assert blank.tolist() == [True] * feature.warmup + [False] * (len(later) - feature.warmup), feature
        apart = np.abs(later[feature.name] - whole[feature.name]).iloc[feature.warmup :]
        assert apart.max() <= TOLERANCE, f"{feature}: {apart.idxmax()} is {apart.max():.1e} apart"


@pytest.mark.parametrize("price", [1e-4, 1.0, 1e5])
@pytest.mark.parametrize("volatility", [1e-6, 0.01, 0.05])
def test_on_random_walks_at_any_price(engine, walk, price, volatility):
    bars = walk(1500, seed=int(price > 1), price=price, volatility=volatility, gaps=0.03)
    assert_forgotten(engine, bars, start=311)


@pytest.mark.parametrize("start", [1, 2048, 5003, 9999, 14007])
def test_on_real_bars_with_gaps(engine, sample_bars, start):
    assert_forgotten(engine, sample_bars.iloc[max(0, start - 2500) : start + 900], min(start, 2500))


@pytest.mark.parametrize("timeframe", ["1m", "3m", "5m", "15m", "30m", "2h", "4h"])
def test_at_every_timeframe(walk, timeframe):
    engine = FeatureEngine(GROUPS, timeframe)
    assert engine.warmup <= 700
    assert_forgotten(engine, walk(1300, seed=5, timeframe=timeframe, gaps=0.05), start=217)


@settings(max_examples=12, deadline=None, phases=NO_SHRINK)
@given(
    seed=st.integers(0, 10_000),
    first=st.integers(1, 900),
    length=st.integers(1, 900),
    start=st.integers(1, 900),
    volatility=st.sampled_from([1e-6, 1e-3, 0.05]),
)
def test_through_stretches_in_which_nothing_moves(engine, walk, stand_still, seed, first, length, start, volatility):
    bars = stand_still(walk(1800, seed=seed, volatility=volatility), first, first + length)
    assert_forgotten(engine, bars, start)


@pytest.mark.parametrize("moves", [3, 30, 120])
def test_when_the_later_history_begins_among_flat_prices(engine, walk, stand_still, moves):
    bars = stand_still(walk(2400, seed=3), 500, 500 + engine.warmup + 300 - moves)
    assert_forgotten(engine, bars, start=800)


def test_after_a_crash_to_a_thousandth(engine, walk):
    bars = walk(1700, seed=8)
    bars.iloc[700:, :4] *= 1e-3
    assert_forgotten(engine, bars, start=600)


def test_the_memory_of_an_average_is_what_its_weights_say():
    for span in (12, 27, 48):
        left = 10.0 * ((span - 1) / (span + 1)) ** (ema_memory(span) - span + 1)
        assert TOLERANCE * (span - 1) / (span + 1) < left <= TOLERANCE
    assert wilder_memory(14) > ema_memory(27)


def test_whole_days_without_bars(engine, walk):
    bars = walk(2200, seed=4)
    silent = (bars.index >= bars.index[600]) & (bars.index < bars.index[600] + pd.Timedelta(days=9))
    assert_forgotten(engine, bars[~silent], start=450)
