"""What stands beside the bars: named by its file, read by the rules of what it is, as of its publication."""

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from pipelines.ingest.context import read_context_folder
from pipelines.ingest.context_files import context_files, symbol_of
from pipelines.params import Params, RunIdentity, overlay, parse_params
from pipelines.sentiment.errors import SeriesError
from trading.errors import BarError, ParamsError

NOW = datetime(2020, 1, 1, tzinfo=UTC)
RUN = RunIdentity(symbol="BTC/USD", timeframe="1h", source="bars.csv", context="context", as_of=None)
Write = Callable[..., Path]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (path := tmp_path / "context").mkdir()
    return path


@pytest.fixture
def write(folder: Path) -> Write:
    def written(name: str, bars: pd.DataFrame) -> Path:
        bars.reset_index().to_csv(folder / name, index=False)
        return folder / name

    return written


@pytest.mark.parametrize(
    ("name", "symbol"),
    [
        ("BTC-USD.parquet", "BTC/USD"),
        ("BTC-USD_30m.csv", "BTC/USD"),
        ("bitfinex_BTC-USD_30m.parquet", "BTC/USD"),
        ("kraken_ETH-EUR.csv.gz", "ETH/EUR"),
        ("BTC-USDT_USDT.feather", "BTC/USDT:USDT"),
        ("BTC-USDT_USDT_1h.feather", "BTC/USDT:USDT"),
        ("binance_BTC-USDT_USDT_1h.feather", "BTC/USDT:USDT"),
        ("okx_BTC-USD_BTC-240628_4h.csv", "BTC/USD:BTC-240628"),
        ("1INCH-USD.CSV", "1INCH/USD"),
        ("fear-greed.csv", None),
        ("btc-usd.csv", None),
        ("BTCUSD_1h.csv", None),
        ("BTC-USD.txt.bak", None),
        ("BTC-USD", None),
        ("a_b_BTC-USD_1h.csv", None),
        ("BTC-USD-1h.csv", None),
        ("BTCUSDT-1h-2024-01.csv", None),
        ("-USD.csv", None),
        ("fear_greed.csv", None),
        (".csv", None),
    ],
)
def test_a_name_says_whose_bars_they_are(name: str, symbol: str | None) -> None:
    assert symbol_of(name) == symbol


def test_instruments_come_first_and_all_in_order(folder: Path) -> None:
    names = ("headlines.csv.gz", "fear_greed.json", "funding_rate.jsonl", "XRP-USD.parquet", "kraken_ETH-USD_1h.csv")
    for name in (*names, "README.md", ".hidden"):
        (folder / name).touch()
    assert [(name, path.name) for name, path in context_files(folder).items()] == [
        ("ETH/USD", "kraken_ETH-USD_1h.csv"),
        ("XRP/USD", "XRP-USD.parquet"),
        ("fear_greed", "fear_greed.json"),
        ("funding_rate", "funding_rate.jsonl"),
        ("headlines", "headlines.csv.gz"),
    ]


@pytest.mark.parametrize("name", ["vix.csv", "fear_greed.csv.bak", "fear_greed.xlsx", "notes.md", "ETH-USD/"])
def test_a_name_that_says_nothing_lists_those_that_do(folder: Path, name: str) -> None:
    (folder / name).mkdir() if name.endswith("/") else (folder / name).touch()
    with pytest.raises(SeriesError, match="is not understood") as caught:
        context_files(folder)
    assert caught.value.where == str(folder / name)
    for known in ("fear_greed, funding_rate, headlines", "kraken_BTC-USD_30m", ".parquet", ".json"):
        assert known in caught.value.rule


@pytest.mark.parametrize("names", [("fear_greed.csv", "fear_greed.json"), ("ETH-USD.csv", "kraken_ETH-USD_1h.parquet")])
def test_two_files_of_one_thing_are_refused(folder: Path, names: tuple[str, str]) -> None:
    for name in names:
        (folder / name).touch()
    with pytest.raises(SeriesError, match=f"{names[0]} and {names[1]} both hold"):
        context_files(folder)


def test_a_folder_that_is_none(folder: Path) -> None:
    with pytest.raises(ParamsError, match="gone is not there") as caught:
        context_files(folder / "gone")
    assert "--context" in caught.value.remedy
    (folder / "file").touch()
    with pytest.raises(ParamsError, match="file is no folder"):
        context_files(folder / "file")


