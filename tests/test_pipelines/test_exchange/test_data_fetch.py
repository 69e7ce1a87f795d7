"""``engine data fetch`` and ``watch`` as a user types them, against an exchange on the loopback address."""

import io
import json
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
import typer
from typer.testing import CliRunner, Result

from commands import data_fetch
from pipelines.settings import ROOT, Settings
from pipelines.store.bar_store import BarStore
from tests.exchange_server import ExchangeServer
from tests.exchange_server.faults import Fault
from tests.test_pipelines.test_exchange.driver import BINANCE, KRAKEN

Serve = Callable[..., ExchangeServer]
Cli = Callable[..., Result]
BINANCE_BARS = ("--exchange", "binance", "--symbol", "btc-usdt", "--timeframe", "30m")


@pytest.fixture
def environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Settings with tiny waits; called with the address of the exchange."""
    chosen = {"STATE": str(tmp_path), "EXCHANGE_PAUSE": "0.001", "EXCHANGE_RATE_LIMIT": "false"}
    for name, text in chosen.items():
        monkeypatch.setenv(f"ENGINE_{name}", text)
    return lambda url: monkeypatch.setenv("ENGINE_EXCHANGE_URL", url)


@pytest.fixture
def cli() -> Cli:
    """Run a verb in this process."""
    app = typer.Typer()
    app.command("fetch")(data_fetch.fetch)
    app.command("watch")(data_fetch.watch)
    return lambda *arguments: CliRunner().invoke(app, list(arguments), catch_exceptions=False)


def test_fetch_says_what_came(
    serve: Serve, environment: Callable[[str], None], cli: Cli, half_hours: pd.DataFrame
) -> None:
    server = serve(300)
    server.market.bars = half_hours.drop(half_hours.index[[50, 51]])
    server.faults.plan("klines", Fault("status", 429))
    environment(server.url)
    result = cli("fetch", *BINANCE_BARS, "--since", "2017-10-01", "--overlap", "7")
    assert result.exit_code == 0
    lines = result.stdout.splitlines()
    assert lines[0].startswith(
        "binance BTC/USDT 30m: 2017-10-01 00:00 to 2017-10-07 05:00; 297 bars added, 0 corrected"
    )
    assert lines[0].endswith("requests, 1 of them again)")
    assert lines[1] == ("  1 gaps, 2 bars missing, the longest 2 from 2017-10-02 01:00; `engine data gaps` lists them")
    assert "asking again" in result.stderr
    again = cli("fetch", *BINANCE_BARS, "--overlap", "7")
    assert "0 bars added, 0 corrected, 7 unchanged" in again.stdout
    pd.testing.assert_frame_equal(
        BarStore(Settings().store_folder).read(BINANCE), server.market.frame("30m"), check_freq=False
    )


def test_fetch_in_json_is_one_object(serve: Serve, environment: Callable[[str], None], cli: Cli) -> None:
    server = serve(300)
    environment(server.url)
    perpetual = ("--exchange", "binance", "--symbol", "BTC/USDT:USDT", "--timeframe", "1h")
    result = cli("fetch", *perpetual, "--since", "2017-10-01T00:00:00+02:00", "--until", "2017-10-05", "--json")
    told = json.loads(result.stdout)
    assert (told["exchange"], told["symbol"], told["added"], told["gaps"]["count"]) == (
        "binance",
        "BTC/USDT:USDT",
        96,
        0,
    )
    assert told["since"] == "2017-09-30T22:00:00+00:00"
    assert told["until"] == "2017-10-05T00:00:00+00:00"
    assert told["funding"]["name"] == "funding/binance/BTC-USDT_USDT"
    assert told["funding"]["added"] == 12
    assert json.loads(cli("fetch", *perpetual, "--no-funding", "--json").stdout)["funding"] is None
    assert (
        "funding rates (funding/binance/BTC-USDT_USDT): 0 added" not in cli("fetch", *perpetual, "--no-funding").stdout
    )
    assert "funding rates (funding/binance/BTC-USDT_USDT)" in cli("fetch", *perpetual).stdout


def test_what_falls_short_is_noted(serve: Serve, environment: Callable[[str], None], cli: Cli) -> None:
    environment(serve(2000).url)
    result = cli("fetch", "--exchange", "kraken", "--symbol", "BTC/USD", "--timeframe", "1h", "--since", "2017-10-01")
    assert "  note: asked from 2017-10-01 00:00:00+00:00, but the first bar is of" in result.stdout
    assert len(BarStore(Settings().store_folder).read(KRAKEN)) == 719
    nothing = cli("fetch", "--exchange", "kraken", "--symbol", "BTC/USD", "--timeframe", "1h", "--until", "2017-10-02")
    assert "kraken BTC/USD 1h: nothing new; 0 bars added" in nothing.stdout


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--exchange", "krakn"), "unknown exchange 'krakn'"),
        (("--symbol", "BTC/XYZ"), "kraken has no market BTC/XYZ"),
        (("--symbol", "what?"), "unknown symbol"),
        (("--timeframe", "7m"), "kraken has no bars of 7m"),
        (("--timeframe", "1x"), "unknown timeframe '1x'"),
        (("--since", "yesterday"), "'yesterday' is not a time"),
        (("--since", ""), "'' is not a time"),
        (("--since", "2018-01-02", "--until", "2018-01-01"), "is not before"),
        (("--since", "2018-01-02", "--exchange", "bitflyer"), "bitflyer does not give bars"),
    ],
)
def test_a_mistake_ends_with_what_to_do(
    serve: Serve, environment: Callable[[str], None], cli: Cli, arguments: tuple[str, ...], words: str
) -> None:
    environment(serve(10).url)
    basis = {"--exchange": "kraken", "--symbol": "BTC/USD", "--timeframe": "1h", "--since": "2017-10-01"}
    basis |= dict(zip(arguments[::2], arguments[1::2], strict=True))
    result = cli("fetch", *[text for pair in basis.items() for text in pair], "--json")
    assert result.exit_code == 2
    assert words in result.stderr
    error = json.loads(result.stdout)["error"]
    assert words in error["what"]
    assert error["remedy"]


def test_watch_ends_with_what_the_exchange_refuses(serve: Serve, environment: Callable[[str], None], cli: Cli) -> None:
    server = serve(300)
    environment(server.url)
    server.faults.plan("klines", Fault("status", 451))
    result = cli("watch", *BINANCE_BARS)
    assert result.exit_code == 2
    assert "binance does not serve this address" in result.stderr
    assert "another exchange" in result.stderr
    assert result.stdout == ""


def test_a_bar_is_a_line(half_hours: pd.DataFrame, capsys: pytest.CaptureFixture[str]) -> None:
    data_fetch._print_bars(half_hours.iloc[:2], BINANCE, data_fetch._bar_line)
    assert capsys.readouterr().out.splitlines()[0] == "2017-10-01 00:00  4367.1  4387.5  4365  4386.3  755.5217587"


@pytest.mark.parametrize("terminal", [True, False])
def test_progress_is_one_moving_line_or_a_few_in_a_log(terminal: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    shown = io.StringIO()
    shown.isatty = lambda: terminal  # type: ignore[method-assign]
    monkeypatch.setattr("sys.stderr", shown)
    with data_fetch._progress() as (tell, say):
        tell(1, 4, "to noon")
        tell(2, 4, "to evening")
        say("a note")
    assert shown.getvalue() == ("\r\x1b[K1 of 4 (25%), to noon\r\x1b[Ka note\n" if terminal else "a note\n")


def test_watch_prints_lines_of_json_and_ends_well_with_ctrl_c(
    serve: Serve, environment: Callable[[str], None], cli: Cli
) -> None:
    server = serve(300)
    environment(server.url)
    cli("fetch", *BINANCE_BARS, "--since", "2017-10-06")
    server.market.set_time(server.market.now + pd.Timedelta(hours=2))
    command = [sys.executable, "-c", _WATCH, "watch", *BINANCE_BARS, "--json"]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        told = [json.loads(process.stdout.readline()) for _ in range(4)]
        process.send_signal(signal.SIGINT)
        rest, said = process.communicate(timeout=20)
    assert (process.returncode, rest) == (0, "")
    assert "stopped; every printed bar is stored" in said
    bars = BarStore(Settings().store_folder).read(BINANCE).iloc[-4:]
    assert [pd.Timestamp(one["timestamp"]) for one in told] == bars.index.tolist()
    assert [one["close"] for one in told] == bars["close"].tolist()
    assert pd.Timestamp(told[0]["known_at"]) == bars.index[0] + BINANCE.bar
    assert (told[0]["exchange"], told[0]["symbol"], told[0]["timeframe"]) == ("binance", "BTC/USDT", "30m")


_WATCH = """
import typer
from commands import data_fetch
app = typer.Typer()
app.command("fetch")(data_fetch.fetch)
app.command("watch")(data_fetch.watch)
app()
"""
