"""Retraining on a cron."""

import json
import logging
import os
import signal
import subprocess
import sys
import time
from contextlib import nullcontext
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pandas as pd
import pytest

from pipelines.params import RunIdentity, read_run
from pipelines.settings import Settings
from pipelines.store.bar_store import BarStore, Series
from trading.errors import BarError, ParamsError

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize("cron", ["", "every hour", "61 * * * *", "* * *"])
def test_what_is_no_cron_expression_is_said(home: Path, settings: Settings, cron: str) -> None:
    from flows.schedule import serve_schedule

    with pytest.raises(ParamsError, match="not a cron expression"):
        serve_schedule(settings, read_run(home / "run.yaml"), cron=cron)


def test_a_missing_source_is_said_at_once(home: Path, settings: Settings, tmp_path: Path) -> None:
    from flows.schedule import serve_schedule

    with pytest.raises(BarError, match="does not exist"):
        serve_schedule(settings, read_run(home / "run.yaml"), cron="* * * * *", source=tmp_path / "gone.csv")


@pytest.mark.parametrize("fetched", [False, True])
def test_an_exchange_may_be_scheduled_before_anything_was_fetched(
    home: Path, settings: Settings, bars: pd.DataFrame, monkeypatch: pytest.MonkeyPatch, capsys: Any, fetched: bool
) -> None:
    from flows import schedule

    served: dict[str, Any] = {}
    flow = SimpleNamespace(serve=lambda **options: served.update(options))
    monkeypatch.setattr(schedule, "scheduled_retrain", flow)
    monkeypatch.setattr(schedule, "prefect_api", lambda *_, **__: nullcontext())
    monkeypatch.setattr("os.environ", variables := dict(os.environ))
    if fetched:
        BarStore(settings.store_folder).append(
            Series("kraken", "BTC/USD", "1h"), bars, pd.Timestamp("2020-01-01", tz="UTC")
        )
    run = read_run(home / "run.yaml").model_copy(update={"source": "exchange:kraken"})
    schedule.serve_schedule(settings, run, cron="5 * * * *")
    assert served["parameters"]["source"] == "exchange:kraken"
    said = capsys.readouterr().err
    assert ("engine data fetch --exchange kraken --symbol BTC/USD --timeframe 1h --since" in said) is not fetched
    # Where the runs, which are other processes, look for the bars.
    assert variables["ENGINE_STORE"] == str(home / "data" / "store")


def test_a_mistake_ends_a_firing_with_what_to_do_and_a_bug_with_its_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    from flows import schedule

    def run(_: Settings, identity: RunIdentity, **__: Any) -> Any:
        if errors:
            raise errors.pop()
        return SimpleNamespace(news=f"ran on {identity.source}")

    errors = [ZeroDivisionError("a bug"), BarError("bad bars", remedy="mend row 7")]
    monkeypatch.setattr(schedule, "run", run)
    monkeypatch.setattr(schedule, "get_run_logger", logging.getLogger)
    fire = partial(schedule.scheduled_retrain.fn, "BTC/USD", "1h", "exchange:kraken", "data/context")
    state = fire()
    assert state.is_failed()
    assert state.message == "BarError: bad bars\n  what to do: mend row 7"
    with pytest.raises(ZeroDivisionError):
        fire()
    assert fire() == "ran on exchange:kraken"


def test_the_deployment_on_file_refuses_overlap() -> None:
    import yaml

    from flows.schedule import scheduled_retrain

    (deployment,) = yaml.safe_load((ROOT / "prefect.yaml").read_text())["deployments"]
    assert deployment["concurrency_limit"] == {"limit": 1, "collision_strategy": "CANCEL_NEW"}
    path, name = deployment["entrypoint"].split(":")
    assert (ROOT / path).exists()
    assert name == scheduled_retrain.fn.__name__
    scheduled_retrain.validate_parameters(deployment["parameters"])
    committed = read_run(ROOT / "run.yaml")
    assert deployment["parameters"]["source"] == committed.source
    assert deployment["parameters"]["context"] == committed.context


SERVE = """
import sys
from pathlib import Path
from flows.schedule import serve_schedule
from pipelines.params import RunIdentity, read_run
from pipelines.settings import Settings
serve_schedule(Settings(), read_run(Settings().home / "run.yaml"), cron="* * * * * */5")
"""


@pytest.mark.slow
def test_a_firing_runs_the_pipeline_and_a_second_schedule_is_refused(home: Path, tmp_path: Path) -> None:
    environment = {
        **os.environ,
        "ENGINE_HOME": str(home),
        "ENGINE_STATE": str(home),
        "PREFECT_HOME": str(tmp_path / "prefect"),
        "PREFECT_RUNNER_POLL_FREQUENCY": "2",
        "PYTHONPATH": str(ROOT),
    }
    environment.pop("PREFECT_API_URL", None)
    with (tmp_path / "out").open("w") as out:
        served = subprocess.Popen(
            [sys.executable, "-c", SERVE], cwd=home, env=environment, stdout=out, stderr=out, start_new_session=True
        )
    try:
        until = time.monotonic() + 240
        # The miniature has no gate to call: its run ends there, after the last stage.
        while not (home / "data" / "evidence" / "evidence.json").exists():
            assert served.poll() is None, (tmp_path / "out").read_text()
            assert time.monotonic() < until, (tmp_path / "out").read_text()
            time.sleep(0.5)
        second = subprocess.run(
            [sys.executable, "-c", SERVE], cwd=home, env=environment, capture_output=True, text=True, check=False
        )
        assert f"another schedule (process {served.pid})" in second.stderr
        server = json.loads((home / "state" / "running" / "home-schedule.json").read_text())["pid"]
    finally:
        served.send_signal(signal.SIGTERM)
        try:
            served.wait(60)
        except subprocess.TimeoutExpired:
            served.kill()
            served.wait()
    import psutil

    assert not psutil.pid_exists(server)
