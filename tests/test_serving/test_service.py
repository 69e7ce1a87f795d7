"""The real service on loopback: started, asked, misused and ended."""

import json
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from contextlib import contextmanager

import pandas as pd
import psutil
import pytest

from serving import check
from serving.catalog import Catalog
from serving.check import ANSWER, check_serving, running
from serving.contracts import PredictRequest
from trading.errors import ServingError
from trading.instrument import Instrument


def call(port, body, path="/predict", kind="application/json"):
    data = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
    request = urllib.request.Request(f"http://127.0.0.1:{port}{path}", data, {"Content-Type": kind})
    try:
        with urllib.request.urlopen(request, timeout=30) as response:
            return response.status, response.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def rows(bars):
    return [{"timestamp": int(stamp.timestamp() * 1000), **bar.to_dict()} for stamp, bar in bars.iterrows()]


@pytest.mark.slow
def test_the_service_answers_and_survives_misuse(workspace, served_bars):
    before = {process.pid for process in psutil.Process().children(recursive=True)}
    with running(workspace.settings) as port:
        assert call(port, None, "/livez")[0] == 200
        assert call(port, None, "/readyz")[0] == 200
        status, text = call(port, {"symbol": "BTC-USD"})
        signals = json.loads(text)["signals"]
        assert status == 200
        assert [(s["horizon"], s["arm"], s["evidence"]) for s in signals] == [
            ("1h", "candidate", "unproven"),
            ("4h", "candidate", "unproven"),
        ]
        assert signals[0]["bar_time"].startswith(served_bars.index[-51].strftime("%Y-%m-%dT%H:%M"))

        status, text = call(port, {"symbol": "BTC/USD", "bars": rows(served_bars.iloc[-55:-40])})
        assert status == 200, text
        assert json.loads(text)["signals"][0]["bar_time"].startswith(served_bars.index[-41].strftime("%Y-%m-%dT%H:%M"))

        status, text = call(port, {"symbol": "XRP/USD"})
        assert status == 404
        assert "BTC/USD 1h" in json.loads(text)["rule"]

        late = rows(served_bars.iloc[-30:-25])
        late[0]["high"] = late[0]["low"] / 2
        status, text = call(port, {"symbol": "BTC/USD", "bars": late})
        assert status == 400
        assert set(json.loads(text)) == {"error", "where", "rule", "what_to_do"}

        mistakes = [
            {},
            [],
            {"symbol": 5},
            {"symbol": "BTC/USD", "bars": "many"},
            {"symbol": "BTC/USD", "bars": [{"timestamp": "yesterday"}]},
            {"symbol": "BTC/USD", "unknown": 1},
            {"symbol": "BTC/USD", "context": {"fear_greed": [{"published_at": "2017-11-01T00:00:00Z", "value": 9}]}},
            {"symbol": "BTC/USD", "context": {"fear_greed": [{"value": 9}]}},
            {"symbol": "BTC/USD", "context": {"ETH/USD": 9}},
            {"symbol": "bitcoin"},
            b"no json",
            b"",
            b"\xff\xfe",
            b'{"symbol": "BTC/USD", "bars": [{"timestamp": 1e400}]}',
        ]
        answers = {repr(body): call(port, body) for body in mistakes}
        assert {body: status for body, (status, _) in answers.items() if status != 400} == {}
        assert call(port, {"symbol": "BTC/USD"})[0] == 200
    time.sleep(0.2)
    after = {process.pid for process in psutil.Process().children(recursive=True)}
    assert after <= before, "nothing of it is left"


