"""Repair loses no observation, names what it cannot read, and puts the rest in order."""

import hashlib
from pathlib import Path

import pandas as pd
import pytest

from pipelines.store.bar_store import BarStore
from pipelines.store.errors import DamagedStoreError, StoreError
from pipelines.store.files import encode
from pipelines.store.repair import Repaired, repair
from tests.test_pipelines.test_store.killed import RECORDED, SERIES, make_bars, next_append, prepare_next


@pytest.fixture
def crowded(store: BarStore) -> BarStore:
    """Several files in two periods, with corrections."""
    prepare_next(store.root)
    next_append(store.root)
    store.append(SERIES, make_bars(1, 200), RECORDED)
    return store


def everything(store: BarStore) -> pd.DataFrame:
    return store.table(SERIES).observations(list(store.log(SERIES).entries))


def test_small_files_become_one_a_period_with_all_history(crowded: BarStore) -> None:
    before, corrections = everything(crowded), crowded.corrections(SERIES)
    count = len(crowded.log(SERIES).entries)
    found = repair(crowded.table(SERIES))
    assert found.merged[0] > found.merged[1] > 0
    assert found.files == count
    assert found.clean
    assert everything(crowded).equals(before)
    assert crowded.corrections(SERIES).equals(corrections)
    entries = crowded.log(SERIES).entries
    assert len({entry.period for entry in entries}) == len(entries) == len(list(crowded.root.rglob("*.parquet")))
    again = repair(crowded.table(SERIES))
    assert again == Repaired(files=len(entries), size=sum(entry.size for entry in entries))


def test_a_dry_run_says_the_same_and_does_nothing(crowded: BarStore) -> None:
    folder = crowded.root / SERIES.folder
    orphan = folder / "period=2024-01" / ".a.parquet.0123.tmp"
    orphan.write_bytes(b"half")
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*")}
    said = repair(crowded.table(SERIES), dry_run=True)
    assert {path: path.stat().st_mtime_ns for path in folder.rglob("*")} == before
    assert said.orphans == ("period=2024-01/.a.parquet.0123.tmp",)
    assert repair(crowded.table(SERIES)) == said


def test_what_a_kill_left_is_removed_and_what_is_not_ours_stays(crowded: BarStore) -> None:
    folder = crowded.root / SERIES.folder
    left = ["period=2024-01/0123456789abcdef0123.parquet", "period=2031-01/.b.parquet.ab.tmp", ".log.json.cd.tmp"]
    for name in left:
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_bytes(b"half")
    (folder / "README.md").write_text("bought from ...")
    assert sorted(repair(crowded.table(SERIES)).orphans) == sorted(left)
    assert not any((folder / name).exists() for name in left)
    assert (folder / "README.md").exists()


def test_a_lost_or_torn_log_is_made_anew_from_the_files(crowded: BarStore) -> None:
    before = everything(crowded)
    log = crowded.root / SERIES.folder / "log.json"
    for harm in (log.unlink, lambda: log.write_text("{")):
        harm()
        found = repair(crowded.table(SERIES))
        assert found.rebuilt
        assert found.clean
        assert everything(crowded).equals(before)


def test_a_rebuilt_log_counts_an_observation_once(store: BarStore) -> None:
    store.append(SERIES, make_bars(20), RECORDED)
    path = store.root / SERIES.folder / store.log(SERIES).entries[0].file
    content = path.read_bytes()
    store.append(SERIES, make_bars(30, 20), RECORDED)
    before = everything(store)
    # A kill between the commit and the removal of what it merged, and then a lost log.
    path.write_bytes(content)
    (store.root / SERIES.folder / "log.json").unlink()
    repair(store.table(SERIES))
    assert everything(store).equals(before)


