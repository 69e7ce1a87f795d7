"""Indicators against their definitions, written a second time in pandas and plain loops."""

import numpy as np
import pandas as pd
import pytest
import talib

RATIO = 2e-5  # a ratio of averages is drawn to neutral by 1e-9 of the price


@pytest.fixture(scope="module", params=["walk", "real"])
def market(request, walk, sample_bars):
    return walk(1400, seed=11) if request.param == "walk" else sample_bars.iloc[3000:4400]


@pytest.fixture(scope="module")
def features(engine, market):
    return engine.batch(market).iloc[engine.warmup :]


def agree(features, name, expected, tolerance=1e-9):
    np.testing.assert_allclose(features[name], expected[features.index], rtol=0, atol=tolerance)


def smoothed(values, n):
    """Wilder: the first is a mean, then one n-th of the new value joins."""
    values = values.dropna()
    out = pd.Series(np.nan, index=values.index)
    out.iloc[n - 1] = values.iloc[:n].mean()
    for i in range(n, len(values)):
        out.iloc[i] = out.iloc[i - 1] + (values.iloc[i] - out.iloc[i - 1]) / n
    return out


def true_range(bars):
    before = bars["close"].shift()
    return pd.concat(
        [bars["high"] - bars["low"], (bars["high"] - before).abs(), (bars["low"] - before).abs()], axis=1
    ).max(axis=1, skipna=False)


def test_rsi(market, features):
    moves = market["close"].diff()
    up, down = smoothed(moves.clip(lower=0), 14), smoothed(-moves.clip(upper=0), 14)
    agree(features, "rsi_14", up / (up + down), RATIO)
    agree(features, "rsi_14", pd.Series(talib.RSI(market["close"].to_numpy(), 14) / 100, market.index), RATIO)


def test_average_true_range(market, features):
    agree(features, "natr_14", smoothed(true_range(market), 14) / market["close"])


def test_directional_movement(market, features):
    up, down = market["high"].diff(), -market["low"].diff()
    plus = smoothed(up.where((up > down) & (up > 0), 0.0).iloc[1:], 14)
    minus = smoothed(down.where((down > up) & (down > 0), 0.0).iloc[1:], 14)
    agree(features, "directional_balance_14", (plus - minus) / smoothed(true_range(market), 14), RATIO)
    agree(features, "adx_14", smoothed((plus - minus).abs() / (plus + minus), 14), RATIO)
    ours = talib.ADX(*(market[c].to_numpy() for c in ("high", "low", "close")), 14)
    agree(features, "adx_14", pd.Series(ours / 100, market.index), RATIO)


def test_macd(market, features):
    close = np.log(market["close"])
    macd = close.ewm(span=12, adjust=False).mean() - close.ewm(span=26, adjust=False).mean()
    agree(features, "macd_12_26", macd)
    agree(features, "macd_histogram_12_26_9", macd - macd.ewm(span=9, adjust=False).mean())
    for span in (12, 48):
        agree(features, f"ema_distance_{span}", close - close.ewm(span=span, adjust=False).mean())


def test_bollinger(market, features):
    middle, spread = market["close"].rolling(20).mean(), market["close"].rolling(20).std(ddof=0)
    agree(features, "bollinger_position_20", (market["close"] - middle + 2 * spread) / (4 * spread), 1e-7)
    agree(features, "bollinger_width_20", 4 * spread / middle, 1e-7)
    upper, _, lower = (pd.Series(band, market.index) for band in talib.BBANDS(market["close"].to_numpy(), 20, 2, 2))
    agree(features, "bollinger_position_20", (market["close"] - lower) / (upper - lower), 1e-6)


def test_commodity_channel(market, features):
    typical = (market["high"] + market["low"] + market["close"]) / 3
    spread = typical.rolling(20).apply(lambda w: np.abs(w - w.mean()).mean(), raw=True)
    agree(features, "cci_20", (typical - typical.rolling(20).mean()) / (1.5 * spread), 1e-7)
    theirs = talib.CCI(*(market[c].to_numpy() for c in ("high", "low", "close")), 20) / 100
    agree(features, "cci_20", pd.Series(theirs, market.index), 1e-7)


def test_stochastic_and_channel(market, features):
    def place(n):
        low, high = market["low"].rolling(n).min(), market["high"].rolling(n).max()
        return (market["close"] - low) / (high - low)

    agree(features, "stochastic_k_14", place(14))
    agree(features, "stochastic_d_14_3", place(14).rolling(3).mean())
    agree(features, "range_position_168", place(168))


def test_aroon(market, features):
    since_high = market["high"].rolling(26).apply(lambda w: np.argmax(w[::-1]), raw=True)
    since_low = market["low"].rolling(26).apply(lambda w: np.argmin(w[::-1]), raw=True)
    agree(features, "aroon_25", (since_low - since_high) / 25)


def test_moments_of_returns(market, features):
    r = np.log(market["close"]).diff()
    for n in (1, 3, 6, 12, 24, 72):
        agree(features, f"return_{n}", np.log(market["close"]).diff(n))
    short, long = r.rolling(24).std(), r.rolling(168).std()
    agree(features, "volatility_24", short)
    agree(features, "volatility_168", long)
    agree(features, "volatility_balance_24_168", (short - long) / (short + long), 1e-7)
    agree(
        features,
        "skewness_72",
        r.rolling(72).apply(lambda w: ((w - w.mean()) ** 3).mean() / w.std() ** 3, raw=True),
        1e-7,
    )
    agree(features, "autocorrelation_48", r.rolling(48).corr(r.shift()), 1e-7)
    agree(features, "efficiency_24", r.rolling(24).sum() / r.abs().rolling(24).sum(), 1e-8)
    squares = (np.log(market["high"] / market["low"]) ** 2).rolling(24).mean()
    agree(features, "parkinson_24", np.sqrt(squares / (4 * np.log(2))))


def test_lines_and_means(market, features):
    close = np.log(market["close"])
    agree(features, "slope_24", close.rolling(24).apply(lambda w: np.polyfit(np.arange(24), w, 1)[0], raw=True))
    agree(features, "trend_fit_72", close.rolling(72).apply(lambda w: np.corrcoef(np.arange(72), w)[0, 1], raw=True))
    for n in (24, 168):
        agree(features, f"sma_distance_{n}", np.log(market["close"] / market["close"].rolling(n).mean()))


def test_shape_of_the_bar(market, features):
    span = market["high"] - market["low"]
    top, bottom = market[["open", "close"]].max(axis=1), market[["open", "close"]].min(axis=1)
    agree(features, "body", (market["close"] - market["open"]) / span)
    agree(features, "upper_shadow", (market["high"] - top) / span)
    agree(features, "lower_shadow", (bottom - market["low"]) / span)


def test_published_example_of_rsi(engine):
    """The Wilder RSI example that charting courses print: 14 changes, then 70.5 and 66.2."""
    closes = [
        44.34,
        44.09,
        44.15,
        43.61,
        44.33,
        44.83,
        45.10,
        45.42,
        45.84,
        46.08,
        45.89,
        46.03,
        45.61,
        46.28,
        46.28,
        46.00,
    ]
    moves = pd.Series(closes).diff()
    up, down = smoothed(moves.clip(lower=0), 14), smoothed(-moves.clip(upper=0), 14)
    ours = (up / (up + down) * 100).dropna().tolist()
    assert ours == pytest.approx([70.5, 66.2], abs=0.15)
    assert talib.RSI(np.array(closes), 14)[-2:] == pytest.approx(ours)
