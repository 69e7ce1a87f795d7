"""Several processes write to one series and read it, all at once: nothing is lost, nothing is there twice."""

import os
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from pipelines.store.bar_store import BarStore
from pipelines.store.durable import locked
from pipelines.store.errors import StoreError
from pipelines.store.repair import repair
from pipelines.store.table import Table
from tests.test_pipelines.test_store.killed import RECORDED, SERIES, make_bars
from tests.workspace import ROOT


def test_overlapping_appends_of_three_processes(tmp_path: Path, killed: Callable[..., Any]) -> None:
    store = BarStore(tmp_path)
    store.append(SERIES, make_bars(1), RECORDED)
    truth, answers, stop = make_bars(610), [], threading.Event()

    def keep_reading() -> None:
        while not stop.is_set():
            answers.append(store.read(SERIES))

    reader = threading.Thread(target=keep_reading)
    reader.start()
    try:
        result = killed("writers", tmp_path, 3)
    finally:
        stop.set()
        reader.join()
    assert result["codes"] == [0, 0, 0]
    added, unchanged, corrected = (sum(one) for one in zip(*result["appended"], strict=True))
    # Every bar was added by exactly one of them; the others found it there.
    assert (added, unchanged, corrected) == (609, 3 * 30 * 30 - 609, 0)
    pd.testing.assert_frame_equal(store.read(SERIES), truth, check_freq=False)
    assert store.corrections(SERIES).empty
    assert sum(entry.rows for entry in store.log(SERIES).entries) == 610
    # Whoever read meanwhile saw true bars, and never fewer than before.
    assert len(answers) > 1
    assert [len(one) for one in answers] == sorted(len(one) for one in answers)
    assert all(one.equals(truth.loc[one.index]) for one in answers)


def test_a_reader_follows_a_writer_that_merges_its_files_away(store: BarStore) -> None:
    store.append(SERIES, make_bars(20), RECORDED)
    stale = store.log(SERIES)
    store.append(SERIES, make_bars(30, 20), RECORDED)
    assert not (store.table(SERIES).folder / stale.entries[0].file).exists()
    assert len(store.table(SERIES).read(stale)) == 50


def test_a_reader_that_is_always_too_late_holds_the_writers_up(
    store: BarStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.append(SERIES, make_bars(4), RECORDED)
    tries = []

    def late(table: Table, entry: object) -> bytes:
        tries.append(entry)
        if len(tries) <= 3:
            # A writer commits between the reader's look at the log and its look at the file.
            with monkeypatch.context() as patch:
                patch.setattr(Table, "whole", whole)
                store.append(SERIES, make_bars(8 * len(tries)), RECORDED)
                repair(store.table(SERIES))
        return whole(table, entry)  # type: ignore[arg-type]

    whole = Table.whole
    monkeypatch.setattr(Table, "whole", late)
    assert len(store.read(SERIES)) == 24
    assert len(tries) > 3


def test_a_writer_waits_for_another_and_says_so_in_the_end(store: BarStore) -> None:
    store.append(SERIES, make_bars(5), RECORDED)
    table = store.table(SERIES)
    hold = (
        "import sys, time; from pathlib import Path; from pipelines.store.durable import locked\n"
        "with locked(Path(sys.argv[1]), 5): print('held', flush=True); time.sleep(60)"
    )
    holder = subprocess.Popen(
        [sys.executable, "-c", hold, str(table.lock)],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    try:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(StoreError, match="another process has been writing"), locked(table.lock, 0.05):
            pytest.fail("both")
        # Readers do not wait.
        assert len(store.read(SERIES)) == 5
        waiting = threading.Thread(target=lambda: store.append(SERIES, make_bars(9), RECORDED))
        waiting.start()
    finally:
        holder.kill()
        holder.wait()
    waiting.join()
    assert len(store.read(SERIES)) == 9


def test_readers_share_the_lock(tmp_path: Path) -> None:
    path = tmp_path / "locks" / "one.lock"
    with locked(path, 1, shared=True), locked(path, 1, shared=True), pytest.raises(StoreError), locked(path, 0):
        pytest.fail("a writer beside readers")
    with locked(path, 0):
        assert path.read_bytes() == b""
