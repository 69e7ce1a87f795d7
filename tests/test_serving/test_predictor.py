"""A signal equals what research computes on the whole history."""

import hashlib
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from models.conformal import Conformal
from models.return_scale import ReturnScale
from pipelines.labels.direction import direction_labels
from serving.predictor import Predictor
from trading.costs import Costs
from trading.errors import ModelError, ServingError
from trading.no_trade_band import band_positions


def ask(predictor, bars):
    return predictor.signal(bars, predictor.features(bars), request_id="r")


@pytest.mark.parametrize("which", [0, 1])
def test_the_tail_says_what_the_whole_history_says(predictors, which, served_bars, served_features):
    predictor = predictors[which]
    spec = predictor.bundle.spec
    bars = served_bars.iloc[:-50]
    signal = ask(predictor, bars.iloc[-predictor.rows :])
    # Research: every row of the full feature table, at once.
    table = served_features.loc[bars.index].dropna()
    vote = predictor.bundle.predict_members(table)["vote"]
    scale = ReturnScale(**spec["return_scale"])
    edge = scale.edge(vote, table["volatility_24"], predictor.horizon_bars)
    positions = band_positions(edge, Costs(**spec["costs"]).per_side, predictor.horizon_bars, 0.01)
    outcomes = direction_labels(bars, predictor.instrument, predictor.horizon).loc[table.index]
    said = (
        Conformal(**spec["conformal"])
        .intervals(
            outcomes["ret"],
            outcomes["t_end"],
            table["volatility_24"],
            predictor.horizon_bars,
            np.array([len(table) - 1]),
        )
        .iloc[0]
    )
    assert signal.prob_up == pytest.approx(vote.iloc[-1], abs=1e-6)
    assert signal.position == positions.iloc[-1]
    assert (signal.interval_low, signal.interval_high) == pytest.approx((said["low"], said["high"]), rel=1e-6)
    assert signal.interval_levels == pytest.approx((said["low_level"], said["high_level"]))
    assert signal.interval_outcomes == said["outcomes"] > 40
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
        seen.append(predictor.signal(bars, served_features.loc[bars.index], request_id="r").position)
    assert seen == wanted.loc[served_bars.index[-41:-1]].tolist()
    assert len(set(seen)) > 1


def replace_band(predictor, round_trips):
    spec = {**predictor.bundle.spec, "positions": {"round_trips": round_trips}}
    return Predictor(replace(predictor.bundle, spec=spec), predictor.version, predictor.arm)


def test_the_same_bars_give_the_same_signal_to_the_bit(predictors, served_bars):
    bars = served_bars.iloc[-predictors[0].rows :]
    first, second = (ask(predictors[0], bars) for _ in range(2))
    assert first == second
    row = predictors[0].features(bars).iloc[-1].to_numpy(dtype=np.float64)
    assert first.feature_hash == hashlib.sha256(row.tobytes()).hexdigest()


@pytest.mark.parametrize("evidence", ["proven", "overridden", "unproven"])
def test_a_signal_says_what_its_version_is_worth(predictors, served_bars, evidence):
    champion = Predictor(predictors[0].bundle, "3", "champion", evidence)
    bars = served_bars.iloc[-champion.rows :]
    assert ask(champion, bars).evidence == evidence
    assert ask(predictors[0], bars).evidence == "unproven"
    assert ask(champion, bars).model_version == "3"


def test_too_few_bars_say_how_many_are_needed(predictors, served_bars):
    predictor = predictors[1]
    with pytest.raises(ServingError, match=f"needs {predictor.rows}"):
        ask(predictor, served_bars.iloc[-predictor.rows + 1 :])


def test_no_forecast_is_said_and_not_guessed(predictors, served_bars, served_features):
    predictor = predictors[0]
    bars = served_bars.iloc[-predictor.rows :]
    holed = served_features.loc[bars.index].copy()
    holed.iloc[-1, 0] = np.nan
    with pytest.raises(ServingError, match="no forecast"):
        predictor.signal(bars, holed, request_id="r")


def test_other_features_than_it_was_trained_on_are_refused(predictors):
    bundle = predictors[0].bundle
    features = {**bundle.spec["features"], "hash": "of another code"}
    with pytest.raises(ServingError, match="other features"):
        Predictor(replace(bundle, spec={**bundle.spec, "features": features}), "1", "candidate")


def changed(predictor, **keys):
    return replace(predictor.bundle, spec={**predictor.bundle.spec, **keys})


@pytest.mark.parametrize("which", [0, -1])
def test_a_feature_that_comes_out_differently_than_in_training_is_refused(predictors, which):
    bundle = predictors[0].bundle
    values = list(bundle.spec["last_features"])
    values[which] += 1e-6 * max(1.0, abs(values[which]))
    with pytest.raises(ServingError, match=r"feature code changed .* run `engine run`") as caught:
        Predictor(changed(predictors[0], last_features=values), "1", "candidate")
    assert bundle.feature_names[which] in caught.value.where


def test_changed_feature_code_is_noticed_though_its_spec_is_the_same(predictors, monkeypatch):
    from pipelines.features.engine import FeatureEngine

    compute = FeatureEngine.compute
    monkeypatch.setattr(FeatureEngine, "compute", lambda self, *given: compute(self, *given) * 1.0001)
    with pytest.raises(ServingError, match="feature code changed"):
        Predictor(predictors[0].bundle, "1", "candidate")


def test_features_of_another_number_are_refused(predictors):
    with pytest.raises(ServingError, match="feature code changed"):
        Predictor(changed(predictors[0], last_features=[1.0]), "1", "candidate")


def test_rounding_is_no_change(predictors):
    values = [value * (1 + 1e-12) for value in predictors[0].bundle.spec["last_features"]]
    assert Predictor(changed(predictors[0], last_features=values), "1", "candidate")


def test_a_bundle_that_does_not_tell_its_last_features_is_refused(predictors):
    spec = {key: value for key, value in predictors[0].bundle.spec.items() if key != "last_features"}
    with pytest.raises(ModelError, match="last_features"):
        Predictor(replace(predictors[0].bundle, spec=spec), "1", "candidate")


def test_missing_bars_are_counted(predictors, served_bars):
    predictor = predictors[0]
    whole = served_bars.iloc[: -predictor.horizon_bars]
    before = ask(predictor, whole.iloc[-predictor.rows :]).missing_bars
    stamps = whole.index[-predictor.rows :]
    assert before == len(pd.date_range(stamps[0], stamps[-1], freq="h").difference(stamps))
    holed = whole.drop(whole.index[[-3, -30, -31]])
    after = ask(predictor, holed.iloc[-predictor.rows :]).missing_bars
    stamps = holed.index[-predictor.rows :]
    assert after == len(pd.date_range(stamps[0], stamps[-1], freq="h").difference(stamps))
    assert after >= before + 3