def test_bars_of_others_come_at_the_runs_timeframe(
    folder: Path, write: Write, bars: pd.DataFrame, params: Params
) -> None:
    write("ETH-USD_1h.csv", bars.iloc[:100])
    run = RUN.model_copy(update={"timeframe": "4h"})
    (found,), remarks = read_context_folder(folder, run, params, NOW)
    assert (found.name, found.path, remarks) == ("ETH/USD", "data/raw/context/ETH-USD.parquet", [])
    assert list(found.frame.columns) == ["open", "high", "low", "close", "volume"]
    assert found.frame.index.name == "timestamp"
    assert found.frame.index[0] == bars.index[0]
    four = bars.iloc[:100].resample("4h").agg({"close": ["last", "count"]})["close"]
    pd.testing.assert_series_equal(
        found.frame["close"], four.loc[four["count"] == 4, "last"], check_names=False, check_freq=False
    )
    record = found.record
    assert (record["kind"], record["source"], record["rows"]) == ("bars", "ETH-USD_1h.csv", len(found.frame))
    assert (record["first"], record["last"]) == (found.frame.index[0], found.frame.index[-1])


def test_bars_that_close_later_than_the_run_stands_are_not_there(
    folder: Path, write: Write, bars: pd.DataFrame, params: Params
) -> None:
    write("ETH-USD.csv", bars.iloc[:100])
    moment = (bars.index[50] + pd.Timedelta("30min")).to_pydatetime()
    (found,), _ = read_context_folder(folder, RUN.model_copy(update={"as_of": moment}), params, NOW)
    assert found.frame.index[-1] == bars.index[49]
    (found,), _ = read_context_folder(folder, RUN, params, moment)
    assert found.frame.index[-1] == bars.index[49]


def test_values_published_later_than_the_run_stands_are_not_there(folder: Path, params: Params) -> None:
    (folder / "fear_greed.csv").write_text("date,value\n2018-02-01,30\n2018-02-02,15\n2018-02-03,40\n")
    moment = datetime(2018, 2, 2, tzinfo=UTC)
    (found,), _ = read_context_folder(folder, RUN.model_copy(update={"as_of": moment}), params, NOW)
    assert found.frame["fear_greed"].to_list() == pytest.approx([-0.4, -0.7])
    assert found.record["kind"] == "series"
    assert found.path == "data/raw/context/fear_greed.parquet"
    with pytest.raises(SeriesError, match="published in the future"):
        read_context_folder(folder, RUN, params, moment)


def test_a_series_that_had_not_begun_is_empty(folder: Path, params: Params) -> None:
    (folder / "fear_greed.csv").write_text("date,value\n2018-02-01,30\n")
    run = RUN.model_copy(update={"as_of": datetime(2018, 1, 1, tzinfo=UTC)})
    (found,), _ = read_context_folder(folder, run, params, NOW)
    assert (found.record["rows"], found.record["first"], found.record["last"]) == (0, None, None)


def test_the_runs_own_instrument_is_passed_over(folder: Path, write: Write, bars: pd.DataFrame, params: Params) -> None:
    write("kraken_BTC-USD_1h.csv", bars.iloc[:100])
    found, remarks = read_context_folder(folder, RUN, params, NOW)
    assert not found
    assert remarks == ["kraken_BTC-USD_1h.csv: the run's own instrument, not read beside it"]


def test_what_no_group_asks_for_is_not_read(folder: Path, raw_params: dict[str, Any]) -> None:
    (folder / "ETH-USD.csv").write_text("not bars")
    (folder / "headlines.csv").write_text("not headlines")
    params = parse_params(overlay(raw_params, {"features": {"groups": ["volatility"]}}))
    found, remarks = read_context_folder(folder, RUN, params, NOW)
    assert not found
    assert remarks == [
        "ETH-USD.csv: not read, for features.groups leaves cross_asset out",
        "headlines.csv: not read, for features.groups leaves sentiment out",
    ]


def test_bars_of_others_are_believed_no_sooner_than_ones_own(
    folder: Path, write: Write, bars: pd.DataFrame, params: Params
) -> None:
    path = write("ETH-USD.csv", bars.iloc[:100])
    with pytest.raises(BarError, match="30m bars were asked for, but the file's are 1h") as caught:
        read_context_folder(folder, RUN.model_copy(update={"timeframe": "30m"}), params, NOW)
    assert caught.value.where == str(path)
    write("ETH-USD.csv", bars.iloc[[*range(40), *range(60, 100)]])
    with pytest.raises(BarError, match="20 of 100 1h bars are missing") as caught:
        read_context_folder(folder, RUN, params, NOW)
    assert caught.value.where == str(path)
    broken = bars.iloc[:100].copy()
    broken.iloc[5, 2] = broken.iloc[5, 1] * 2
    write("ETH-USD.csv", broken)
    with pytest.raises(BarError, match="cannot be believed"):
        read_context_folder(folder, RUN, params, NOW)
