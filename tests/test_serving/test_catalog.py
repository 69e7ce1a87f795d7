"""What is served, under which alias, and that a bad request changes nothing."""

import json
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace

import pandas as pd
import pytest

from pipelines.promotion.decisions import promote
from pipelines.promotion.transaction import log_path
from pipelines.settings import Settings
from pipelines.tracking import Tracker
from serving import catalog as catalog_module
from serving.catalog import Catalog, live_versions, open_catalog
from serving.contracts import NotServedError, Unavailable, UnavailableError
from serving.run import predict_once
from serving.served import Served
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


def test_one_step_or_many_give_the_same_signal(horizons, served, served_bars):
    for row in range(-50, -45):
        served.signals(served_bars.iloc[row : row + 1], request_id="r")
    at_once = Served(horizons).signals(served_bars.iloc[-50:-45], request_id="r")
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
        patch.setattr(served.horizons[1].predictor, "signal", refuse)
        with pytest.raises(ServingError, match="no forecast"):
            served.signals(served_bars.iloc[-50:-40], request_id="r")
    assert {one.last for one in served.horizons} == {served_bars.index[-51]}
    assert served.signals(None, request_id="r") == before


class TestLateHorizon:
    """Its stored bars end before those of the other: its run was an older one."""

    def test_it_has_no_signal_and_the_reason_is_said(self, late, served_bars):
        signals, unavailable = late.answer(None, request_id="r")
        assert [s.horizon for s in signals] == ["1h"]
        assert [one.horizon for one in unavailable] == ["4h"]
        assert served_bars.index[-61].isoformat() in unavailable[0].reason
        assert late.unavailable == unavailable

    def test_bars_beyond_a_hole_serve_the_other_only(self, late, served_bars):
        signals, unavailable = late.answer(served_bars.iloc[-50:-45], request_id="r")
        assert [(s.horizon, s.bar_time) for s in signals] == [("1h", served_bars.index[-46].to_pydatetime())]
        assert "10 bars are missing" in unavailable[0].reason
        assert late.horizons[1].last == served_bars.index[-61], "it stepped over nothing"

    def test_the_bars_between_bring_it_back(self, late, served, served_bars):
        late.answer(served_bars.iloc[-50:-45], request_id="r")
        part, unavailable = late.answer(served_bars.iloc[-60:-52], request_id="r")
        assert [s.horizon for s in part] == ["1h"]
        assert "missing" not in unavailable[0].reason
        whole, unavailable = late.answer(served_bars.iloc[-52:-45], request_id="r")
        assert unavailable == []
        in_time = served.signals(served_bars.iloc[-50:-45], request_id="r")
        assert whole[0] == in_time[0]
        # Its features were begun ten bars earlier, and forget that only to 1e-9.
        assert whole[1].features_since == in_time[1].features_since - pd.Timedelta("10h")
        assert whole[1].bar_time == in_time[1].bar_time
        assert whole[1].prob_up == pytest.approx(in_time[1].prob_up, abs=1e-6)

    def test_bars_that_the_other_refuses_move_neither(self, late, served_bars):
        wrong = served_bars.iloc[-60:-45].copy()
        wrong.iloc[-1, wrong.columns.get_loc("high")] = 0.5
        with pytest.raises(ServingError):
            late.answer(wrong, request_id="r")
        assert [one.last for one in late.horizons] == [served_bars.index[-51], served_bars.index[-61]]


def test_each_request_has_its_own_id(served):
    first, second = (served.signals(None, request_id=name)[0] for name in "ab")
    assert (first.request_id, second.request_id) == ("a", "b")
    assert first.model_copy(update={"request_id": "b"}) == second


