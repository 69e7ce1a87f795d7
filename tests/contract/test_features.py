"""What every feature promises, at the default timeframe. A new feature is tested here without another line."""

import numpy as np
import pandas as pd
import pytest

from pipelines.features import FeatureEngine
from pipelines.features.engine import GROUPS
from pipelines.features.feature import TOLERANCE

ENGINE = FeatureEngine(GROUPS, "1h")
FEATURES = pytest.mark.parametrize("feature", ENGINE.features, ids=lambda feature: feature.name)
CUT, START = 1100, 257


@pytest.fixture(scope="module")
def market(sample_bars):
    return sample_bars.iloc[3200:4700]  # a bar is missing among them


@pytest.fixture(scope="module")
def batch(market):
    return ENGINE.batch(market)


@pytest.fixture(scope="module")
def later_start(market):
    return ENGINE.batch(market.iloc[START:])


@pytest.fixture(scope="module")
def other_future(market):
    other = market.copy()
    other.iloc[CUT:, :4] *= 1.7
    other.iloc[CUT:, 4] = other.iloc[CUT:, 4].to_numpy()[::-1] * 3
    return ENGINE.batch(other)


@pytest.fixture(scope="module")
def other_units(market):
    factors = dict.fromkeys(("open", "high", "low", "close"), 1.37e-8) | {"volume": 4.1e5}
    return ENGINE.batch(market * pd.Series(factors))


@pytest.fixture(scope="module")
def nothing_happens(market):
    frozen = market.copy()
    frozen[["open", "high", "low", "close"]] = 0.1 + 0.2
    frozen["volume"] = 0.0
    return ENGINE.batch(frozen)


@pytest.fixture(scope="module")
def steady_growth(market):
    path = 100 * 1.0003 ** np.arange(len(market))
    steady = pd.DataFrame({"open": path, "high": path, "low": path, "close": path, "volume": 7.0}, index=market.index)
    return ENGINE.batch(steady)


@pytest.fixture(scope="module")
def streamed(market):
    stream = ENGINE.stream(market.iloc[:-3])
    return pd.DataFrame([stream.update(bar) for _, bar in market.iloc[-3:].iterrows()])


@FEATURES
def test_says_what_it_is(feature):
    assert feature.group in GROUPS
    assert feature.name.isidentifier()
    assert feature.formula
    assert feature.source
    assert 0 <= feature.warmup <= 700


@FEATURES
def test_blank_in_its_warmup_and_finite_after(feature, batch):
    column = batch[feature.name]
    assert column.dtype == np.float64
    assert column.iloc[: feature.warmup].isna().all()
    assert np.isfinite(column.iloc[feature.warmup :]).all()


@FEATURES
def test_says_something(feature, batch):
    assert batch[feature.name].nunique() > 1


@FEATURES
def test_does_not_see_the_future(feature, batch, other_future):
    past = batch[feature.name].iloc[:CUT]
    pd.testing.assert_series_equal(past, other_future[feature.name].iloc[:CUT], check_exact=True)


@FEATURES
def test_forgets_its_start(feature, batch, later_start):
    apart = (batch[feature.name].iloc[START:] - later_start[feature.name]).abs()
    assert apart.iloc[: feature.warmup].isna().all()
    assert apart.iloc[feature.warmup :].max() <= TOLERANCE


@FEATURES
def test_knows_no_price_level_and_no_unit_of_volume(feature, batch, other_units):
    np.testing.assert_allclose(other_units[feature.name], batch[feature.name], rtol=0, atol=TOLERANCE)


@FEATURES
def test_neutral_when_nothing_happens(feature, nothing_happens):
    settled = nothing_happens[feature.name].iloc[feature.warmup :]
    assert np.isfinite(settled).all()
    if feature.group != "calendar" and feature.name != "missing_bars_24":
        half = ("rsi", "money_flow_index", "stochastic", "range_position", "bollinger_position")
        neutral = 0.5 if feature.name.startswith(half) else 0.0
        np.testing.assert_allclose(settled, neutral, rtol=0, atol=TOLERANCE)


@FEATURES
def test_finite_when_bars_have_no_range_and_volume_is_constant(feature, steady_growth):
    assert np.isfinite(steady_growth[feature.name].iloc[feature.warmup :]).all()


@FEATURES
def test_streams_what_it_batches(feature, batch, streamed):
    np.testing.assert_allclose(streamed[feature.name], batch[feature.name].iloc[-3:], rtol=0, atol=TOLERANCE)
