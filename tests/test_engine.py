import json
import logging
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from typer.testing import CliRunner

import engine
from commands import console
from flows.retrain import RetrainResult
from flows.stages import environment
from pipelines.params import RunIdentity
from pipelines.settings import ROOT, VARIABLES, Settings
from pipelines.tracking import Tracker
from trading.errors import BarError, ServingError
from trading.instrument import Instrument

EVIDENCE = Path(__file__).resolve().parent / "data" / "evidence.json"
SIGNAL = {
    "symbol": "BTC/USD",
    "timeframe": "1h",
    "horizon": "1h",
    "known_at": "2019-10-01T00:00:00Z",
    "prob_up": 0.53,
    "interval_low": -0.01,
    "interval_high": 0.01,
    "position": 0.0,
    "model_name": "BTC-USD-1h-1h",
    "model_version": "1",
    "evidence": "unproven",
}


@pytest.fixture(autouse=True)
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A state folder of this test's own."""
    monkeypatch.setenv("ENGINE_STATE", str(tmp_path))
    return tmp_path


@pytest.fixture
def cli() -> Callable[..., Any]:
    """Run a verb in this process."""
    return lambda *arguments: CliRunner().invoke(engine.app, list(arguments), catch_exceptions=False)


class Retrain:
    """Stands in for hours of work; remembers what it was asked for."""

    def __init__(self, state: Path, ran: tuple[str, ...] = ("ingest", "tune")) -> None:
        self.state, self.ran = state, ran
        self.asked: dict[str, Any] = {}
        self.fails: BaseException | None = None

    def __call__(self, settings: Settings, identity: RunIdentity, **options: Any) -> RetrainResult:
        self.asked = {"settings": settings, "identity": identity, **options}
        print("chatter of a library")
        os.write(1, b"chatter of a child process\n")
        if self.fails:
            raise self.fails
        for stage in ("ingest", "tune"):
            options["on_progress"](stage, 1, 1, "some note")
        evidence = json.loads(EVIDENCE.read_text())
        report = self.state / "report.html"
        return RetrainResult(self.state, bool(self.ran), self.ran, evidence, {}, {}, report, (SIGNAL,))


@pytest.fixture
def retrain(state: Path, monkeypatch: pytest.MonkeyPatch) -> Retrain:
    """The flow, replaced."""
    fake = Retrain(state)
    monkeypatch.setattr("flows.retrain.run", fake)
    return fake


def test_run_shows_a_summary(cli: Callable[..., Any], retrain: Retrain, state: Path, capfd: Any) -> None:
    result = cli("run")
    assert result.exit_code == 0
    assert "17,489 bars" in result.stdout
    assert "chatter" not in result.stdout
    assert "chatter" not in capfd.readouterr().out
    assert "tune: some note" in result.stderr
    assert len(result.stdout.splitlines()) <= 24
    assert retrain.asked["source"] is None
    assert retrain.asked["profile"] == "quick"
    assert retrain.asked["identity"].symbol == "BTC/USD"
    assert retrain.asked["settings"].state == state
    kept = json.loads((state / "state" / "durations.json").read_text())
    assert set(kept["BTC-USD-1h quick"]) == {"ingest", "tune"}


def test_run_without_news_says_so(cli: Callable[..., Any], retrain: Retrain) -> None:
    retrain.ran = ()
    assert "no bar after 2019-10-01 00:00 UTC, so nothing was computed again" in cli("run").stdout


def test_run_for_a_program(cli: Callable[..., Any], retrain: Retrain, state: Path, capfd: Any) -> None:
    bars = state / "mine.csv"
    bars.write_text("x")
    result = cli(
        *("run", "--bars", str(bars), "--symbol", "sol-usdt", "--timeframe", "4h"),
        *("--as-of", "2024-05-01", "--profile", "full", "--nested", "--json"),
    )
    told = json.loads(result.stdout)
    assert told["symbol"] == "SOL/USDT"
    assert told["signals"] == [SIGNAL]
    assert told["ran"] == ["ingest", "tune"]
    assert told["report"] == str(state / "report.html")
    assert set(told) >= {"evidence", "verdict", "registered", "workspace", "new_bars", "headline"}
    assert capfd.readouterr().out == ""
    assert retrain.asked["source"] == bars
    assert retrain.asked["profile"] == "full+nested"
    assert retrain.asked["identity"].as_of.isoformat() == "2024-05-01T00:00:00+00:00"


