"""Stage files are written whole or not at all, and equal content is equal bytes."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from pipelines.artifacts import Artifacts, content_hash, digest, json_text
from trading.errors import StageError, WorkspaceError


def test_a_frame_comes_back_as_it_was(tmp_path: Path, bars: pd.DataFrame) -> None:
    files = Artifacts(tmp_path)
    files.write_frame("data/raw/bars.parquet", bars)
    pd.testing.assert_frame_equal(files.read_frame("data/raw/bars.parquet"), bars, check_freq=False)
    assert files.exists("data/raw/bars.parquet")


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
