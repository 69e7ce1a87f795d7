"""An exported file is read again as the same bars, whatever its format."""

from pathlib import Path

import pandas as pd
import pytest

from pipelines.ingest.reader import read_bars
from pipelines.store.bar_store import BarStore
from pipelines.store.errors import StoreError
from pipelines.store.export import export
from tests.test_pipelines.test_store.killed import RECORDED, SERIES, make_bars
from trading.bars import COLUMNS


@pytest.fixture
def filled(store: BarStore, bars: pd.DataFrame) -> BarStore:
    half = bars.iloc[:200] / 3
    store.append(SERIES, half.set_axis(make_bars(200).index), RECORDED)
    return store


@pytest.mark.parametrize("name", ["bars.csv", "bars.csv.gz", "bars.parquet", "bars.feather"])
def test_it_comes_back(filled: BarStore, tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    wanted = filled.read(SERIES)
    assert export(filled.chunks(SERIES), path) == 200
    rows, notes = read_bars(path)
    assert notes.files[0].rows == 200
    pd.testing.assert_frame_equal(
        rows.set_index("timestamp")[COLUMNS], wanted, check_freq=False, check_index_type=False
    )
    first = path.read_bytes()
    export(filled.chunks(SERIES), path)
    assert path.read_bytes() == first
    assert [one.name for one in tmp_path.iterdir() if one.is_file()] == [name]


def test_a_failure_in_the_middle_leaves_the_old_file(filled: BarStore, tmp_path: Path) -> None:
    path = tmp_path / "bars.parquet"
    export(filled.chunks(SERIES), path)
    before = path.read_bytes()
    second = next(iter(list(filled.chunks(SERIES))[1:]))
    damaged = filled.root / SERIES.folder / filled.log(SERIES).entries[1].file
    damaged.write_bytes(b"")
    with pytest.raises(StoreError, match="has 0 bytes"):
        export(filled.chunks(SERIES), path)
    assert len(second) == 104
    assert path.read_bytes() == before
    assert [one.name for one in tmp_path.iterdir() if one.is_file()] == ["bars.parquet"]


@pytest.mark.parametrize(
    ("name", "message"),
    [("bars.xlsx", r"\.csv, \.csv\.gz, \.parquet, \.feather"), ("gone/bars.csv", "make the folder")],
)
def test_a_name_that_cannot_be_written_is_said(filled: BarStore, tmp_path: Path, name: str, message: str) -> None:
    with pytest.raises(StoreError, match=message):
        export(filled.chunks(SERIES), tmp_path / name)


def test_nothing_to_export_is_said(filled: BarStore, tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="no bars to export"):
        export(filled.chunks(SERIES, end=pd.Timestamp("2000-01-01", tz="UTC")), tmp_path / "bars.csv")
    assert not (tmp_path / "bars.csv").exists()
