"""What is served, under which alias, and that a bad request changes nothing."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from pipelines.settings import Settings
from pipelines.tracking import Tracker
from serving.catalog import Catalog, Served, live_versions, open_catalog
from serving.contracts import NotServedError
from serving.history import History
from serving.run import predict_once
from trading.errors import ServingError
from trading.instrument import Instrument

BITCOIN = Instrument("BTC/USD", "1h")


def test_signals_come_shortest_horizon_first(served):
    signals = served.signals(None, request_id="r")
    assert [s.horizon for s in signals] == ["1h", "4h"]
    assert {s.request_id for s in signals} == {"r"}


def test_newer_bars_move_the_signal_and_are_remembered(served, served_bars):
    before = served.signals(None, request_id="r")
    after = served.signals(served_bars.iloc[-60:-30], request_id="r")
    assert after[0].bar_time == served_bars.index[-31].to_pydatetime()
    assert after[0].feature_hash != before[0].feature_hash
    assert served.signals(None, request_id="r") == after
    assert served.signals(served_bars.iloc[-40:-35], request_id="r") == after


def test_one_step_or_many_give_the_same_signal(predictors, history, served, served_bars):
    for row in range(-50, -45):
        served.signals(served_bars.iloc[row : row + 1], request_id="r")
    at_once = Served(predictors, history).signals(served_bars.iloc[-50:-45], request_id="r")
    assert served.signals(None, request_id="r") == at_once


def test_one_bad_bar_and_none_is_remembered(served, served_bars):
    before = served.signals(None, request_id="r")
    spoilt = served_bars.iloc[-50:-30].copy()
    spoilt.iloc[-1, spoilt.columns.get_loc("high")] = 0.5
    with pytest.raises(ServingError):
        served.signals(spoilt, request_id="r")
    assert served.signals(None, request_id="r") == before


def test_bars_without_a_forecast_are_not_remembered(served, served_bars, monkeypatch):
    before = served.signals(None, request_id="r")

    def refuse(*args, **kwargs):
        raise ServingError("no forecast")

    with monkeypatch.context() as patch:
        patch.setattr(served.predictors[1], "signal", refuse)
        with pytest.raises(ServingError, match="no forecast"):
            served.signals(served_bars.iloc[-50:-40], request_id="r")
    assert served.history.bars.index[-1] == served_bars.index[-51]
    assert served.signals(None, request_id="r") == before


def test_a_history_that_is_too_short_does_not_start(predictors, history):
    with pytest.raises(ServingError, match="10 bars of history"):
        Served(predictors, History(BITCOIN, history.bars, rows=10, max_gap=24))


def test_each_request_has_its_own_id(served):
    first, second = (served.signals(None, request_id=name)[0] for name in "ab")
    assert (first.request_id, second.request_id) == ("a", "b")
    assert first.model_copy(update={"request_id": "b"}) == second


def test_many_callers_at_once(served, served_bars):
    def ask(row):
        return served.signals(served_bars.iloc[-50:row], request_id="r")

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(ask, [-45, -48, -40, -46, -42, -44]))
    assert served.history.bars.index[-1] == served_bars.index[-41]


class TestFind:
    @pytest.fixture
    def catalog(self, served):
        return Catalog({BITCOIN: served, Instrument("ETH/USD", "1h"): served, Instrument("ETH/USD", "4h"): served})

    @pytest.mark.parametrize("symbol", ["BTC/USD", "BTC-USD", "btc-usd"])
    @pytest.mark.parametrize("timeframe", [None, "1h"])
    def test_any_spelling(self, catalog, served, symbol, timeframe):
        assert catalog.find(symbol, timeframe) is served

    @pytest.mark.parametrize(("symbol", "timeframe"), [("XRP/USD", None), ("BTC/USD", "4h")])
    def test_what_is_not_served_is_answered_with_what_is(self, catalog, symbol, timeframe):
        with pytest.raises(NotServedError) as caught:
            catalog.find(symbol, timeframe)
        assert "BTC/USD 1h, ETH/USD 1h, ETH/USD 4h" in caught.value.rule

    def test_several_timeframes_must_be_told_apart(self, catalog):
        with pytest.raises(ServingError, match="several timeframes"):
            catalog.find("ETH/USD", None)
        assert catalog.find("ETH/USD", "4h")

    @pytest.mark.parametrize(("symbol", "timeframe"), [("bitcoin", None), ("BTC/USD", "1H"), ("", None)])
    def test_nonsense(self, catalog, symbol, timeframe):
        with pytest.raises(ServingError) as caught:
            catalog.find(symbol, timeframe)
        assert not isinstance(caught.value, NotServedError)


def test_nothing_registered(tmp_path):
    with pytest.raises(ServingError, match="nothing to serve") as caught:
        live_versions(Settings(state=tmp_path, mlflow_tracking_uri=""))
    assert "engine run" in caught.value.remedy


def test_the_candidate_is_served_until_there_is_a_champion(workspace, served_bars):
    (served,) = open_catalog(workspace.settings).served.values()
    signals = served.signals(None, request_id="r")
    assert {(s.arm, s.evidence, s.model_version) for s in signals} == {("candidate", "unproven", "1")}
    assert served.history.bars.index[-1] == served_bars.index[-51]

    tracker = Tracker(workspace.settings, BITCOIN)
    tracker.move_alias("4h", "champion", "1")
    try:
        signals = predict_once(workspace.settings, "btc-usd", served_bars.iloc[-50:])
    finally:
        tracker.client.delete_registered_model_alias(BITCOIN.model_name("4h"), "champion")
    assert [(s.horizon, s.arm, s.evidence) for s in signals] == [
        ("1h", "candidate", "unproven"),
        ("4h", "champion", "proven"),
    ]
    assert signals[0].bar_time == served_bars.index[-1].to_pydatetime()


def test_a_version_without_an_alias_waits(workspace):
    tracker = Tracker(workspace.settings, BITCOIN)
    tracker.client.delete_registered_model_alias(BITCOIN.model_name("4h"), "candidate")
    try:
        assert [item.horizon for item in live_versions(workspace.settings)[BITCOIN]] == ["1h"]
    finally:
        tracker.move_alias("4h", "candidate", "1")
