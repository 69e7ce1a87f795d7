"""Make one series clean again: verify every file, remove what a kill left, merge small files, rebuild a lost log.

No observation is lost on the way. What cannot be read is named; it is dropped only where that is asked for, and then
stays beside the others as ``….parquet.damaged``.
"""

import hashlib
from contextlib import ExitStack
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path

from pipelines.store.durable import cannot_write, sync_folder
from pipelines.store.errors import DamagedStoreError, StoreError
from pipelines.store.files import decode, describe
from pipelines.store.log import Entry, Log, to_text
from pipelines.store.observations import RECORDED
from pipelines.store.table import Table

ASIDE = ".damaged"


@dataclass(frozen=True)
class Damage:
    """A file that is not what was written.

    Parameters
    ----------
    file
        Path below the series' folder.
    fault
        What is wrong with it.
    rows
        Observations that it held, None where nobody knows.
    first, last
        First and last time that these were about, ISO 8601 in UTC; empty where nobody knows.
    """

    file: str
    fault: str
    rows: int | None = None
    first: str = ""
    last: str = ""


@dataclass(frozen=True)
class Repaired:
    """What was found in a series, and done, or would be.

    Parameters
    ----------
    files, size
        Files that are whole, and their bytes.
    orphans
        Files that a kill left, removed.
    merged
        Files that were merged, and into how many.
    rebuilt
        Why the log was written anew from the files; empty where it was not.
    damaged
        Files that are not whole.
    dropped
        Whether these were dropped.
    """

    files: int
    size: int
    orphans: tuple[str, ...] = ()
    merged: tuple[int, int] = (0, 0)
    rebuilt: str = ""
    damaged: tuple[Damage, ...] = field(default=())
    dropped: bool = False

    @property
    def clean(self) -> bool:
        """Whether everything that the log names can be read afterwards."""
        return self.dropped or not self.damaged


def repair(table: Table, dry_run: bool = False, drop_damaged: bool = False) -> Repaired:
    """Verify a series and put it in order; other writers wait meanwhile.

    Parameters
    ----------
    table
        The series.
    dry_run
        Change nothing, only say what would be done.
    drop_damaged
        Take files that are not whole out of the log. What they held is lost then, unless it is fetched again.

    Raises
    ------
    StoreError
        If the folder cannot be written, is another series', or was written by another version of the engine.
    """
    with ExitStack() as stack:
        try:
            stack.enter_context(table.writing())
        except StoreError:
            # Looking is possible where writing is not.
            if not dry_run:
                raise
        log, damaged, rebuilt = _log_and_damage(table)
        bad = {one.file for one in damaged}
        whole = [entry for entry in log.entries if entry.file not in bad]
        orphans = [path for path in table.orphans(log) if path.relative_to(table.folder).as_posix() not in bad]
        crowded = _crowded(whole, {entry.period for entry in log.entries if entry.file in bad})
        found = Repaired(
            files=len(whole),
            size=sum(entry.size for entry in whole),
            orphans=tuple(path.relative_to(table.folder).as_posix() for path in orphans),
            merged=(sum(map(len, crowded)), len(crowded)),
            rebuilt=rebuilt,
            damaged=tuple(damaged),
            dropped=drop_damaged and bool(damaged) and not dry_run,
        )
        if dry_run:
            return found
        if rebuilt or crowded or found.dropped:
            entries = whole if rebuilt or drop_damaged else list(log.entries)
            if found.dropped or rebuilt:
                _set_aside(table.folder, bad)
            for group in crowded:
                entries = [entry for entry in entries if entry not in group]
                entries.append(table.write(table.observations(group), group[0].period))
            table.commit(log, tuple(entries))
            log = table.log() or log
        table.remove_orphans(log)
        return found


def _log_and_damage(table: Table) -> tuple[Log, list[Damage], str]:
    """The log, or one made from the files; the files that are not whole; and why the log was made."""
    try:
        log = table.log() or Log(table.about)
    except DamagedStoreError as error:
        return *_from_files(table), error.what
    damaged = []
    for entry in log.entries:
        try:
            table.whole(entry)
        except DamagedStoreError as error:
            damaged.append(Damage(entry.file, error.what, entry.rows, to_text(entry.first), to_text(entry.last)))
    return log, damaged, ""


def _from_files(table: Table) -> tuple[Log, list[Damage]]:
    """A log of every file that can be read: each holds whole observations, committed or not."""
    entries, damaged = [], []
    for path in sorted(table.folder.glob("period=*/*.parquet")):
        file = path.relative_to(table.folder).as_posix()
        try:
            content = path.read_bytes()
            observations = decode(content)
            digest = hashlib.sha256(content).hexdigest()
            if not path.stem or not digest.startswith(path.stem):
                raise ValueError("its bytes have changed")
            if not {table.key, RECORDED} <= set(observations.columns):
                raise ValueError(f"it has no columns {table.key} and {RECORDED}")
            entries.append(describe(observations, table.key, file, len(content), digest))
        except (OSError, ValueError) as error:
            damaged.append(Damage(file, str(error).splitlines()[0]))
    return Log(table.about).next(tuple(entries)), damaged


def _crowded(entries: list[Entry], avoid: set[str]) -> list[list[Entry]]:
    """Groups of files that can become one: those of a period without damage that has several."""
    groups = (list(group) for _, group in groupby(sorted(entries, key=_period), key=_period))
    return [group for group in groups if len(group) > 1 and group[0].period not in avoid]


def _period(entry: Entry) -> str:
    return entry.period


def _set_aside(folder: Path, files: set[str]) -> None:
    for file in files:
        path = folder / file
        try:
            if path.exists():
                path.replace(path.with_name(path.name + ASIDE))
                sync_folder(path.parent)
        except OSError as error:
            raise cannot_write(path, error) from error
