import json
import shlex
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner, Result

from engine import app
from pipelines.diagnosis.diagnose import diagnose
from pipelines.ingest.context_files import context_files
from pipelines.settings import ROOT
from trading.markets.bound import sharpe_bound
from trading.markets.market import EDGES, Market, attainable_accuracy, draw

Cli = Callable[..., Result]


@pytest.fixture(autouse=True)
def fewer_paths(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Bounds that take a tenth of a second, and a state folder of this test's own."""
    monkeypatch.setattr(
        "pipelines.simulated_market.sharpe_bound",
        lambda market, costs, seed: sharpe_bound(market, costs, seed, rows=2_000, chosen_on=1, paths=3),
    )
    monkeypatch.setenv("ENGINE_STATE", str(tmp_path / "state"))


@pytest.fixture
def cli() -> Cli:
    """``engine simulate`` with a market that needs little time."""
    return lambda *arguments: CliRunner().invoke(
        app, ["simulate", "--bars", "4000", *arguments], catch_exceptions=False
    )


@pytest.mark.parametrize("edge", EDGES)
def test_bars_of_every_edge_have_no_faults(tmp_path: Path, edge: str) -> None:
    """As ``engine data check`` sees them."""
    file = tmp_path / "SIM-USD_1h.csv"
    draw(Market(edge, 0.5 if edge == "none" else 0.6), 20_000, 4).bars.to_csv(file)  # type: ignore[arg-type]
    found = diagnose(file, max_missing=0.0, against=None, timeframe=None)
    assert found.faults == ()


def test_says_what_is_planted_and_what_that_is_worth(cli: Cli, tmp_path: Path) -> None:
    result = cli("--edge", "memory", "--seed", "3", "--out", str(tmp_path / "mine.parquet"))
    assert result.exit_code == 0
    for said in (
        "4,000 bars of 1h from 2000-01-01 to 2000-06-15",
        "planted: memory. Prices go on where the latest move",
        "best accuracy from past bars: 60.00% of the market, 60.00% of this path",
        "before costs: 22.0",
        "after 7 bps a side: between",
        "standard error over 3 paths of 2,000 bars",
        "left alone within",
        f"engine data check {tmp_path / 'mine.parquet'}",
    ):
        assert said in result.stdout
    bars = pd.read_parquet(tmp_path / "mine.parquet")
    pd.testing.assert_frame_equal(bars, draw(Market("memory", 0.6), 4_000, 3).bars, check_freq=False)
    assert list((tmp_path / "mine.context").iterdir()) == []


def test_the_next_command_is_understood(cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = {}
    monkeypatch.setattr("flows.retrain.run", lambda settings, meant, **options: asked.update(meant=meant) or 1 / 0)
    folder = tmp_path / "with space"
    found = cli("--cointegrated", "1", "--out", str(folder / "bars.csv.gz"), "--json")
    command = shlex.split(json.loads(found.stdout)["next"])
    with pytest.raises(ZeroDivisionError):
        CliRunner().invoke(app, command[1:], catch_exceptions=False)
    meant = asked["meant"]
    assert (meant.symbol, meant.timeframe, Path(meant.source)) == ("SIM/USD", "1h", folder / "bars.csv.gz")
    assert Path(meant.context) == folder / "bars.context"


def test_other_assets_stand_where_a_run_looks_for_them(cli: Cli, tmp_path: Path) -> None:
    arguments = ["--correlated", "2", "--cointegrated", "1", "--correlation", "0.8", "--out", str(tmp_path / "a.csv")]
    result = cli(*arguments, "--context-out", str(tmp_path / "others"))
    assert result.exit_code == 0
    assert "beside it: COR2/USD, correlated, in" in result.stdout
    files = context_files(tmp_path / "others")
    assert list(files) == ["COI1/USD", "COR1/USD", "COR2/USD"]
    main, tied = (pd.read_csv(file) for file in (tmp_path / "a.csv", files["COR1/USD"]))
    moves = [np.log(bars["close"] / bars["open"]) for bars in (main, tied)]
    assert moves[0].corr(moves[1]) == pytest.approx(0.8, abs=0.05)
    for file in files.values():
        assert diagnose(file, max_missing=0.0, against=None, timeframe=None).faults == ()


def test_assets_of_another_draw_do_not_stay_and_other_files_do(cli: Cli, tmp_path: Path) -> None:
    arguments = ["--out", str(tmp_path / "a.csv"), "--context-out", str(tmp_path / "others")]
    assert cli(*arguments, "--correlated", "2", "--cointegrated", "1").exit_code == 0
    assert cli(*arguments, "--correlated", "1").exit_code == 0
    assert [path.name for path in (tmp_path / "others").iterdir()] == ["COR1-USD_1h.csv"]
    before = (tmp_path / "others" / "COR1-USD_1h.csv").read_bytes()
    (tmp_path / "others" / "ETH-USD_1h.csv").write_text("mine")
    result = cli(*arguments, "--seed", "5", "--correlated", "1")
    assert result.exit_code == 2
    assert "others holds ETH-USD_1h.csv" in result.stderr
    assert (tmp_path / "others" / "COR1-USD_1h.csv").read_bytes() == before


def test_the_answer_is_written_when_asked_for(cli: Cli, tmp_path: Path) -> None:
    out, answer = tmp_path / "bars.csv", tmp_path / "elsewhere" / "answer.csv"
    result = cli("--edge", "regime", "--out", str(out), "--answer", str(answer), "--json")
    report, read = json.loads(result.stdout), pd.read_csv(answer)
    assert list(read) == ["timestamp", "prob_up", "mean", "square"]
    assert len(read) == 4_000
    assert attainable_accuracy(read) == pytest.approx(report["attainable_accuracy"]["path"], abs=1e-12)
    assert list(read["timestamp"]) == list(pd.read_csv(out)["timestamp"])
    assert str(answer) in cli("--edge", "regime", "--out", str(out), "--answer", str(answer)).stdout


def test_without_a_name_bars_go_to_the_state_folder(cli: Cli, tmp_path: Path) -> None:
    result = cli("--edge", "none", "--timeframe", "4h", "--json")
    report = json.loads(result.stdout)
    assert report["bars"]["file"] == str(tmp_path / "state/data/simulated/none/SIM-USD_4h.parquet")
    assert report["attainable_accuracy"] == {"market": 0.5, "path": 0.5}
    after = report["sharpe_after_costs"]
    assert (after["lower"], after["policy"]) == (0.0, None)
    assert 0 < after["upper"] < 0.5
    assert "stay out" in cli("--edge", "none").stdout


def test_the_same_seed_writes_the_same_bytes(cli: Cli, tmp_path: Path) -> None:
    written = []
    for name in ("one", "two"):
        assert cli("--correlated", "1", "--out", str(tmp_path / name / "bars.csv")).exit_code == 0
        files = sorted(path for path in (tmp_path / name).rglob("*") if path.is_file())
        written.append([path.read_bytes() for path in files])
    assert written[0] == written[1]
    assert len(written[0]) == 2


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--edge", "momentum"], "unknown edge 'momentum'"),
        (["--accuracy", "0.9"], "attainable accuracy 0.9 of the edge 'linear'"),
        (["--edge", "none", "--accuracy", "0.6"], "0.5 without an edge"),
        (["--timeframe", "1w"], "whole bars make a day"),
        (["--bars", "3999"], "validate.min_bars of params.yaml"),
        (["--bars", "1000000000"], "from 2 to 219,000, which is 25 years"),
        (["--correlated", "99"], "99 other assets"),
        (["--correlated", "1", "--correlation", "1"], "correlation 1"),
        (["--out", "bars.txt"], "bars cannot be written to bars.txt"),
        (["--out", "folder.csv"], "bars cannot be written to folder.csv"),
        (["--out", "bars.csv", "--answer", "./bars.csv"], "the answer would replace the bars"),
        (["--out", "bars.csv", "--answer", "answer.json"], "bars cannot be written to answer.json"),
        (["--out", "file/bars.csv"], "cannot make file"),
        (["--out", "bars.csv", "--context-out", "file"], "file is no folder"),
    ],
)
def test_refuses_with_a_remedy_and_writes_nothing(
    cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], said: str
) -> None:
    (tmp_path / "folder.csv").mkdir()
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("ENGINE_HOME", str(ROOT))
    monkeypatch.chdir(tmp_path)
    before = sorted(tmp_path.rglob("*"))
    result = cli(*arguments)
    assert result.exit_code == 2
    assert said in result.stderr
    assert "what to do:" in result.stderr
    assert not result.stdout
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize(("length", "said"), [(245, "cannot write xxx"), (300, "cannot make xxx")])
def test_refuses_a_file_that_cannot_be_written(cli: Cli, tmp_path: Path, length: int, said: str) -> None:
    """Names that no file system takes: also root cannot write these."""
    result = cli("--out", str(tmp_path / ("x" * (length - 4) + ".csv")))
    assert result.exit_code == 2
    assert said in result.stderr
    assert "what to do:" in result.stderr
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]
