"""A signal equals what research computes on the whole history."""

import hashlib
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from models.return_scale import ReturnScale
from serving.predictor import Predictor
from trading.costs import Costs
from trading.errors import ServingError
from trading.no_trade_band import band_positions


@pytest.mark.parametrize("which", [0, 1])
def test_the_tail_says_what_the_whole_history_says(predictors, which, served_bars, served_features):
    predictor = predictors[which]
    spec = predictor.bundle.spec
    bars = served_bars.iloc[:-50]
    signal = predictor.signal(bars.iloc[-predictor.rows :], request_id="r")
    # Research: every row of the full feature table, at once.
    table = served_features.loc[bars.index].dropna()
    vote = predictor.bundle.predict_members(table)["vote"]
    scale = ReturnScale(**spec["return_scale"])
    edge = scale.edge(vote, table["volatility_24"], predictor.horizon_bars)
    positions = band_positions(edge, Costs(**spec["costs"]).per_side, predictor.horizon_bars, 0.01)
    low, high = scale.interval(float(table["volatility_24"].iloc[-1]), predictor.horizon_bars)
    assert signal.prob_up == pytest.approx(vote.iloc[-1], abs=1e-6)
    assert signal.position == positions.iloc[-1]
    assert (signal.interval_low, signal.interval_high) == pytest.approx((low, high), rel=1e-6)
    assert signal.interval_low < 0 < signal.interval_high
    assert signal.confidence == pytest.approx(abs(2 * signal.prob_up - 1))
    assert pd.Timestamp(signal.bar_time) == bars.index[-1]
    assert pd.Timestamp(signal.known_at) == bars.index[-1] + pd.Timedelta("1h")
    assert (signal.symbol, signal.timeframe, signal.horizon) == ("BTC/USD", "1h", spec["horizon"])


def test_positions_agree_over_many_bars(predictors, served_bars, served_features):
    """Held positions too: the last rows are enough to know that an older forecast is still in force."""
    predictor = predictors[1]
    assert predictor.horizon_bars == 4
    table = served_features.dropna()
    vote = predictor.bundle.predict_members(table)["vote"]
    edge = predictor._scale.edge(vote, table["volatility_24"], 4)
    # A band that stops about two forecasts of three.
    band = float(edge.abs().quantile(0.7)) / 2 / predictor._cost
    predictor = replace_band(predictor, band)
    wanted = band_positions(edge, predictor._cost, 4, band)
    seen = []
    for stop in range(len(served_bars) - 40, len(served_bars)):
        bars = served_bars.iloc[stop - predictor.rows : stop]
        seen.append(predictor.signal(bars, request_id="r", features=served_features.loc[bars.index]).position)
    assert seen == wanted.loc[served_bars.index[-41:-1]].tolist()
    assert len(set(seen)) > 1


def replace_band(predictor, round_trips):
    spec = {**predictor.bundle.spec, "positions": {"round_trips": round_trips}}
    return Predictor(replace(predictor.bundle, spec=spec), predictor.version, predictor.arm)


def test_the_same_bars_give_the_same_signal_to_the_bit(predictors, served_bars):
    bars = served_bars.iloc[-predictors[0].rows :]
    first, second = (predictors[0].signal(bars, request_id="same") for _ in range(2))
    assert first == second
    row = predictors[0].features(bars).iloc[-1].to_numpy(dtype=np.float64)
    assert first.feature_hash == hashlib.sha256(row.tobytes()).hexdigest()


def test_only_a_champion_is_proven(predictors, served_bars):
    champion = Predictor(predictors[0].bundle, "3", "champion")
    bars = served_bars.iloc[-champion.rows :]
    assert champion.signal(bars, request_id="r").evidence == "proven"
    assert predictors[0].signal(bars, request_id="r").evidence == "unproven"
    assert champion.signal(bars, request_id="r").model_version == "3"


def test_too_few_bars_say_how_many_are_needed(predictors, served_bars):
    predictor = predictors[1]
    with pytest.raises(ServingError, match=f"needs {predictor.rows}"):
        predictor.signal(served_bars.iloc[-predictor.rows + 1 :], request_id="r")


def test_no_forecast_is_said_and_not_guessed(predictors, served_bars, served_features):
    predictor = predictors[0]
    bars = served_bars.iloc[-predictor.rows :]
    holed = served_features.loc[bars.index].copy()
    holed.iloc[-1, 0] = np.nan
    with pytest.raises(ServingError, match="no forecast"):
        predictor.signal(bars, request_id="r", features=holed)


def test_other_features_than_it_was_trained_on_are_refused(predictors):
    bundle = predictors[0].bundle
    features = {**bundle.spec["features"], "hash": "of another code"}
    with pytest.raises(ServingError, match="other features"):
        Predictor(replace(bundle, spec={**bundle.spec, "features": features}), "1", "candidate")
