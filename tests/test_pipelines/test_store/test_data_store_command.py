"""``engine data list``, ``gaps``, ``repair`` and ``export``, as a person and as a program sees them."""

import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pandas as pd
import pytest
import typer
from typer.testing import CliRunner

from commands import data_store
from pipelines.store.bar_store import BarStore, Series
from pipelines.store.external_store import ExternalStore
from tests.test_pipelines.test_store.killed import RECORDED, SERIES, START, make_bars

SWAP = Series("kraken", "BTC/USDT:USDT", "1h")


@pytest.fixture
def run(store: BarStore, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    """Run a verb on the store."""
    monkeypatch.setattr(data_store, "load_settings", lambda: SimpleNamespace(store_folder=store.root))
    app = typer.Typer()
    app.command("list")(data_store.list_series)
    app.command("gaps")(data_store.gaps)
    app.command("repair")(data_store.repair)
    app.command("export")(data_store.export)
    return lambda *words: CliRunner().invoke(app, [str(word) for word in words], catch_exceptions=False)


@pytest.fixture
def filled(store: BarStore) -> BarStore:
    """Bars with a hole and a correction, hourly bars of a swap, and a sentiment series."""
    bars = make_bars(200)
    store.append(SERIES, bars.drop(bars.index[50:60]), RECORDED)
    store.append(SERIES, make_bars(1, 3, moved=0.5), RECORDED + pd.Timedelta(days=1))
    store.append(SWAP, make_bars(3)[::2], RECORDED)
    values = pd.DataFrame(
        {"index": [20.0, 30.0]}, index=pd.date_range(START, periods=2, freq="1D", name="published_at")
    )
    ExternalStore(store.root).append("sentiment/fear-greed", values, RECORDED)
    return store


def damage(store: BarStore) -> Path:
    path = store.root / SERIES.folder / store.log(SERIES).entries[0].file
    path.write_bytes(path.read_bytes()[:-1])
    return path


def test_list_for_a_person(run: Callable[..., Any], filled: BarStore) -> None:
    lines = run("list").stdout.splitlines()
    assert lines[0].split() == ["venue", "symbol", "bar", "first", "last", "bars", "holes", "corrected", "size"]
    rows = [" ".join(line.split()) for line in lines]
    assert rows[1].startswith("binance BTC/USDT 30m 2024-01-30 00:00 2024-02-03 03:30 190 1 (10 bars) 1 ")
    assert rows[2].startswith("kraken BTC/USDT:USDT 1h 2024-01-30 00:00 2024-01-30 01:00 2 none 0 ")
    assert rows[3].startswith("external series first last rows")
    assert rows[4].startswith("sentiment/fear-greed 2024-01-30 00:00 2024-01-31 00:00 2 0 ")


def test_list_for_a_program(run: Callable[..., Any], filled: BarStore) -> None:
    content = json.loads(run("list", "--json").stdout)
    bars, swap = content["bars"]
    assert bars.pop("size") == sum(entry.size for entry in filled.log(SERIES).entries)
    assert bars == {
        "venue": "binance",
        "symbol": "BTC/USDT",
        "timeframe": "30m",
        "first": "2024-01-30T00:00:00+00:00",
        "last": "2024-02-03T03:30:00+00:00",
        "bars": 190,
        "gaps": 1,
        "missing": 10,
        "corrections": 1,
        "files": 3,
        "fault": "",
    }
    assert swap["symbol"] == "BTC/USDT:USDT"
    assert [(one["name"], one["rows"], one["corrections"]) for one in content["external"]] == [
        ("sentiment/fear-greed", 2, 0)
    ]


def test_list_of_nothing_says_where_it_looked(run: Callable[..., Any], store: BarStore) -> None:
    assert f"nothing is stored in {store.root}" in run("list").stdout
    assert json.loads(run("list", "--json").stdout) == {"bars": [], "external": [], "store": str(store.root)}


def test_list_names_what_is_damaged_and_goes_on(run: Callable[..., Any], filled: BarStore) -> None:
    damage(filled)
    (filled.root / "external/sentiment/fear-greed/log.json").write_text("{")
    result = run("list")
    assert result.exit_code == 0
    assert "a file of bars binance BTC/USDT 30m has" in result.stdout
    assert "the log of this series is damaged" in result.stdout
    assert "kraken" in result.stdout


def test_gaps(run: Callable[..., Any], filled: BarStore) -> None:
    assert [line.split() for line in run("gaps").stdout.splitlines()] == [
        ["binance", "BTC/USDT", "30m:", "1", "(10", "bars)"],
        ["from", "until", "bars", "missing"],
        ["2024-01-31", "01:00", "2024-01-31", "06:00", "10"],
        ["kraken", "BTC/USDT:USDT", "1h:", "none"],
    ]
    (series,) = json.loads(run("gaps", "btc-usdt", "--venue", "binance", "--timeframe", "30m", "--json").stdout)[
        "series"
    ]
    assert series["gaps"] == [{"start": "2024-01-31T01:00:00+00:00", "end": "2024-01-31T06:00:00+00:00", "missing": 10}]


def test_a_symbol_that_is_not_there(run: Callable[..., Any], filled: BarStore) -> None:
    result = run("gaps", "ETH/USDT", "--json")
    assert result.exit_code == 2
    assert json.loads(result.stdout)["error"]["rule"] == (
        "the store holds binance BTC/USDT 30m, kraken BTC/USDT:USDT 1h"
    )
    assert "engine data fetch" in result.stderr


def test_repair(run: Callable[..., Any], filled: BarStore) -> None:
    left = filled.root / SERIES.folder / "period=2024-01" / ".x.parquet.1.tmp"
    left.write_bytes(b"half")
    said = run("repair", "--dry-run").stdout
    assert "1 file(s) left by a kill would be removed: period=2024-01/.x.parquet.1.tmp" in said
    assert "2 files would be merged into 1, with every observation" in said
    assert left.exists()
    result = run("repair")
    assert result.exit_code == 0
    assert "2 files merged into 1" in result.stdout
    assert "sentiment/fear-greed: 1 file(s) whole" in result.stdout
    assert not left.exists()
    content = json.loads(run("repair", "BTC/USDT", "--json").stdout)
    assert content["clean"]
    assert [one["series"] for one in content["series"]] == ["binance BTC/USDT 30m"]
    assert content["series"][0]["orphans"] == []


def test_repair_of_what_is_damaged(run: Callable[..., Any], filled: BarStore) -> None:
    path = damage(filled)
    result = run("repair")
    assert result.exit_code == 1
    assert f"DAMAGED period=2024-01/{path.name}" in result.stdout
    assert "it held 86 observations from 2024-01-30 00:00 to 2024-01-31 23:30" in result.stdout
    assert "run again with --drop-damaged" in result.stdout
    assert "kraken BTC/USDT:USDT 1h: 1 file(s) whole" in result.stdout
    content = json.loads(run("repair", "--json", "--drop-damaged").stdout)
    assert content["clean"]
    assert content["series"][0]["damaged"][0]["rows"] == 86
    (filled.root / SERIES.folder / "log.json").unlink()
    result = run("repair", "--drop-damaged")
    assert "this series has files but no log: rebuilt from the files" in result.stdout
    assert result.exit_code == 0


def test_dropping_says_what_to_do_next(run: Callable[..., Any], filled: BarStore) -> None:
    damage(filled)
    assert "dropped: fetch these bars again" in run("repair", "--drop-damaged").stdout


def test_repair_goes_on_behind_a_series_of_another_version(run: Callable[..., Any], filled: BarStore) -> None:
    log = filled.root / SERIES.folder / "log.json"
    log.write_text(log.read_text().replace('"schema": 1', '"schema": 7'))
    result = run("repair", "--json")
    assert result.exit_code == 1
    faulty, *others = json.loads(result.stdout)["series"]
    assert "schema 7" in faulty["fault"]
    assert all(one["clean"] for one in others)
    assert len(others) == 2


def test_repair_of_an_empty_store_and_of_external_series_alone(run: Callable[..., Any], store: BarStore) -> None:
    result = run("repair")
    assert result.exit_code == 2
    assert "the store is empty" in result.stderr
    values = pd.DataFrame({"a": [1.0]}, index=pd.DatetimeIndex([START], name="published_at"))
    ExternalStore(store.root).append("a", values, RECORDED)
    assert "a: 1 file(s) whole" in run("repair").stdout


def test_export(run: Callable[..., Any], filled: BarStore, tmp_path: Path) -> None:
    path = tmp_path / "out.csv"
    result = run("export", "BTC/USDT", path)
    assert result.stdout == f"190 bars of binance BTC/USDT 30m in {path}\n"
    assert path.read_text().splitlines()[:2] == [
        "timestamp,open,high,low,close,volume",
        "2024-01-30T00:00:00+00:00,0.0,10.0,20.0,30.0,40.0",
    ]
    words = ("export", "BTC-USDT", path, "--start", "2024-01-30T01:00", "--end", "2024-01-30T03:00:00+01:00")
    assert json.loads(run(*words, "--json").stdout)["bars"] == 2
    assert path.read_text().splitlines()[1] == "2024-01-30T01:00:00+00:00,2.0,12.0,22.0,32.0,42.0"
    run(*words, "--as-of", "2024-06-01")
    assert "no bars to export" in run("export", "BTC/USDT", path, "--as-of", "2024-05-31").stderr


def test_an_export_that_could_mean_several_series(run: Callable[..., Any], filled: BarStore, tmp_path: Path) -> None:
    filled.append(Series("kraken", "BTC/USDT", "30m"), make_bars(3), RECORDED)
    result = run("export", "BTC/USDT", tmp_path / "a.csv")
    assert result.exit_code == 2
    assert "names 2 series: binance BTC/USDT 30m, kraken BTC/USDT 30m" in result.stderr
    assert run("export", "BTC/USDT", tmp_path / "a.csv", "--venue", "kraken").exit_code == 0
    assert "'soon' is not a time" in run("export", "BTC/USDT", tmp_path / "a.csv", "--start", "soon").stderr


@pytest.mark.parametrize(
    ("size", "said"), [(999, "999 B"), (1_000, "1.0 kB"), (2_345_678, "2.3 MB"), (5_000_000_000_000, "5000.0 GB")]
)
def test_sizes_are_read_at_a_glance(size: int, said: str) -> None:
    assert data_store._size(size) == said
