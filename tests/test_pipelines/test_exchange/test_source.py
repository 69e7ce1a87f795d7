from pathlib import Path

import pandas as pd
import pytest

from pipelines.exchange.source import bars_of, file_name, series_of, source_of, venue_of, write_source
from pipelines.ingest.reader import read_bars
from pipelines.store.bar_store import BarStore, Series
from pipelines.store.errors import UnknownSeriesError
from trading.errors import BarError
from trading.instrument import Instrument

KRAKEN = Series("kraken", "BTC/USD", "30m")


@pytest.mark.parametrize(
    ("source", "venue"),
    [("exchange:kraken", "kraken"), ("exchange: Binance ", "binance"), ("data/sample/x.parquet", None), ("", None)],
)
def test_an_exchange_is_told_from_a_path(source: str, venue: str | None) -> None:
    assert venue_of(source) == venue


def test_what_is_written_for_an_exchange_is_read_as_one() -> None:
    assert venue_of(source_of("kraken")) == "kraken"


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
    assert not (tmp_path / "source").exists()


def test_what_is_known_later_does_not_change_the_file_of_a_moment(tmp_path: Path, half_hours: pd.DataFrame) -> None:
    store, file = BarStore(tmp_path / "store"), tmp_path / "source" / "x.parquet"
    as_of = half_hours.index[99] + KRAKEN.bar
    store.append(KRAKEN, half_hours.iloc[:100], as_of)
    assert write_source(store, KRAKEN, file, as_of)
    # A bar that closes a moment after, a correction of one that was known, and one recorded at that very moment.
    corrected = half_hours.iloc[[50]] * 1.01
    store.append(KRAKEN, half_hours.iloc[[100]], as_of + KRAKEN.bar)
    store.append(KRAKEN, corrected, as_of + pd.Timedelta(1, "s"))
    assert not write_source(store, KRAKEN, file, as_of)
    assert write_source(store, KRAKEN, file, as_of + pd.Timedelta(1, "s"))
    expected = pd.concat([half_hours.iloc[:50], corrected, half_hours.iloc[51:100]])
    pd.testing.assert_frame_equal(pd.read_parquet(file), expected, check_freq=False)
    # A moment before its close the newest bar is not there.
    before = bars_of(store, KRAKEN, as_of - pd.Timedelta(1, "us"))
    pd.testing.assert_frame_equal(before, expected.iloc[:-1], check_freq=False)


def test_a_past_that_was_fetched_afterwards_is_as_the_exchange_says_now(
    tmp_path: Path, half_hours: pd.DataFrame
) -> None:
    store, as_of = BarStore(tmp_path), half_hours.index[60]
    fetched = half_hours.index[-1] + KRAKEN.bar
    store.append(KRAKEN, half_hours.iloc[40:100], fetched)
    store.append(KRAKEN, half_hours.iloc[[50]] * 1.01, fetched + pd.Timedelta(1, "h"))
    expected = half_hours.iloc[40:60].copy()
    expected.iloc[10] *= 1.01
    pd.testing.assert_frame_equal(bars_of(store, KRAKEN, as_of), expected, check_freq=False)
    # Another machine had stored ten of them in time: what it saw counts, corrected later or not.
    store.append(KRAKEN, half_hours.iloc[45:55] * 1.02, as_of)
    expected = half_hours.iloc[40:60].copy()
    expected.iloc[5:15] *= 1.02
    pd.testing.assert_frame_equal(bars_of(store, KRAKEN, as_of), expected, check_freq=False)


def test_no_bar_by_then_is_said(tmp_path: Path, half_hours: pd.DataFrame) -> None:
    store, first = BarStore(tmp_path / "store"), half_hours.index[0]
    store.append(KRAKEN, half_hours.iloc[:2], half_hours.index[-1])
    with pytest.raises(BarError, match="no bar of kraken BTC/USD 30m had closed by 2017-10-01 00:29"):
        write_source(store, KRAKEN, tmp_path / "x.parquet", first + pd.Timedelta(minutes=29))
    assert write_source(store, KRAKEN, tmp_path / "x.parquet", first + pd.Timedelta(minutes=30))
