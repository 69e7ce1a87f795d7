"""What every feature promises, at the default timeframe. A new feature is tested here without another line.

A failure names the features that break the promise.
"""

import numpy as np
import pandas as pd
import pytest

from pipelines.features import FeatureEngine
from pipelines.features.catalogue import GROUPS
from pipelines.features.operators import TOLERANCE

ENGINE = FeatureEngine([group for group in GROUPS if group not in ("order_flow", "cross_asset", "sentiment")], "1h")
WARMUPS = np.array([feature.warmup for feature in ENGINE.features])
CUT, START = 1200, 257

# Value of a feature where nothing happens, by the beginning of its name; 0 of all others, but for the clock's.
NEUTRAL = {
    "rsi": 0.5,
    "stochastic": 0.5,
    "range_position": 0.5,
    "ultimate": 0.5,
    "bollinger_position": 0.5,
    "money_flow_index": 0.5,
    "volatility_rank": 0.5,
    "volume_rank": 0.5,
    "illiquidity_rank": 0.5,
    "return_rank": 0.5,
    "hurst": 0.5,
}
OF_THE_CLOCK = [feature.group == "calendar" or feature.name == "missing_bars_24" for feature in ENGINE.features]


def breaking(kept):
    """Names of the columns in which a promise is not kept somewhere."""
    return [
        name
        for name, good in zip(ENGINE.names, np.asarray(kept).reshape(-1, len(WARMUPS)).all(0), strict=False)
        if not good
    ]


def warm(values):
    """Which of the values are behind their feature's warm-up."""
    return np.arange(len(values))[:, None] >= WARMUPS


@pytest.fixture(scope="module")
def market(sample_bars):
    return sample_bars.iloc[3200:4700]  # a bar is missing among them


@pytest.fixture(scope="module")
def batch(market):
    return ENGINE.batch(market).to_numpy()


def test_says_what_it_is():
    for feature in ENGINE.features:
        assert feature.group in GROUPS, feature
        assert feature.name.isidentifier(), feature
        assert feature.formula, feature
        assert feature.source, feature
        assert feature.inputs, feature
        assert 0 <= feature.warmup <= 900, feature


def test_blank_in_its_warmup_and_finite_after(batch):
    assert not breaking(np.isfinite(batch) == warm(batch))
    assert not breaking(np.isnan(batch) | warm(batch))


def test_says_something(batch):
    assert not breaking([len(np.unique(column[np.isfinite(column)])) > 1 for column in batch.T])


def test_no_two_say_the_same(batch):
    known = pd.DataFrame(batch[ENGINE.warmup :], columns=ENGINE.names)
    assert not known.columns[known.T.duplicated()].tolist()


def test_does_not_see_the_future(market, batch):
    other = market.copy()
    other.iloc[CUT:, :4] *= 1.7
    other.iloc[CUT:, 4] = other.iloc[CUT:, 4].to_numpy()[::-1] * 3
    changed = ENGINE.batch(other).to_numpy()
    assert not breaking((changed == batch)[:CUT] | ~warm(batch)[:CUT])
    assert len(breaking((changed == batch)[CUT:])) > 100


def test_forgets_its_start(market, batch):
    later = ENGINE.batch(market.iloc[START:]).to_numpy()
    assert not breaking((np.abs(later - batch[START:]) <= TOLERANCE) | ~warm(later))


def test_knows_no_price_level_and_no_unit_of_volume(market, batch):
    factors = dict.fromkeys(("open", "high", "low", "close"), 1.37e-8) | {"volume": 4.1e5}
    other = ENGINE.batch(market * pd.Series(factors)).to_numpy()
    assert not breaking((np.abs(other - batch) <= TOLERANCE) | ~warm(batch))


def test_neutral_when_nothing_happens(market):
    frozen = market.copy()
    frozen[["open", "high", "low", "close"]] = 0.1 + 0.2
    frozen["volume"] = 0.0
    settled = ENGINE.batch(frozen).to_numpy()
    neutral = [next((value for name, value in NEUTRAL.items() if one.startswith(name)), 0.0) for one in ENGINE.names]
    assert not breaking((np.abs(settled - neutral) <= TOLERANCE) | ~warm(settled) | OF_THE_CLOCK)


def test_every_neutral_value_is_someones():
    assert not [name for name in NEUTRAL if not any(one.startswith(name) for one in ENGINE.names)]


def test_finite_when_bars_have_no_range_and_volume_is_constant(market):
    path = 100 * 1.0003 ** np.arange(len(market))
    steady = pd.DataFrame({"open": path, "high": path, "low": path, "close": path, "volume": 7.0}, index=market.index)
    values = ENGINE.batch(steady).to_numpy()
    assert not breaking(np.isfinite(values) == warm(values))


def test_streams_what_it_batches(market, batch):
    stream = ENGINE.stream(market.iloc[:-3])
    rows = np.array([stream.update(bar) for _, bar in market.iloc[-3:].iterrows()])
    assert not breaking(rows == batch[-3:])
