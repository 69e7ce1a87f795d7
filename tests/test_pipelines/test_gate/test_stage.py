"""The gate books what was tried before it counts, and judges against what is live."""

from dataclasses import replace

import pandas as pd
import pytest

from pipelines.gate import stage
from pipelines.register import stage as register
from pipelines.settings import ROOT
from pipelines.tracking import Tracker
from tests.bundles import fake_run


@pytest.fixture(scope="module")
def context(tmp_path_factory, params, instrument, sample_bars):
    one = params.model_copy(update={"labels": params.labels.model_copy(update={"horizons": ["4h"]})})
    bars = sample_bars[:300]
    ret = bars["close"].pct_change()
    features = pd.DataFrame({"a": ret, "volatility_24": ret.rolling(8).std()})
    made = fake_run(tmp_path_factory.mktemp("state"), one, instrument, bars, features)
    return replace(made, settings=made.settings.model_copy(update={"home": ROOT}))


@pytest.fixture(autouse=True)
def trusting(monkeypatch):
    monkeypatch.setattr(register, "check_reload", lambda *args: None)


def test_trials_are_booked_counted_and_the_champion_is_faced(context):
    tried = [{"trial_hash": "t1", "state": "pruned", "params": {}, "metrics": {"sharpe_per_bar": 0.02}}]
    context.files.write_json("data/tune/trials.json", {"4h": {"xgboost": tried}})
    stage.run(context)
    verdict = context.files.read_json("data/gate/verdict.json")
    first = verdict["horizons"]["4h"]
    assert verdict["instrument"] == "BTC-USD-1h"
    assert first["question"] == "first"
    assert first["trials_counted"] == 2
    assert first["verdict"] == "passed"
    tracker = Tracker(context.settings, context.run.instrument)
    assert {trial.trial_hash for trial in tracker.ledger("4h")} == {"t1", "r04h"}

    stage.run(context)
    assert context.files.read_json("data/gate/verdict.json") == verdict, "counting again is not trying again"

    register.run(context)
    assert tracker.version("4h", "champion").version == "1"
    stage.run(context)
    again = context.files.read_json("data/gate/verdict.json")["horizons"]["4h"]
    assert again["question"] == "refresh"
    assert again["champion"] == "1"
    assert again["verdict"] == "passed"
