import shutil
from datetime import UTC, datetime
from pathlib import Path

import pandas as pd
import pytest

from flows.request import identity, last_report, parse_moment, read_closed_bars, sample_files
from pipelines.exchange.errors import ExchangeError
from pipelines.params import Params
from pipelines.settings import ROOT, Settings
from trading.errors import BarError, InstrumentError, ParamsError, StageError


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(home=ROOT, state=tmp_path)


def test_nothing_typed_is_the_sample_of_run_yaml(settings: Settings) -> None:
    run = identity(settings, None, None, None, None)
    assert (run.symbol, run.timeframe, run.as_of) == ("BTC/USD", "1h", None)
    assert (ROOT / run.source).exists()


@pytest.mark.parametrize("typed", ["ETH/USD", "eth-usd"])
def test_a_symbol_of_the_sample(settings: Settings, typed: str) -> None:
    run = identity(settings, None, typed, "4h", None)
    assert (run.symbol, run.timeframe) == ("ETH/USD", "4h")
    assert run.source == "data/sample/bitfinex_ETH-USD_30m.parquet"


def test_a_symbol_nobody_has(settings: Settings) -> None:
    with pytest.raises(InstrumentError) as caught:
        identity(settings, None, "DOGE/USD", None, None)
    assert "BTC/USD, EOS/USD, ETH/USD, LTC/USD, XRP/USD" in caught.value.rule
    assert "--bars FILE --symbol DOGE/USD" in caught.value.remedy


def test_bars_of_ones_own(settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "mine.csv").write_text("x")
    monkeypatch.chdir(tmp_path)
    run = identity(settings, Path("mine.csv"), "sol-usdt", "4h", "2024-05-01")
    assert (run.symbol, run.timeframe, run.source) == ("SOL/USDT", "4h", str(tmp_path / "mine.csv"))
    assert run.as_of == datetime(2024, 5, 1, tzinfo=UTC)
    with pytest.raises(InstrumentError, match="--bars is given without --symbol"):
        identity(settings, Path("mine.csv"), None, None, None)
    with pytest.raises(BarError, match="no such file"):
        identity(settings, Path("other.csv"), "SOL/USDT", None, None)


def test_bars_of_an_exchange(settings: Settings, tmp_path: Path) -> None:
    run = identity(settings, None, "eth-eur", "4h", "2024-05-01", exchange=" Kraken ")
    assert (run.symbol, run.timeframe, run.source) == ("ETH/EUR", "4h", "exchange:kraken")
    assert run.as_of == datetime(2024, 5, 1, tzinfo=UTC)
    run = identity(settings, None, None, None, None, exchange="binance")
    assert (run.symbol, run.timeframe, run.source) == ("BTC/USD", "1h", "exchange:binance")


def test_what_no_exchange_can_be_is_refused(settings: Settings, tmp_path: Path) -> None:
    with pytest.raises(ExchangeError, match="unknown exchange 'krakn'") as caught:
        identity(settings, None, None, None, None, exchange="krakn")
    assert "did you mean kraken?" in caught.value.remedy
    with pytest.raises(ExchangeError, match="unknown exchange ''"):
        identity(settings, None, None, None, None, exchange="")
    with pytest.raises(ParamsError, match="both --bars and --exchange"):
        identity(settings, tmp_path, "BTC/USD", None, None, exchange="kraken")


def test_a_context_of_ones_own(settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert identity(settings, None, None, None, None).context == "data/context"
    (tmp_path / "mine.csv").write_text("x")
    monkeypatch.chdir(tmp_path)
    for asked in (
        identity(settings, None, None, None, None, context=Path("beside")),
        identity(settings, None, "ETH/USD", None, None, context=Path("beside")),
        identity(settings, Path("mine.csv"), "SOL/USDT", None, None, context=Path("beside")),
        identity(settings, None, None, None, None, exchange="kraken", context=Path("beside")),
    ):
        assert asked.context == str(tmp_path / "beside")


def test_moments() -> None:
    assert parse_moment("2019-09-01T12:00:00+02:00") == datetime(2019, 9, 1, 10, tzinfo=UTC)
    assert parse_moment(" 2019-09-01 ").isoformat() == "2019-09-01T00:00:00+00:00"
    with pytest.raises(ParamsError, match="'last week' is not a time"):
        parse_moment("last week")


def test_an_empty_sample(tmp_path: Path) -> None:
    shutil.copy(ROOT / "run.yaml", tmp_path)
    settings = Settings(home=tmp_path, state=tmp_path)
    assert sample_files(settings) == {}
    with pytest.raises(InstrumentError, match="no bars of ETH/USD"):
        identity(settings, None, "ETH/USD", None, None)


def test_the_last_report(settings: Settings, tmp_path: Path) -> None:
    with pytest.raises(StageError, match=r"no report of BTC/USD 1h") as caught:
        last_report(settings, None, None)
    assert "none yet" in caught.value.rule
    (tmp_path / "reports").mkdir()
    report = tmp_path / "reports" / "ETH-USD-4h.html"
    report.write_text("")
    assert last_report(settings, "eth-usd", "4h") == report
    with pytest.raises(StageError) as caught:
        last_report(settings, None, None)
    assert "ETH-USD-4h" in caught.value.rule


def test_bars_for_a_forecast_must_be_sound(bars: pd.DataFrame, params: Params, tmp_path: Path) -> None:
    path = tmp_path / "bars.csv"
    bars.reset_index().to_csv(path, index=False)
    assert len(read_closed_bars(path, "1h", params)) == len(bars)
    assert read_closed_bars(path, "4h", params)["volume"].iloc[0] == pytest.approx(bars["volume"].iloc[:4].sum())
    broken = bars.copy()
    broken.iloc[5, broken.columns.get_loc("high")] = broken["low"].iloc[5] / 2
    broken.reset_index().to_csv(path, index=False)
    with pytest.raises(BarError, match="1 rows are not sound"):
        read_closed_bars(path, "1h", params)
