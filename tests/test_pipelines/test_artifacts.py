"""Stage files are written whole or not at all, and equal content is equal bytes."""

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipelines.artifacts import Artifacts, content_hash, digest, json_text
from trading.errors import StageError, WorkspaceError


def test_a_frame_comes_back_as_it_was(tmp_path: Path, bars: pd.DataFrame) -> None:
    files = Artifacts(tmp_path)
    files.write_frame("data/raw/bars.parquet", bars)
    pd.testing.assert_frame_equal(files.read_frame("data/raw/bars.parquet"), bars, check_freq=False)
    assert files.exists("data/raw/bars.parquet")


def test_columns_are_told_without_the_index(tmp_path: Path, bars: pd.DataFrame) -> None:
    files = Artifacts(tmp_path)
    for number, frame in enumerate((bars, bars.reset_index(), bars.iloc[:0])):
        name = f"{number}.parquet"
        files.write_frame(name, frame)
        assert files.columns(name) == list(frame.columns)
    pq.write_table(pa.table({"close": [1.0]}), tmp_path / "plain.parquet")
    assert files.columns("plain.parquet") == ["close"]
    with pytest.raises(StageError, match="engine run"):
        files.columns("gone.parquet")


def test_a_failed_write_leaves_the_old_file_and_no_rest(tmp_path: Path) -> None:
    files = Artifacts(tmp_path)
    files.write_json("a.json", {"x": 1})
    with pytest.raises(TypeError):
        files.write_json("a.json", {"x": object()})
    with pytest.raises(WorkspaceError):
        files.write_frame("a.json", FullDisk())  # type: ignore[arg-type]
    assert files.read_json("a.json") == {"x": 1}
    assert [path.name for path in tmp_path.iterdir()] == ["a.json"]


class FullDisk:
    def to_parquet(self, path: Path, **_: object) -> None:
        path.write_text("half")
        raise OSError(28, "No space left on device")


def test_a_missing_file_says_what_to_run(tmp_path: Path) -> None:
    with pytest.raises(StageError, match="engine run"):
        Artifacts(tmp_path).read_json("data/tune/best.json")


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("a file where a folder should be")
    with pytest.raises(WorkspaceError, match="ENGINE_STATE"):
        Artifacts(tmp_path).write_json("data/raw/ingest.json", {})


def test_json_is_canonical() -> None:
    text = json_text(
        {"b": np.float64(1.5), "a": [np.int64(2), np.nan, pd.Timestamp("2019-01-01", tz="UTC"), np.bool_(True)]}
    )
    assert json.loads(text) == {"a": [2, None, "2019-01-01T00:00:00+00:00", True], "b": 1.5}
    assert content_hash({"a": 1, "b": 2}) == content_hash({"b": 2, "a": 1})
    assert content_hash({"a": 1}) != content_hash({"a": 2})


def test_the_digest_of_a_folder_sees_names_and_content(tmp_path: Path) -> None:
    files = Artifacts(tmp_path)
    files.write_text("f/a", "1")
    before = digest(tmp_path / "f")
    files.write_text("f/b", "")
    assert files.sha256("f") != before
    (tmp_path / "f" / "b").unlink()
    assert files.sha256("f") == before
    files.write_bytes("f/a", b"2")
    assert files.sha256("f") != before


def test_a_frame_in_pieces_is_the_frame(tmp_path: Path, bars: pd.DataFrame) -> None:
    files = Artifacts(tmp_path)
    whole = files.write_frame("whole.parquet", bars).read_bytes()
    files.write_frames("pieces.parquet", [bars])
    assert files.path("pieces.parquet").read_bytes() == whole
    files.write_frames("pieces.parquet", iter([bars.iloc[:0], bars.iloc[:700], bars.iloc[700:700], bars.iloc[700:]]))
    pd.testing.assert_frame_equal(files.read_frame("pieces.parquet"), bars, check_freq=False)
    found = list(files.read_frames("pieces.parquet", 400))
    assert max(map(len, found)) == 400
    pd.testing.assert_frame_equal(pd.concat(found), bars, check_freq=False)
    assert files.count_rows("pieces.parquet") == len(bars)
    pd.testing.assert_index_equal(files.read_index("pieces.parquet"), bars.index)


def test_numbered_rows_are_numbered_through(tmp_path: Path, bars: pd.DataFrame) -> None:
    files, rows = Artifacts(tmp_path), bars.reset_index()
    files.write_frames("a.parquet", [piece.reset_index(drop=True) for piece in (rows.iloc[:9], rows.iloc[9:])])
    pd.testing.assert_frame_equal(files.read_frame("a.parquet"), rows)


def test_a_frame_without_rows_is_one_piece(tmp_path: Path, bars: pd.DataFrame) -> None:
    files = Artifacts(tmp_path)
    files.write_frames("a.parquet", [bars.iloc[:0]])
    [nothing] = files.read_frames("a.parquet")
    for found in (nothing, files.read_frame("a.parquet")):
        pd.testing.assert_frame_equal(found, bars.iloc[:0], check_freq=False)
    assert files.count_rows("a.parquet") == 0
    with pytest.raises(StageError, match="is missing"):
        next(files.read_frames("b.parquet"))


def test_pieces_that_end_in_an_error_leave_the_old_file(tmp_path: Path, bars: pd.DataFrame) -> None:
    def breaking_off() -> Iterator[pd.DataFrame]:
        yield bars
        raise StageError("enough")

    files = Artifacts(tmp_path)
    before = files.write_frames("data/a.parquet", [bars.iloc[:5]]).read_bytes()
    with pytest.raises(StageError, match="enough"):
        files.write_frames("data/a.parquet", breaking_off())
    assert files.path("data/a.parquet").read_bytes() == before
    assert [path.name for path in (tmp_path / "data").iterdir()] == ["a.parquet"]


def test_an_error_before_the_first_piece_leaves_nothing(tmp_path: Path) -> None:
    def nothing() -> Iterator[pd.DataFrame]:
        raise StageError("enough")
        yield

    with pytest.raises(StageError, match="enough"):
        Artifacts(tmp_path).write_frames("data/a.parquet", nothing())
    assert list(tmp_path.iterdir()) == []


def test_a_spool_leaves_no_file_in_the_workspace(tmp_path: Path, bars: pd.DataFrame) -> None:
    with Artifacts(tmp_path).spool() as spool:
        spool.write(bars)
        assert list(tmp_path.iterdir()) == []