def test_run_on_an_exchange(cli: Callable[..., Any], retrain: Retrain) -> None:
    result = cli("run", "--exchange", "Kraken", "--symbol", "eth-usd", "--timeframe", "4h")
    assert result.exit_code == 0, result.stderr
    assert retrain.asked["source"] is None
    assert retrain.asked["identity"].source == "exchange:kraken"
    assert retrain.asked["identity"].instrument.name == "ETH-USD-4h"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["run", "--exchange", "krakn"], "did you mean kraken?"),
        (["run", "--exchange", "kraken", "--bars", "x.csv"], "both --bars and --exchange are given"),
        (["run", "--bars", "x.csv"], "--bars is given without --symbol"),
        (["run", "--symbol", "DOGE/USD"], "BTC/USD, EOS/USD, ETH/USD, LTC/USD, XRP/USD"),
        (["run", "--bars", "no-such-file.csv", "--symbol", "BTC/USD"], "no such file"),
        (["run", "--timeframe", "one hour"], "unknown timeframe"),
        (["run", "--as-of", "yesterday"], "'yesterday' is not a time"),
        (["validate", "no-such-file.csv"], "no-such-file.csv"),
        (["report"], "no report of BTC/USD 1h"),
    ],
)
def test_what_can_be_mended_is_said_and_ends_with_2(cli: Callable[..., Any], arguments: list[str], said: str) -> None:
    result = cli(*arguments)
    assert result.exit_code == 2
    assert said in result.stderr
    assert result.stdout == ""
    assert "Traceback" not in result.stderr
    told = json.loads(cli(*arguments, "--json").stdout)
    assert set(told) == {"error"}
    assert said in json.dumps(told, ensure_ascii=False)


def test_an_error_of_the_run(cli: Callable[..., Any], retrain: Retrain) -> None:
    retrain.fails = BarError("two rows disagree", where="bars.csv, row 7", rule="one row a time", remedy="drop one")
    result = cli("run", "--json")
    assert result.exit_code == 2
    assert json.loads(result.stdout) == {
        "error": {
            "type": "BarError",
            "what": "two rows disagree",
            "where": "bars.csv, row 7",
            "rule": "one row a time",
            "remedy": "drop one",
        }
    }
    assert "BarError: two rows disagree\n  where: bars.csv, row 7" in result.stderr


def test_ctrl_c_is_one_line(cli: Callable[..., Any], retrain: Retrain) -> None:
    retrain.fails = KeyboardInterrupt()
    result = cli("run")
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.splitlines()[-1] == "stopped; what was finished is kept, and the next run continues after it"
    assert json.loads(cli("run", "--json").stdout)["error"]["type"] == "KeyboardInterrupt"


def test_a_bug_keeps_its_traceback(cli: Callable[..., Any], retrain: Retrain) -> None:
    retrain.fails = ZeroDivisionError("a bug")
    with pytest.raises(ZeroDivisionError):
        cli("run")


