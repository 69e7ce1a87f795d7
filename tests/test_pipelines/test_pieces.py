"""Pieces of a frame are the frame: nothing is lost, moved or added where it is cut."""

from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.pieces import Spool, regrouped, stamp_numbers
from tests.pieces import cut
from trading.errors import WorkspaceError


@pytest.fixture
def rows(bars: pd.DataFrame) -> pd.DataFrame:
    text = pd.Series([pd.NA, "a"] * 20, dtype="string")
    return bars.iloc[:40].reset_index().assign(fault_text=text)


@given(st.lists(st.integers(0, 3), max_size=40), st.lists(st.integers(0, 40), max_size=6))
@settings(deadline=None)
def test_regrouping_moves_the_cuts_and_nothing_else(steps: list[int], cuts: list[int]) -> None:
    frame = pd.DataFrame({"group": np.cumsum(steps, dtype=np.int64)}, index=range(100, 100 + len(steps)))
    found = list(regrouped(cut(frame, cuts), lambda piece: piece["group"].to_numpy()))
    pd.testing.assert_frame_equal(pd.concat(found), frame)
    filled = [piece["group"] for piece in found if len(piece)]
    assert all(above.iloc[-1] != below.iloc[0] for above, below in pairwise(filled))
    assert len(filled) == len(found) or len(found) == 1


def test_one_piece_stays_one() -> None:
    frame = pd.DataFrame({"group": [1, 1, 2]})
    assert [piece is frame for piece in regrouped([frame], lambda piece: piece["group"].to_numpy())] == [True]
    assert list(regrouped([], lambda piece: piece["group"].to_numpy())) == []


def test_stamps_are_numbered_whatever_their_resolution() -> None:
    stamps = pd.Series(pd.to_datetime(["2024-01-01", "2024-01-01", None, "2024-01-02"], utc=True))
    for unit in ("s", "us", "ns"):
        numbers = stamp_numbers(pd.DataFrame({"timestamp": stamps.dt.as_unit(unit)}))
        assert [numbers[0] == number for number in numbers] == [True, True, False, False]


def test_a_spool_gives_pieces_as_they_were_as_often_as_asked(rows: pd.DataFrame, tmp_path: Path) -> None:
    pieces = [rows.iloc[:7], rows.iloc[7:7], rows.iloc[7:]]
    with Spool(tmp_path) as spool:
        for piece in pieces:
            spool.write(piece)
        for _ in range(2):
            first, last = spool.read()
            pd.testing.assert_frame_equal(first, pieces[0])
            pd.testing.assert_frame_equal(last, pieces[2].reset_index(drop=True))
        columns = ["close", "fault_text", "timestamp"]
        pd.testing.assert_frame_equal(pd.concat(spool.read(columns), ignore_index=True), rows[columns])
        pd.testing.assert_frame_equal(spool.gather(columns), rows[columns])
        assert list(tmp_path.iterdir()) == []


def test_a_spool_keeps_an_index_of_stamps_and_frames_without_rows(bars: pd.DataFrame, tmp_path: Path) -> None:
    with Spool(tmp_path) as spool:
        spool.write(bars)
        pd.testing.assert_frame_equal(next(spool.read()), bars, check_freq=False)
    with Spool(tmp_path) as spool:
        spool.write(bars.iloc[:0])
        [nothing] = spool.read()
        pd.testing.assert_frame_equal(nothing, bars.iloc[:0], check_freq=False)


def test_pieces_of_other_columns_are_refused(rows: pd.DataFrame, tmp_path: Path) -> None:
    with Spool(tmp_path) as spool:
        spool.write(rows)
        with pytest.raises(ValueError, match="schema"):
            spool.write(rows.drop(columns="close"))


class FullDisk:
    """A file on a disk that has room for a header, or for nothing at all when it is flushed."""

    closed = False

    def __init__(self, room: int) -> None:
        self.room = room

    def write(self, data: bytes) -> int:
        self.room -= len(bytes(data))
        if self.room < 0:
            raise OSError(28, "No space left on device")
        return len(bytes(data))

    def tell(self) -> int:
        return 0

    def flush(self) -> None:
        pass

    def close(self) -> None:
        pass

    def seek(self, *_: int) -> int:
        raise OSError(28, "No space left on device")


@pytest.mark.parametrize("room", [0, 1000])
def test_a_full_disk_is_named(room: int, rows: pd.DataFrame, tmp_path: Path) -> None:
    spool = Spool(tmp_path)
    spool._file.close()
    spool._file = FullDisk(room)  # type: ignore[assignment]
    with pytest.raises(WorkspaceError, match="No space left") as caught:
        spool.write(rows)
    assert caught.value.where == str(tmp_path)


def test_a_disk_that_is_full_in_the_end_is_named(rows: pd.DataFrame, tmp_path: Path) -> None:
    spool = Spool(tmp_path)
    spool._file.close()
    spool._file = FullDisk(1_000_000)  # type: ignore[assignment]
    spool.write(rows)
    with pytest.raises(WorkspaceError, match=r"read again: .*No space left"):
        next(spool.read())


def test_a_folder_that_cannot_be_written_to_is_named(tmp_path: Path) -> None:
    with pytest.raises(WorkspaceError, match="cannot write"):
        Spool(tmp_path / "nowhere")