@pytest.mark.slow
def test_the_check_asks_once_and_reuses_the_answer_while_versions_stay(workspace, monkeypatch):
    result = check_serving(workspace)
    assert result == workspace.files.read_json(ANSWER)
    assert [s["horizon"] for s in result["signals"]] == ["1h", "4h"]
    assert result["unavailable"] == []
    latency = result["latency_ms"]
    assert 0 < latency["cached"]["p50"] <= latency["cached"]["p99"]
    assert latency["new_bar"] > latency["cached"]["p50"], "features and graphs are computed"
    monkeypatch.setattr(check, "running", lambda settings: pytest.fail("started again"))
    assert check_serving(workspace) == result


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="the kernel's parent-death signal")
def test_a_killed_run_leaves_no_service_behind(workspace):
    code = (
        "import sys, time; from pathlib import Path; from pipelines.settings import Settings;"
        "from serving.check import running\n"
        "with running(Settings()) as port: print(port, flush=True); time.sleep(60)"
    )
    env = {**os.environ, "ENGINE_STATE": str(workspace.settings.state), "PYTHONPATH": str(workspace.settings.home)}
    owner = subprocess.Popen([sys.executable, "-c", code], env=env, stdout=subprocess.PIPE, text=True)
    assert owner.stdout is not None
    assert owner.stdout.readline().strip().isdecimal()
    family = psutil.Process(owner.pid).children(recursive=True)
    assert family
    os.kill(owner.pid, signal.SIGKILL)
    owner.wait()
    _, alive = psutil.wait_procs(family, timeout=15)
    assert not alive


def test_a_service_that_does_not_start_says_why(workspace, monkeypatch):
    monkeypatch.setattr(
        check, "command", lambda *args: [sys.executable, "-c", "raise SystemExit('the graph is broken')"]
    )
    with pytest.raises(ServingError, match="before it was ready: the graph is broken"), running(workspace.settings):
        pytest.fail("ready")


def test_a_service_that_is_started_again_and_again_is_not_waited_for(workspace, monkeypatch):
    said = "trading.errors.ServingError: nothing can be served: why\\n  what to do: this\\nApplication startup failed."
    code = f"import time; print('{said}', flush=True); time.sleep(60)"
    monkeypatch.setattr(check, "command", lambda *args: [sys.executable, "-c", code])
    begin = time.monotonic()
    with pytest.raises(ServingError, match=r"cannot start: .*nothing") as caught, running(workspace.settings):
        pytest.fail("ready")
    assert time.monotonic() - begin < check.READY_SECONDS / 2
    assert caught.value.what.endswith("nothing can be served: why")


def test_a_service_that_hangs_is_ended(workspace, monkeypatch):
    monkeypatch.setattr(check, "READY_SECONDS", 1.0)
    monkeypatch.setattr(check, "command", lambda *args: [sys.executable, "-c", "import time; time.sleep(60)"])
    with pytest.raises(ServingError, match="not ready within 1 s: it printed nothing"), running(workspace.settings):
        pytest.fail("ready")


def test_a_service_that_ignores_the_first_signal_is_killed(monkeypatch):
    monkeypatch.setattr(check, "GRACE_SECONDS", 0.5)
    code = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print(flush=True); time.sleep(60)"
    deaf = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, start_new_session=True)
    assert deaf.stdout is not None
    deaf.stdout.readline()
    check._end(deaf)
    assert deaf.returncode == -signal.SIGKILL


def test_an_instrument_that_is_not_registered(workspace):
    other = workspace.run.model_copy(update={"symbol": "XRP/USD"})
    with pytest.raises(ServingError, match="XRP-USD-1h"):
        check_serving(type(workspace)(workspace.params, other, workspace.files, workspace.settings))


def test_the_handler_translates_mistakes_of_the_caller(served, served_bars, monkeypatch):
    from serving import service

    monkeypatch.setattr(service, "die_with_parent", lambda: None)
    monkeypatch.setattr(service, "open_catalog", lambda settings: Catalog({Instrument("BTC/USD", "1h"): served}))
    handler = service.SignalService.inner()
    first = handler.predict(PredictRequest(symbol="btc-usd"))
    moved = handler.predict(PredictRequest(symbol="BTC/USD", bars=rows(served_bars.iloc[-50:-48])))
    assert moved.signals[0].bar_time > first.signals[0].bar_time
    assert moved.signals[0].request_id != first.signals[0].request_id
    missing = handler.predict(PredictRequest(symbol="XRP/USD"))
    assert (missing.status_code, "not served" in missing.body.decode()) == (404, True)
    gap = handler.predict(PredictRequest(symbol="BTC/USD", bars=rows(served_bars.iloc[-5:])))
    assert (gap.status_code, json.loads(gap.body)["error"][:21]) == (400, "43 bars are missing b")