@pytest.mark.parametrize("gone", [False, True])
def test_a_damaged_file_is_named_and_dropped_only_when_asked(store: BarStore, gone: bool) -> None:
    store.append(SERIES, make_bars(200), RECORDED)
    entry = store.log(SERIES).entries[0]
    path = store.root / SERIES.folder / entry.file
    path.unlink() if gone else path.write_bytes(path.read_bytes()[:-1])
    store.append(SERIES, make_bars(3, 200), RECORDED)
    found = repair(store.table(SERIES))
    assert not found.clean
    (damage,) = found.damaged
    assert (damage.file, damage.rows) == (entry.file, 96)
    assert (damage.first, damage.last) == ("2024-01-30T00:00:00+00:00", "2024-01-31T23:30:00+00:00")
    assert ("cannot be read" if gone else "has") in damage.fault
    # The rest was put in order all the same.
    assert found.merged == (2, 1)
    with pytest.raises(DamagedStoreError):
        store.read(SERIES)
    assert not repair(store.table(SERIES), dry_run=True, drop_damaged=True).dropped
    dropped = repair(store.table(SERIES), drop_damaged=True)
    assert dropped.dropped
    assert dropped.clean
    assert path.with_name(path.name + ".damaged").exists() is not gone
    assert len(store.read(SERIES)) == 107
    assert store.append(SERIES, make_bars(203), RECORDED).added == 96
    assert repair(store.table(SERIES)).damaged == ()


def test_without_a_log_a_file_that_cannot_be_read_is_set_aside(store: BarStore) -> None:
    store.append(SERIES, make_bars(200), RECORDED)
    folder = store.root / SERIES.folder
    first = store.log(SERIES).entries[0]
    (folder / "log.json").unlink()
    (folder / first.file).write_bytes(b"PAR1 and nothing else")
    notes, content = folder / "period=2024-01" / "notes.parquet", encode(pd.DataFrame({"a": [1.0]}))
    notes.write_bytes(content)
    named = notes.with_name(hashlib.sha256(content).hexdigest()[:20] + ".parquet")
    named.write_bytes(content)
    found = repair(store.table(SERIES))
    bad = {Path(first.file).name, "notes.parquet", named.name}
    assert {Path(one.file).name for one in found.damaged} == bad
    assert {one.rows for one in found.damaged} == {None}
    assert len(store.read(SERIES)) == 104
    assert {path.name for path in folder.rglob("*.damaged")} == {name + ".damaged" for name in bad}


def test_a_folder_in_the_wrong_place_is_not_renamed_by_its_repair(crowded: BarStore) -> None:
    other = crowded.table(type(SERIES)("binance", "ETH/USDT", "30m"))
    other.folder.parent.mkdir()
    (crowded.root / SERIES.folder).rename(other.folder)
    with pytest.raises(StoreError, match="this folder holds"):
        repair(other)


def test_looking_is_possible_where_writing_is_not(crowded: BarStore, monkeypatch: pytest.MonkeyPatch) -> None:
    crowded.table(SERIES).lock.unlink()
    crowded.table(SERIES).lock.parent.rmdir()
    (crowded.root / ".locks").write_text("in the way")
    assert repair(crowded.table(SERIES), dry_run=True).merged[0] > 0
    with pytest.raises(StoreError, match="cannot write"):
        repair(crowded.table(SERIES))


def test_setting_aside_that_fails_is_said(store: BarStore, monkeypatch: pytest.MonkeyPatch) -> None:
    store.append(SERIES, make_bars(200), RECORDED)
    entry = store.log(SERIES).entries[0]
    (store.root / SERIES.folder / entry.file).write_bytes(b"")

    def refuse(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "replace", refuse)
    with pytest.raises(StoreError, match="Permission denied"):
        repair(store.table(SERIES), drop_damaged=True)


def test_an_orphan_that_cannot_be_removed_is_said(store: BarStore) -> None:
    store.append(SERIES, make_bars(20), RECORDED)
    (store.root / SERIES.folder / "period=2024-01" / "a.parquet").mkdir()
    with pytest.raises(StoreError, match=r"cannot write a\.parquet"):
        repair(store.table(SERIES))