def test_a_variable_of_the_wrong_type(cli: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ENGINE_PORT", "many")
    result = cli("run")
    assert result.exit_code == 2
    assert "ENGINE_PORT" in result.stderr


@pytest.mark.parametrize(
    ("name", "remedy"),
    [("ENGINE_MLFLOW_URI", "call it ENGINE_MLFLOW_TRACKING_URI"), ("ENGINE_X", "unset it")],
)
def test_a_variable_that_is_no_setting(
    cli: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, name: str, remedy: str
) -> None:
    monkeypatch.setenv(name, "http://127.0.0.1:5000")
    result = cli("history")
    assert result.exit_code == 2
    assert name in result.stderr
    assert remedy in result.stderr


def test_a_command_accepts_the_environment_of_a_stage() -> None:
    assert {name for name in environment(Settings()) if name.startswith("ENGINE_")} <= VARIABLES


@pytest.mark.parametrize(
    "arguments", [["run", "--unheard-of"], ["unheard-of"], ["serve", "--port", "70000"], ["validate"]]
)
def test_what_typer_refuses(cli: Callable[..., Any], arguments: list[str]) -> None:
    result = cli(*arguments)
    assert result.exit_code == 2
    assert result.stdout == ""


def test_validate(cli: Callable[..., Any], sample_bars: pd.DataFrame, state: Path) -> None:
    path = state / "bars.csv"
    sample_bars.iloc[:4500].reset_index().to_csv(path, index=False)
    result = cli("validate", str(path))
    assert result.exit_code == 0, result.stderr
    assert "can be used" in result.stdout
    told = json.loads(cli("validate", str(path), "--timeframe", "1h", "--json").stdout)
    assert told["rows"] == 4500
    path.write_bytes(b"\x00\x01 not bars")
    assert cli("validate", str(path)).exit_code == 2


class Answer:
    """As a Signal of the service."""

    def model_dump(self, mode: str) -> dict[str, Any]:
        assert mode == "json"
        return SIGNAL


def test_predict(cli: Callable[..., Any], bars: pd.DataFrame, state: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Any] = []

    def predict_once(
        settings: Settings, symbol: str, newer: pd.DataFrame | None, *, timeframe: str | None
    ) -> list[Any]:
        asked.append((symbol, newer, timeframe))
        return [Answer()]

    monkeypatch.setattr("serving.run.predict_once", predict_once)
    result = cli("predict")
    assert "flat" in result.stdout
    assert "unproven" in result.stdout
    assert asked.pop() == ("BTC/USD", None, None)
    path = state / "newer.csv"
    bars.reset_index().to_csv(path, index=False)
    told = json.loads(cli("predict", "--symbol", "ETH/USD", "--bars", str(path), "--timeframe", "1h", "--json").stdout)
    assert told == {"signals": [SIGNAL]}
    symbol, newer, timeframe = asked.pop()
    assert (symbol, timeframe, len(newer)) == ("ETH/USD", "1h", len(bars))


def test_serve(cli: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    served: list[Settings] = []
    monkeypatch.setattr("serving.run.serve", served.append)
    assert cli("serve").exit_code == 0
    assert (served[0].host, served[0].port) == ("127.0.0.1", 3000)
    cli("serve", "--host", "0.0.0.0", "--port", "8080")
    assert (served[1].host, served[1].port) == ("0.0.0.0", 8080)

    def taken(_: Settings) -> None:
        raise ServingError("cannot listen on port 3000")

    monkeypatch.setattr("serving.run.serve", taken)
    assert cli("serve").exit_code == 2


def test_schedule(cli: Callable[..., Any], state: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: dict[str, Any] = {}
    schedule = pytest.importorskip("flows.schedule")

    def serve_schedule(settings: Settings, identity: RunIdentity, **options: Any) -> None:
        asked.update(identity=identity, **options)

    monkeypatch.setattr(schedule, "serve_schedule", serve_schedule)
    bars = state / "growing"
    bars.mkdir()
    assert cli("schedule", "--cron", "0 6 * * *", "--bars", str(bars), "--symbol", "BTC/USD").exit_code == 0
    assert asked["cron"] == "0 6 * * *"
    assert asked["source"] == bars
    assert asked["profile"] == "quick"
    assert cli("schedule", "--exchange", "binance", "--symbol", "BTC/USDT").exit_code == 0
    assert (asked["source"], asked["identity"].source) == (None, "exchange:binance")


def test_report(cli: Callable[..., Any], state: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[str] = []
    monkeypatch.setattr("typer.launch", opened.append)
    path = state / "reports" / "BTC-USD-1h.html"
    path.parent.mkdir()
    path.write_text("")
    assert cli("report").stdout == f"{path}\n"
    assert opened == []
    cli("report", "--open")
    assert opened == [path.as_uri()]
    assert json.loads(cli("report", "--json").stdout) == {"report": str(path)}


def test_card(cli: Callable[..., Any], state: Path, tmp_path: Path) -> None:
    tracker = Tracker(Settings(state=state, mlflow_tracking_uri=""), Instrument("BTC/USD", "1h"))
    assert "none yet" in cli("card").stderr
    model, cards = tmp_path / "model", tmp_path / "cards"
    for folder, file in ((model, "MLmodel"), (cards, "BTC-USD-1h-4h.html")):
        folder.mkdir()
        (folder / file).write_text("")
    for number, (horizon, attachments) in enumerate((("1h", []), ("4h", []), ("4h", [cards]))):
        tags = {"as_of": "2019-10-01", "verdict": "refused"}
        given = {"params": {}, "metrics": {}, "epochs": {}, "documents": {}, "attachments": attachments, "tags": tags}
        tracker.register(horizon, model, bundle_hash=str(number), evidence_hash="e", **given)
    tracker.move_alias("4h", "candidate", "2")
    lines = cli("card").stdout.splitlines()
    assert lines[0] == "BTC-USD-1h-1h version 1, as of 2019-10-01: refused"
    assert lines[1] == "  registered without a card"
    assert lines[2] == "BTC-USD-1h-4h version 2 (candidate), as of 2019-10-01: refused"
    assert Path(lines[3].strip()).name == "BTC-USD-1h-4h.html"
    found = json.loads(cli("card", "--horizon", "4h", "--version", "2", "--json").stdout)["versions"]
    assert [(one["name"], one["version"], one["aliases"]) for one in found] == [("BTC-USD-1h-4h", "2", ["candidate"])]
    assert Path(found[0]["card"]).exists()
    assert len(json.loads(cli("card", "--horizon", "4h", "--json").stdout)["versions"]) == 2
    for missing in (("--version", "7"), ("--horizon", "8h"), ("--symbol", "ETH/USD")):
        result = cli("card", *missing)
        assert result.exit_code == 2
        assert "no such version" in result.stderr


def test_ui(cli: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    def serve_ui(settings: Settings, mlflow_port: int, prefect_port: int, say: Callable[[str], None]) -> None:
        say(f"{mlflow_port} {prefect_port}")
        raise KeyboardInterrupt

    monkeypatch.setattr("flows.ui.serve_ui", serve_ui)
    result = cli("ui", "--mlflow-port", "5001")
    assert result.stdout == "5001 4200\n"
    assert result.exit_code == 2


def test_stdout_is_given_back_after_a_failure(capfd: Any) -> None:
    before = sys.stdout
    with pytest.raises(ValueError, match="x"), console.stdout_reserved():
        raise ValueError("x")
    assert sys.stdout is before
    os.write(1, b"heard")
    assert capfd.readouterr().out == "heard"


HELP = "import sys, engine; sys.argv = ['engine', {verb} '--help']\ntry: engine.main()\nexcept SystemExit: pass\n"
LOADED = "print('LOADED', *sorted(sys.modules))"
HEAVY = {"numpy", "pandas", "prefect", "mlflow", "dvc", "tensorflow", "keras", "sklearn", "matplotlib", "yaml"}


@pytest.mark.parametrize("verb", ["", "'run',"])
def test_help_is_complete_and_loads_nothing_heavy(verb: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", HELP.format(verb=verb) + LOADED], cwd=ROOT, capture_output=True, text=True, check=True
    )
    shown, loaded = done.stdout.split("LOADED")
    expected = ("--bars", "--symbol", "--as-of", "--json") if verb else ("run", "validate", "predict", "serve", "ui")
    assert all(word in shown for word in expected)
    # For the options of a verb typer itself loads pydantic.
    heavy = HEAVY if verb else HEAVY | {"pydantic"}
    assert not {module.split(".")[0] for module in loaded.split()} & heavy


def test_main_is_the_app(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["engine", "run", "--unheard-of"])
    with pytest.raises(SystemExit) as ended:
        engine.main()
    assert ended.value.code == 2
    assert logging.getLogger().level >= logging.WARNING