def test_the_handler_says_which_horizons_have_no_signal(late, monkeypatch, capsys):
    from serving import service

    monkeypatch.setattr(service, "die_with_parent", lambda: None)
    monkeypatch.setattr(service, "open_catalog", lambda settings: Catalog({Instrument("BTC/USD", "1h"): late}))
    answer = service.SignalService.inner().predict(PredictRequest(symbol="btc-usd"))
    assert [one.horizon for one in answer.signals] == ["1h"]
    assert [one.horizon for one in answer.unavailable] == ["4h"]
    assert "serving BTC/USD 1h: 1h (candidate version 1); 4h unavailable: its bars end" in capsys.readouterr().err


@contextmanager
def stand_in(settings):
    yield 0


class TestCheck:
    """The check without a service."""

    @pytest.fixture
    def ask(self, workspace, monkeypatch, served):
        """Answers with what is put into it, and keeps what was asked."""
        asked = []
        signals, _ = served.answer(None, request_id="r")
        answer = {"signals": [one.model_dump(mode="json") for one in signals], "unavailable": []}

        def reply(port, instrument, requests, *bars):
            asked.append((requests, bars))
            return answer, [1.0 + len(bars)] * requests

        monkeypatch.setattr(check, "running", stand_in)
        monkeypatch.setattr(check, "_ask", reply)
        files = workspace.files
        files.path(ANSWER).unlink(missing_ok=True)
        yield answer, asked
        files.path(ANSWER).unlink(missing_ok=True)

    def test_new_bar_is_asked_last_and_continues_the_history(self, workspace, ask, served_bars):
        result = check_serving(workspace)
        (plain, none), (once, (bar,)) = ask[1]
        assert (plain, none, once) == (check.REQUESTS, (), 1)
        assert pd.Timestamp(bar["timestamp"]) == served_bars.index[-51] + pd.Timedelta("1h")
        assert {bar[key] for key in ("open", "high", "low", "close")} == {served_bars["close"].iloc[-51]}
        assert result["latency_ms"]["cached"]["p50"] == 1.0
        assert result["latency_ms"]["new_bar"] == 2.0

    def test_the_made_up_bar_has_all_columns_that_are_stored(self, workspace, served_bars, monkeypatch):
        live = check._live(workspace.settings, workspace.run.instrument)
        stored = served_bars.assign(taker_buy_volume=2.0, trades=3.0)
        monkeypatch.setattr(check.pd, "read_parquet", lambda path: stored)
        bar = check._next_bar(live, {"horizon": "1h", "bar_time": served_bars.index[-51]}, check.utc_now())
        assert (bar["taker_buy_volume"], bar["trades"]) == (2.0, 3.0)
        assert bar["volume"] == served_bars["volume"].iloc[-51]

    def test_a_bar_that_has_not_closed_is_not_made_up(self, workspace, ask, served_bars, monkeypatch):
        closes = served_bars.index[-51] + pd.Timedelta("2h")
        monkeypatch.setattr(check, "utc_now", lambda: closes - pd.Timedelta("1s"))
        assert check_serving(workspace)["latency_ms"]["new_bar"] is None
        assert len(ask[1]) == 1

    def test_a_horizon_of_the_run_without_a_signal_ends_it_with_the_reason(self, workspace, ask):
        ask[0]["signals"].pop()
        ask[0]["unavailable"] = [{"horizon": "4h", "reason": "its file is gone"}]
        with pytest.raises(ServingError, match="4h has no signal: its file is gone"):
            check_serving(workspace)
        assert not workspace.files.exists(ANSWER)

    def test_a_horizon_that_the_run_does_not_know_may_be_missing(self, workspace, ask):
        ask[0]["unavailable"] = [{"horizon": "24h", "reason": "its bars end earlier"}]
        assert check_serving(workspace)["unavailable"] == ask[0]["unavailable"]

    def test_an_answer_without_a_horizon_of_the_run_is_not_reused(self, workspace, ask):
        stored = check_serving(workspace)
        workspace.files.write_json(ANSWER, {**stored, "signals": stored["signals"][:1]})
        check_serving(workspace)
        assert len(ask[1]) == 4
