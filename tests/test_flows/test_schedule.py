"""Retraining on a cron."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from pipelines.params import read_run
from pipelines.settings import Settings
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


SERVE = """
import sys
from pathlib import Path
from flows.schedule import serve_schedule
from pipelines.params import read_run
from pipelines.settings import Settings
serve_schedule(Settings(), read_run(Settings().home / "run.yaml"), cron="* * * * *")
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
