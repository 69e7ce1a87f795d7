"""Features are what their names say: each against an independent computation."""

import numpy as np
import pytest
import talib

from pipelines.features.operators import column, entropy
from pipelines.features.statistical import ordinal_pattern
from tests.test_pipelines.test_features.conftest import SINGLE_ASSET
from tests.test_pipelines.test_features.markets import make_bars
from tests.test_pipelines.test_features.references import REFERENCES, Bars
from tests.test_pipelines.test_features.running import value_of


@pytest.fixture(scope="module", params=["real", "walk"])
def market(request, real_bars):
    bars = real_bars.iloc[3200:4500] if request.param == "real" else make_bars(1100, seed=11, gaps=0.05)
    steps = np.diff(bars.index)
    assert (steps > steps.min()).any(), "a bar is missing among them"
    return bars


@pytest.fixture(scope="module")
def features(engine, market):
    return engine.batch(market)


@pytest.fixture(scope="module")
def prepared(market):
    return Bars(market)


def test_every_feature_has_a_reference(engine):
    assert set(REFERENCES) == set(engine.names)


@pytest.mark.parametrize("group", SINGLE_ASSET)
def test_features_are_what_they_are_called(engine, features, prepared, group):
    apart = {}
    for feature in engine.features:
        if feature.group == group:
            expected = REFERENCES[feature.name](prepared)
            apart[feature.name] = np.abs(features[feature.name] - expected).iloc[feature.warmup :].max(skipna=False)
    assert len(apart) >= 8
    assert not {name: worst for name, worst in apart.items() if not worst <= 1e-9}


@pytest.mark.parametrize(
    ("name", "function", "columns"),
    [("rsi_14", talib.RSI, "c"), ("rsi_7", talib.RSI, "c"), ("adx_14", talib.ADX, "hlc")],
)
def test_the_floor_below_ratios_hardly_shows(engine, features, prepared, name, function, columns):
    """TA-Lib divides by whatever there is; we add a ten-millionth of a basis point to it."""
    rows = int(name.split("_")[1])
    apart = features[name] - prepared.talib(function, columns, rows) / 100
    assert 0 < np.abs(apart).iloc[engine.warmup :].max() < 2e-6


def test_the_example_of_bandt_and_pompe():
    """4, 7, 9, 10, 6, 11, 3: two of five triples rise, two go 2 3 1 or 2 1 3, H(3) = 1.522 bits."""
    series = [4.0, 7.0, 9.0, 10.0, 6.0, 11.0, 3.0]
    share = value_of(entropy(ordinal_pattern(column("x")), 5, 6), {"x": series})[-1]
    assert share * np.log2(6) == pytest.approx(1.522, abs=5e-4)