def test_many_callers_at_once(served, served_bars):
    def ask(row):
        return served.signals(served_bars.iloc[-50:row], request_id="r")

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(ask, [-45, -48, -40, -46, -42, -44]))
    assert {one.last for one in served.horizons} == {served_bars.index[-41]}


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

    def test_what_is_registered_but_cannot_be_served_says_why(self, served):
        why = [Unavailable(horizon="1h", reason="its file is gone")]
        catalog = Catalog({BITCOIN: served}, {Instrument("ETH/USD", "1h"): why})
        for timeframe in (None, "1h"):
            with pytest.raises(UnavailableError, match="ETH/USD 1h cannot be served; 1h unavailable: its file is gone"):
                catalog.find("eth-usd", timeframe)
        with pytest.raises(NotServedError):
            catalog.find("ETH/USD", "4h")
        assert catalog.find("BTC/USD", None) is served
        assert str(catalog) == (
            "serving BTC/USD 1h: 1h (candidate version 1), 4h (candidate version 1)"
            " | not serving ETH/USD 1h; 1h unavailable: its file is gone"
        )

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
    assert {one.last for one in served.horizons} == {served_bars.index[-51]}

    tracker = Tracker(workspace.settings, BITCOIN)
    said = {}
    try:
        # By hand, in the registry: nobody vouches for that.
        tracker.move_alias("4h", "champion", "1")
        said["unproven"] = predict_once(workspace.settings, "btc-usd", served_bars.iloc[-50:])
        tracker.client.delete_registered_model_alias(BITCOIN.model_name("4h"), "champion")
        promote(tracker, "4h", "1", override="to see it at work")
        said["overridden"] = predict_once(workspace.settings, "btc-usd", served_bars.iloc[-50:])
    finally:
        tracker.client.delete_registered_model_alias(BITCOIN.model_name("4h"), "champion")
    for evidence, signals in said.items():
        assert [(s.horizon, s.arm, s.evidence) for s in signals] == [
            ("1h", "candidate", "unproven"),
            ("4h", "champion", evidence),
        ]
        assert signals[0].bar_time == served_bars.index[-1].to_pydatetime()


def test_a_damaged_log_stops_no_signals(workspace, caplog):
    log = log_path(workspace.settings)
    whole = log.read_bytes()
    log.write_bytes(whole.replace(b"newest version", b"oldest version", 1))
    try:
        assert [item.horizon for item in live_versions(workspace.settings)[BITCOIN]] == ["1h", "4h"]
    finally:
        log.write_bytes(whole)
    assert "line 1 was changed" in caplog.text


def test_a_version_without_an_alias_waits(workspace):
    tracker = Tracker(workspace.settings, BITCOIN)
    tracker.client.delete_registered_model_alias(BITCOIN.model_name("4h"), "candidate")
    try:
        assert [item.horizon for item in live_versions(workspace.settings)[BITCOIN]] == ["1h"]
    finally:
        tracker.move_alias("4h", "candidate", "1")


@contextmanager
def spoilt(workspace, horizon, spoil):
    """A registered version whose spec was written by another engine."""
    file = Tracker(workspace.settings, BITCOIN).download(horizon, "candidate") / "bundle.json"
    content = file.read_text()
    spec = json.loads(content)
    spoil(spec)
    file.write_text(json.dumps(spec))
    try:
        yield
    finally:
        file.write_text(content)


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (lambda spec: spec["features"].update(hash="of another code"), "trained on other features"),
        (lambda spec: spec.pop("last_features"), "'last_features' is missing"),
        (lambda spec: spec["last_features"].reverse(), "feature code changed"),
        (lambda spec: spec.update(schema=99), "bundle schema 99"),
        (lambda spec: spec.update(horizon_bars=50), "bars of history, and the 4h model needs"),
        (lambda spec: spec.pop("max_jump"), "max_jump"),
        (lambda spec: spec.update(positions=None), "TypeError"),
    ],
)
def test_one_version_that_cannot_be_opened_leaves_the_others_served(workspace, caplog, spoil, reason):
    with spoilt(workspace, "4h", spoil):
        (served,) = open_catalog(workspace.settings).served.values()
    signals, (unavailable,) = served.answer(None, request_id="r")
    assert [s.horizon for s in signals] == ["1h"]
    assert unavailable.horizon == "4h"
    assert reason in unavailable.reason
    (record,) = caplog.records
    assert record.levelname == "WARNING"
    assert "BTC-USD-1h 4h version 1 cannot be served" in record.getMessage()


def test_nothing_that_can_be_served_does_not_start(workspace):
    def spoil(spec):
        spec.update(schema=99)

    with (
        spoilt(workspace, "1h", spoil),
        spoilt(workspace, "4h", spoil),
        pytest.raises(ServingError, match=r"BTC-USD-1h; 1h unavailable: bundle schema 99.*; 4h unavailable: bundle"),
    ):
        open_catalog(workspace.settings)


def test_the_served_version_starts_from_its_own_bars_if_the_newest_cannot_be_read(workspace, monkeypatch, caplog):
    (item,) = [one for one in live_versions(workspace.settings)[BITCOIN] if one.horizon == "1h"]
    gone = replace(item, newest=replace(item.newest, version="77"))
    monkeypatch.setattr(catalog_module, "live_versions", lambda settings: {BITCOIN: [gone]})
    (served,) = open_catalog(workspace.settings).served.values()
    assert len(served.signals(None, request_id="r")) == 1
    assert "the bars of version 77 cannot be read" in caplog.text
