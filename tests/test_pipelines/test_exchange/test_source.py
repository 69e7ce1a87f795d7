from pathlib import Path

import pandas as pd
import pytest

from pipelines.exchange.source import file_name, series_of, venue_of, write_source
from pipelines.ingest.reader import read_bars
from pipelines.store.bar_store import BarStore, Series
from pipelines.store.errors import UnknownSeriesError
from trading.instrument import Instrument

KRAKEN = Series("kraken", "BTC/USD", "30m")


@pytest.mark.parametrize(
    ("source", "venue"),
    [("exchange:kraken", "kraken"), ("exchange: Binance ", "binance"), ("data/sample/x.parquet", None), ("", None)],
)
def test_an_exchange_is_told_from_a_path(source: str, venue: str | None) -> None:
    assert venue_of(source) == venue


def test_a_run_reads_the_series_of_its_instrument() -> None:
    assert series_of("kraken", Instrument("BTC/USD", "30m")) == KRAKEN
    assert file_name(KRAKEN) == "kraken_BTC-USD_30m.parquet"


def test_ingest_reads_what_was_written_and_equal_bars_are_not_written_again(
    tmp_path: Path, half_hours: pd.DataFrame
) -> None:
    store, file = BarStore(tmp_path / "store"), tmp_path / "workspace" / "source" / file_name(KRAKEN)
    recorded = pd.Timestamp("2020-01-01", tz="UTC")
    store.append(KRAKEN, half_hours.iloc[:100], recorded)
    assert write_source(store, KRAKEN, file)
    written = file.stat().st_mtime_ns
    assert not write_source(BarStore(tmp_path / "store"), KRAKEN, file)
    assert file.stat().st_mtime_ns == written
    rows, _ = read_bars(file)
    pd.testing.assert_frame_equal(
        rows.set_index("timestamp").drop(columns="fault_text"), half_hours.iloc[:100], check_freq=False
    )
    store.append(KRAKEN, half_hours.iloc[:101], recorded)
    assert write_source(store, KRAKEN, file)
    assert len(read_bars(file)[0]) == 101
    assert [path.name for path in file.parent.iterdir()] == [file.name]


def test_a_series_that_was_never_fetched_leaves_no_file(tmp_path: Path) -> None:
    with pytest.raises(UnknownSeriesError):
        write_source(BarStore(tmp_path), KRAKEN, tmp_path / "source" / "x.parquet")
    assert list((tmp_path / "source").iterdir()) == []
