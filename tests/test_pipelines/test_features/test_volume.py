"""Volume features against pandas, and where nothing traded."""

import numpy as np
import pandas as pd
import pytest

from pipelines.features import FeatureEngine


@pytest.fixture(scope="module")
def volume_engine():
    return FeatureEngine(["volume"], "1h")


@pytest.fixture(scope="module")
def market(walk):
    bars = walk(600, seed=21)
    bars.iloc[250:255, 4] = 0.0
    return bars


@pytest.fixture(scope="module")
def features(volume_engine, market):
    return volume_engine.batch(market).iloc[volume_engine.warmup :]


def agree(features, name, expected, tolerance=1e-9):
    np.testing.assert_allclose(features[name], expected[features.index], rtol=0, atol=tolerance)


def balance(a, b):
    return (a - b) / (a + b)


def test_volume_against_its_past(market, features):
    v = market["volume"]
    mean = {n: v.rolling(n).mean() for n in (6, 24, 168)}
    agree(features, "relative_volume_24", balance(v, mean[24]))
    agree(features, "volume_trend_6_24", balance(mean[6], mean[24]))
    agree(features, "volume_trend_24_168", balance(mean[24], mean[168]))
    agree(features, "volume_score_168", (v - mean[168]) / v.rolling(168).std(ddof=0))
    agree(features, "volume_dispersion_24", v.rolling(24).std(ddof=0) / mean[24])


def test_volume_with_price(market, features):
    v, c = market["volume"], market["close"]
    r = np.log(c).diff()
    typical = (market["high"] + market["low"] + c) / 3
    place = (2 * c - market["high"] - market["low"]) / (market["high"] - market["low"])
    agree(features, "signed_volume_24", (np.sign(r) * v).rolling(24).sum() / v.rolling(24).sum())
    agree(features, "money_flow_20", (place * v).rolling(20).sum() / v.rolling(20).sum())
    money, rose = typical * v, typical.diff()
    up, down = money.where(rose > 0, 0).rolling(14).sum(), money.where(rose < 0, 0).rolling(14).sum()
    agree(features, "money_flow_index_14", up / (up + down))
    agree(features, "vwap_distance_24", np.log(c * v.rolling(24).sum() / money.rolling(24).sum()))
    agree(features, "volume_return_correlation_48", r.abs().rolling(48).corr(v), 1e-8)
    impact = (r.abs() / (c * v)).where(v > 0, 0.0)
    agree(features, "illiquidity_trend_24_168", balance(impact.rolling(24).mean(), impact.rolling(168).mean()))


def test_neutral_where_nothing_traded(volume_engine, market):
    market = market.assign(volume=0.0)
    row = volume_engine.batch(market).iloc[-1]
    assert row.pop("money_flow_index_14") == 0.5
    assert (row == 0.0).all()


def test_constant_volume_is_no_news(volume_engine, market):
    row = volume_engine.batch(market.assign(volume=0.1 + 0.2)).iloc[-1]
    for name in ("volume_score_168", "relative_volume_24", "volume_dispersion_24", "volume_return_correlation_48"):
        assert row[name] == pytest.approx(0.0, abs=1e-12), name


def test_missing_bars_are_counted_on_the_grid(volume_engine, market):
    there = market.drop(market.index[[300, 301, 310]])
    counted = volume_engine.batch(there)["missing_bars_24"]
    slots = pd.Series(1.0, index=there.index).reindex(market.index)
    expected = slots.isna().rolling(24).sum().reindex(there.index)
    pd.testing.assert_series_equal(counted.iloc[23:], expected.iloc[23:], check_names=False, check_freq=False)
    assert counted.max() == 3.0
